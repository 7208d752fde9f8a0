"""Keeps as much of an answer that passes by as it takes to say what it cost, and looks at it once it is through."""

from __future__ import annotations

import json
import re
import zlib
from collections import deque
from typing import Any

import orjson

from app.dialects import CHAT, Dialect
from app.dialects.base import inner
from app.dialects.sse import data_of, split_events
from app.dialects.tokens import estimate
from app.dialects.usage import UNKNOWN, TokenUsage

#: Of a stream the last so many bytes are kept, where the usage is; what it said is estimated from them.
TAIL = 128 * 1024
#: Of a stream the first so many bytes are kept too: Anthropic counts the prompt there, and OpenAI names the answer.
HEAD = 4 * 1024
#: Events of those that are read for that, some 8 us each: the others are taken to say as much.
READ = 300
#: Of a whole answer the last so many bytes are kept.
WHOLE = 8 * 1024 * 1024

_USAGE = b'"usage"'
_NAME = re.compile(rb'"id"[ \t]*:[ \t]*"([^"\\]+)"')


class AnswerCapture:
    """Remembers an answer's bytes at no cost but a reference for each chunk."""

    __slots__ = ("_chunks", "_dialect", "_encoding", "_head", "_limit", "_size", "_streamed", "_total", "_truncated")

    def __init__(self, *, streamed: bool, encoding: str | None, dialect: Dialect = CHAT) -> None:
        self._streamed = streamed
        self._encoding = encoding
        self._dialect = dialect
        self._chunks: deque[bytes] = deque()
        self._head = b""
        self._size = 0
        self._total = 0
        self._truncated = False
        # Compressed bytes can only be read from their beginning.
        self._limit = TAIL if streamed and encoding is None else WHOLE

    def feed(self, chunk: bytes) -> None:
        """Another piece of the body, as it came."""
        if self._total < HEAD and self._streamed:
            self._head += chunk[: HEAD - self._total]
        self._chunks.append(chunk)
        self._size += len(chunk)
        self._total += len(chunk)
        while self._size - len(self._chunks[0]) >= self._limit:
            self._size -= len(self._chunks.popleft())
            self._truncated = True

    def usage(self) -> TokenUsage:
        """What the body reported; `UNKNOWN` when it is cut off, compressed beyond reading, or says nothing."""
        body = self._body()
        if not self._streamed:
            return self._dialect.usage(_cut_off(body)) if self._truncated else self._said(body)
        found = UNKNOWN
        for part in (body, self._head) if self._truncated else (body,):
            for event in reversed(split_events(part)):
                if _USAGE in event:
                    found = found.or_else(self._said(data_of(event)))
                    if found.prompt_tokens is not None and found.completion_tokens is not None:
                        return found
        return found if found != UNKNOWN or not self._truncated else self._dialect.usage(_cut_off(body))

    def response_id(self) -> str | None:
        """The answer's `id`, by which the Responses API goes on from it."""
        if not self._streamed:
            said = _object(self._body())
        else:
            start = self._head if self._encoding is None else self._body()
            data = next(filter(None, map(data_of, split_events(start))), b"")
            said = _object(data)
            if not said:
                # An event that repeats long instructions or tools, cut off; the name comes before them.
                named = _NAME.search(data)
                return named[1].decode("utf-8", "replace") if named else None
            said = inner(said, "response") or said
        found = said.get("id")
        return found if isinstance(found, str) else None

    def estimated_output_tokens(self) -> int | None:
        """An estimate of the tokens that a stream has brought so far, from its text; None when there was none.

        Of a long stream the kept end stands for all of it.
        """
        if not self._streamed or not self._total:
            return None
        body = self._body()
        events = split_events(body)
        read = events[:: 1 + len(events) // READ]
        text = "".join(self._dialect.text(_object(data_of(event))) for event in read)
        if not text and self._truncated:
            return None
        return round(estimate(text) * len(events) / len(read) * max(1.0, self._total / max(1, len(body))))

    def _body(self) -> bytes:
        body = b"".join(self._chunks)
        if self._encoding is None:
            return body
        try:
            return zlib.decompressobj(wbits=47).decompress(body, WHOLE) if not self._truncated else b""
        except zlib.error:
            return b""

    def _said(self, text: bytes) -> TokenUsage:
        return self._dialect.usage(_object(text))


def _object(text: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _cut_off(body: bytes) -> dict[str, Any]:
    """The usage in an event whose beginning is gone; a quoted `"usage"` in a text would have its quotes escaped."""
    at = body.rfind(_USAGE)
    if at < 0:
        return {}
    try:
        found, _ = json.JSONDecoder().raw_decode(body[at + len(_USAGE) :].decode("utf-8", "replace").lstrip(" :\t\r\n"))
    except ValueError:
        return {}
    return {"usage": found} if isinstance(found, dict) else {}
