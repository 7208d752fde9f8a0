"""What a request says, whatever API it came by: its messages, what it needs, and how that API's answers are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import orjson

from app.dialects.usage import UNKNOWN, TokenUsage
from app.errors import RouterError

#: More tokens than this nobody reports in earnest; four of them fit an int of Postgres.
MOST = 2**28


@dataclass(frozen=True, slots=True)
class ParsedRequest:
    """A request as the router looks at it.

    `messages` are in the shape of chat, system prompt included; `schemas`: what else the model reads, of tools and of
    the answer; `limit`: tokens allowed to all of the `answers` together, None: nothing was said; `previous`: the answer
    or conversation of the provider's that this request goes on from.
    """

    messages: Sequence[Mapping[str, Any]]
    schemas: tuple[Any, ...] = ()
    limit: int | None = None
    answers: int = 1
    streamed: bool = False
    tools: bool = False
    parallel_tools: bool = False
    vision: bool = False
    audio: bool = False
    json_schema: bool = False
    reasoning: bool = False
    previous: str | None = None


class Dialect(Protocol):
    """One API: how its requests are read, its answers understood and its errors said."""

    #: As `router.providers.speaks` names it, and its path below a provider's base URL.
    name: ClassVar[str]
    path: ClassVar[str]
    #: What OpenTelemetry's gen_ai conventions call it.
    operation: ClassVar[str]
    #: Whether policies route it.
    routed: ClassVar[bool]
    #: Whether a request costs anything, so that it belongs into the ledger.
    billed: ClassVar[bool]

    def read(self, body: dict[str, Any]) -> ParsedRequest:
        """The request. Raises `BadRequest` naming the field that is wrong."""
        ...

    def usage(self, said: dict[str, Any]) -> TokenUsage:
        """The tokens that an answer, or an event of a stream, reports; `UNKNOWN` when it reports none."""
        ...

    def text(self, said: dict[str, Any]) -> str:
        """What an answer, or an event of a stream, has the model say: text, thoughts, calls of tools."""
        ...

    def error(self, error: RouterError) -> dict[str, Any]:
        """The body of an error."""
        ...

    def broken_off(self, error: RouterError) -> bytes:
        """The event that ends a stream which cannot go on."""
        ...


class OpenAI:
    """What OpenAI's APIs have in common."""

    billed: ClassVar = True

    def error(self, error: RouterError) -> dict[str, Any]:
        """`{"error": {"message", "type", "param", "code"}}`."""
        return error.body()

    def broken_off(self, error: RouterError) -> bytes:
        """The same as an event without a name, as OpenAI's own clients expect it."""
        return b"data: " + orjson.dumps(error.body()) + b"\n\n"

    def usage(self, said: dict[str, Any]) -> TokenUsage:
        """`usage` with `prompt_tokens`, `completion_tokens` and their details."""
        reported = said.get("usage")
        if not isinstance(reported, dict):
            return UNKNOWN
        return TokenUsage(
            count(reported.get("prompt_tokens")),
            _cached(reported),
            count(reported.get("completion_tokens")),
            count(inner(reported, "completion_tokens_details").get("reasoning_tokens")),
        )


def _cached(reported: dict[str, Any]) -> int | None:
    """Tokens read from the provider's cache: as OpenAI says it, DeepSeek, or hosts of Anthropic's models."""
    for said in (
        inner(reported, "prompt_tokens_details").get("cached_tokens"),
        reported.get("prompt_cache_hit_tokens"),
        reported.get("cache_read_input_tokens"),
    ):
        found = count(said)
        if found is not None:
            return found
    return None


def inner(said: Mapping[str, Any], name: str) -> dict[str, Any]:
    """An object within another; empty when it is none."""
    found = said.get(name)
    return found if isinstance(found, dict) else {}


def count(value: Any) -> int | None:
    """A number of tokens; None when it is none, or so many that sums of a few would not fit the ledger's columns."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST else None


def positive(*values: Any) -> int | None:
    """The first of these that is a positive whole number."""
    return next((v for v in values if isinstance(v, int) and not isinstance(v, bool) and v > 0), None)


def parts(messages: Sequence[Mapping[str, Any]]) -> set[str]:
    """The types of the parts that messages are made of, besides plain text."""
    return {str(part.get("type")) for message in messages for part in blocks(message)}


def blocks(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The parts of one message; none where its content is plain text."""
    content = message.get("content")
    return [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []


def text_of(message: Mapping[str, Any]) -> str:
    """Return the text of a message: its content, or its text parts joined by line breaks."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = [part.get("text") for part in content if isinstance(part, dict)]
    return "\n".join(part for part in parts if isinstance(part, str))
