"""Captures the part of a forwarded answer that is needed to compute its cost."""

from __future__ import annotations

import json
import re
import zlib
from collections import deque
from collections.abc import Iterable
from typing import Any

import orjson

from . import CHAT, Dialect
from .base import NOT_BEGUN, Begun, object_at
from .sse import data_of, split_events
from .tokens import estimate
from .usage import UNKNOWN, TokenUsage

#: Bytes kept from the end of a stream: the usage is there, and the length of the text is estimated from them.
TAIL = 128 * 1024
#: Bytes kept from the start of a stream: it has Anthropic's prompt tokens and the id of OpenAI's answers.
HEAD = 4 * 1024
#: Events parsed to estimate the output tokens of a stream, about 8 us each; the others count as much on average.
SAMPLE = 300
#: Bytes kept from the end of an answer that is no stream.
WHOLE = 8 * 1024 * 1024

_USAGE = b'"usage"'
_ID = re.compile(rb'"id"[ \t]*:[ \t]*"([^"\\]+)"')
#: The number of an event of the Responses API. In a JSON string its quotes are escaped.
_SEQUENCE = re.compile(rb'"sequence_number"\s*:\s*(\d{1,15})')


class AnswerCapture:
    """Keeps the bytes of an answer, by reference and not by copy; parses them only when asked, after the last chunk."""

    __slots__ = (
        "_chunks", "_dialect", "_encoding", "_head", "_limit", "_parsed", "_size", "_streamed", "_total", "_truncated",
    )  # fmt: skip

    def __init__(
        self, *, streamed: bool, encoding: str | None, dialect: Dialect = CHAT, parsed: dict[str, Any] | None = None
    ) -> None:
        """`parsed`: an answer that is no stream, if it was parsed before."""
        self._parsed = parsed
        self._streamed = streamed
        self._encoding = encoding
        self._dialect = dialect
        self._chunks: deque[bytes] = deque()
        self._head = b""
        self._size = 0
        self._total = 0
        self._truncated = False
        # A compressed body can only be decompressed from its start.
        self._limit = TAIL if streamed and encoding is None else WHOLE

    def feed(self, chunk: bytes) -> None:
        """Add a chunk of the body."""
        if self._total < HEAD and self._streamed:
            self._head += chunk[: HEAD - self._total]
        self._chunks.append(chunk)
        self._size += len(chunk)
        self._total += len(chunk)
        while self._size - len(self._chunks[0]) >= self._limit:
            self._size -= len(self._chunks.popleft())
            self._truncated = True

    def usage(self) -> TokenUsage:
        """Return the reported usage; `UNKNOWN` if there is none, or if the body cannot be decompressed."""
        if self._parsed is not None:
            return self._dialect.usage(self._parsed)
        body = self._body()
        if not self._streamed:
            return self._dialect.usage(_last_usage(body)) if self._truncated else self._usage_in(body)
        found = UNKNOWN
        for part in (body, self._head) if self._truncated else (body,):
            for event in reversed(split_events(part)):
                if _USAGE in event:
                    found = found.or_else(self._usage_in(data_of(event)))
                    if found.prompt_tokens is not None and found.completion_tokens is not None:
                        return found
        return found if found != UNKNOWN or not self._truncated else self._dialect.usage(_last_usage(body))

    def response_id(self) -> str | None:
        """Return the `id` of the answer, which a later request to the Responses API may refer to; None if absent."""
        if not self._streamed:
            answer = self._parsed if self._parsed is not None else _parse_object(self._body())
        else:
            start = self._head if self._encoding is None else self._body()
            data = next(filter(None, map(data_of, split_events(start))), b"")
            answer = _parse_object(data)
            if not answer:
                # The first event repeats instructions or tools and is longer than HEAD. The id comes before them.
                match = _ID.search(data)
                return match[1].decode("utf-8", "replace") if match else None
            answer = object_at(answer, "response") or answer
        found = answer.get("id")
        return found if isinstance(found, str) else None

    def ends(self, marks: Iterable[bytes]) -> bool:
        """Return whether one of `marks` is near the end of what came."""
        end = b"".join(self._chunks)[-HEAD:]
        return any(mark in end for mark in marks)

    def begun(self) -> Begun:
        """Return what an uncompressed stream of the Responses API has sent, for an event that ends it early."""
        if not self._streamed or self._encoding is not None:
            return NOT_BEGUN
        body = self._body()
        # An event that is cut off does not count.
        numbers = _SEQUENCE.findall(body, 0, max(map(body.rfind, (b"\n\n", b"\r\n\r\n", b"\r\r"))) + 1)
        first = next(filter(None, map(data_of, split_events(self._head))), b"")
        response = object_at(_parse_object(first), "response")
        if not response and (match := _ID.search(first)) is not None:
            # The first event repeats instructions or tools and is longer than HEAD.
            response = {"id": match[1].decode("utf-8", "replace"), "object": "response", "output": []}
        return Begun(int(numbers[-1]) + 1 if numbers else 0, response)

    def estimated_output_tokens(self) -> int | None:
        """Return the estimated output tokens of a stream so far, from its text; None if it is no stream or is empty.

        For a stream longer than `TAIL`, extrapolate from the bytes that were kept.
        """
        if not self._streamed or not self._total:
            return None
        body = self._body()
        events = split_events(body)
        sample = events[:: 1 + len(events) // SAMPLE]
        text = "".join(self._dialect.text(_parse_object(data_of(event))) for event in sample)
        if not text and self._truncated:
            return None
        return round(estimate(text) * len(events) / len(sample) * max(1.0, self._total / max(1, len(body))))

    def _body(self) -> bytes:
        body = b"".join(self._chunks)
        if self._encoding is None:
            return body
        try:
            return zlib.decompressobj(wbits=47).decompress(body, WHOLE) if not self._truncated else b""
        except zlib.error:
            return b""

    def _usage_in(self, text: bytes) -> TokenUsage:
        return self._dialect.usage(_parse_object(text))


def _parse_object(text: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _last_usage(body: bytes) -> dict[str, Any]:
    """Return the last `usage` of a body without its start. In a JSON string, the quotes of "usage" are escaped."""
    at = body.rfind(_USAGE)
    if at < 0:
        return {}
    try:
        found, _ = json.JSONDecoder().raw_decode(body[at + len(_USAGE) :].decode("utf-8", "replace").lstrip(" :\t\r\n"))
    except ValueError:
        return {}
    return {"usage": found} if isinstance(found, dict) else {}
