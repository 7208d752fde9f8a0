"""Reads the tokens a provider reports from the bytes that passed by: never a guess, never 0 for unknown."""

from __future__ import annotations

import zlib
from collections import deque
from typing import Any, NamedTuple

import orjson

#: The last event of a stream that carries the usage is far smaller than this; earlier bytes need not be kept.
TAIL = 64 * 1024
#: A whole answer longer than this is not read for its usage.
WHOLE = 8 * 1024 * 1024


class Usage(NamedTuple):
    """Tokens as reported; None where the provider said nothing.

    `cached_tokens` are among the prompt's, `reasoning_tokens` among the completion's.
    """

    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    completion_tokens: int | None = None
    reasoning_tokens: int | None = None


UNKNOWN = Usage()


class Passing:
    """Remembers as much of an answer's bytes as its usage needs, at no cost but a reference for each chunk."""

    __slots__ = ("_chunks", "_encoding", "_limit", "_size", "_streamed", "_truncated")

    def __init__(self, *, streamed: bool, encoding: str | None) -> None:
        self._streamed = streamed
        self._encoding = encoding
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._truncated = False
        # Compressed bytes can only be read from their beginning.
        self._limit = TAIL if streamed and encoding is None else WHOLE

    def feed(self, chunk: bytes) -> None:
        """Another piece of the body, as it came."""
        self._chunks.append(chunk)
        self._size += len(chunk)
        while self._size - len(self._chunks[0]) >= self._limit:
            self._size -= len(self._chunks.popleft())
            self._truncated = True

    def usage(self) -> Usage:
        """What the body reported; `UNKNOWN` when it is cut off, compressed beyond reading, or says nothing."""
        body = b"".join(self._chunks)
        if self._encoding is not None:
            try:
                body = zlib.decompressobj(wbits=47).decompress(body, WHOLE) if not self._truncated else b""
            except zlib.error:
                return UNKNOWN
        return _of_stream(body) if self._streamed else _of_object(body)


def _of_stream(body: bytes) -> Usage:
    for line in reversed(body.splitlines()):
        if line.startswith(b"data:") and b'"usage"' in line:
            usage = _of_object(line[5:])
            if usage is not UNKNOWN:
                return usage
    return UNKNOWN


def _of_object(text: bytes) -> Usage:
    try:
        answer = orjson.loads(text)
    except orjson.JSONDecodeError:
        return UNKNOWN
    reported = answer.get("usage") if isinstance(answer, dict) else None
    if not isinstance(reported, dict):
        return UNKNOWN
    return Usage(
        _count(reported.get("prompt_tokens")),
        _cached(reported),
        _count(reported.get("completion_tokens")),
        _count(_details(reported, "completion_tokens_details").get("reasoning_tokens")),
    )


def _cached(reported: dict[str, Any]) -> int | None:
    """Tokens read from the provider's cache: as OpenAI says it, DeepSeek, or hosts of Anthropic's models."""
    for said in (
        _details(reported, "prompt_tokens_details").get("cached_tokens"),
        reported.get("prompt_cache_hit_tokens"),
        reported.get("cache_read_input_tokens"),
    ):
        found = _count(said)
        if found is not None:
            return found
    return None


def _details(reported: dict[str, Any], name: str) -> dict[str, Any]:
    details = reported.get(name)
    return details if isinstance(details, dict) else {}


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31 else None
