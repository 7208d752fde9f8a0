"""Plans: how a test wants a request to be answered, such as `status=429;retry-after=2`, or by the name of a model."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

CHUNKS = 5
ALIASES = (
    (re.compile(r"fail-(\d{3})"), "status={}"),
    (re.compile(r"slow-(\d+(?:\.\d+)?)"), "delay={}"),
    (re.compile(r"dead-stream"), "die"),
    (re.compile(r"(hang|drop|gzip)"), "{}"),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """How to answer one request; by default with success and at once. Times are in seconds.

    An *event* is an event or comment of a stream; of another body it is a byte.
    """

    status: int = 200  # anything else: an error in the format of the API
    retry_after: str | None = None  # the header of that name
    times: int | None = None  # the plan applies to so many requests of a model; later ones succeed
    needs_key: str | None = None  # 401 without it in `x-api-key` or as a bearer token
    delay: float = 0.0  # before the first byte
    gap: float = 0.0  # between the events of a stream
    chunks: int = CHUNKS  # deltas of a stream
    split: int = 0  # bytes a write, each a turn of the loop apart: events and UTF-8 characters arrive in halves
    comments: bool = False  # a comment before each event
    crlf: bool = False  # lines of a stream end in CRLF
    hang: bool = False  # never answers
    hang_after: int | None = None  # sends nothing more after so many events
    drop: bool = False  # closes the connection without a byte
    die: bool = False  # closes it half-way through the body
    die_after: int | None = None  # closes it after so many events
    error_after: int | None = None  # after so many events of a stream, an error event and a regular end
    gzip: bool = False  # whatever the request accepts
    cookies: bool = False  # two set-cookie headers
    limits: bool = False  # the headers `x-ratelimit-…`
    reasoning: int = 0  # reasoning tokens in the usage
    cached: int = 3  # tokens of the prompt that came from the provider's cache
    incomplete: bool = False  # the answer ends because its token limit is reached
    no_usage: bool = False  # reports no usage
    terse: bool = False  # the last event of a message's stream has output tokens only

    @property
    def takes_time(self) -> bool:
        """Whether the answer cannot be written at once."""
        return bool(
            self.delay or self.gap or self.split or self.hang or self.drop or self.die
            or self.hang_after is not None or self.die_after is not None
        )  # fmt: skip


_READERS: dict[str, Callable[[str], Any]] = {
    "int": int,
    "int | None": int,
    "float": float,
    "bool": lambda _: True,
    "str | None": str,
}


@lru_cache(1024)
def parse_plan(text: str) -> Plan:
    """Parse a plan, `word=value;word`. Raises `ValueError` naming an unknown word or an invalid value."""
    kinds = {field.name: str(field.type) for field in fields(Plan)}
    values: dict[str, Any] = {}
    for item in filter(None, (part.strip() for part in text.split(";"))):
        word, _, value = item.partition("=")
        kind = kinds.get(word.replace("-", "_"), "")
        if not kind or (kind == "bool") != (value == ""):
            raise ValueError(f"{item!r} is not a word of a plan: {', '.join(kinds)}")
        values[word.replace("-", "_")] = _READERS[kind](value)
    return Plan(**values)


@lru_cache(1024)
def alias(model: str) -> str:
    """Return the plan that a model's name stands for; empty for an ordinary name."""
    for pattern, plan in ALIASES:
        if match := pattern.fullmatch(model):
            return plan.format(*match.groups())
    return ""
