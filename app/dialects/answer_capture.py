"""Captures the part of a forwarded answer that is needed to compute its cost."""

from __future__ import annotations

import re
import zlib
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import orjson

from . import CHAT, Dialect
from .base import NOT_BEGUN, Begun, object_at
from .json_tail import last_member
from .sse import data_of, split_events
from .tokens import estimate
from .usage import TokenUsage
from .usage_reports import NO_REPORT, Report, is_complete, merged

#: Bytes kept from the end of a stream: the usage is there, and the length of the text is estimated from them.
TAIL = 128 * 1024
#: Bytes kept from the start of a stream: it has Anthropic's prompt tokens and the id of OpenAI's answers.
HEAD = 4 * 1024
#: Events parsed to estimate the output tokens of a stream, about 8 us each; the others count as much on average.
SAMPLE = 300
#: Bytes kept from the end of an answer that is no stream.
WHOLE = 8 * 1024 * 1024

#: Brackets and commas of an answer that is parsed whole, about 0.25 us each.
MOST_VALUES = 100_000

#: An event with a report has this, or one of the others: llama.cpp's name, or an escaped letter, \u0061 to \u007a.
_USAGE, _TIMINGS, _ESCAPE = b'"usage', b'"timings"', b"\\u00"
_OTHERS = (_TIMINGS, b"\\u006", b"\\u007")
#: Events at the end of a stream of which one has llama.cpp's timings, if any.
_LAST = 4
#: Events at the start of a stream of which one may report a part of the usage.
_FIRST = 4
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
            return self._dialect.read_usage(self._dialect.report(self._parsed))
        body = self._body()
        report = self._report_of_stream(body) if self._streamed else self._report_in(body)
        return self._dialect.read_usage(report)

    def _report_of_stream(self, body: bytes) -> Report:
        """Return the report of a stream: the last one, and what it lacks of those before it."""
        events = split_events(body)
        found = self._with_start(self._last_report(events, (_USAGE,)), body)
        if not is_complete(found) and (_ESCAPE in body or any(_TIMINGS in event for event in events[-_LAST:])):
            found = self._with_start(self._last_report(events, (_USAGE, *_OTHERS)), body)
        return found

    def _with_start(self, found: Report, body: bytes) -> Report:
        """Return a report with what the start of the stream adds to it."""
        if self._dialect.splits_usage or (self._truncated and not is_complete(found)):
            start = self._head if self._encoding is None else body[:HEAD]
            for event in split_events(start)[:_FIRST]:
                if _USAGE in event or _ESCAPE in event:
                    found = merged(found, self._report_in(data_of(event)))
        return found

    def _last_report(self, events: list[bytes], marks: tuple[bytes, ...]) -> Report:
        """Return the report of the last events that have one of the marks, until it is complete."""
        found, first = NO_REPORT, marks[0]
        for position in range(len(events) - 1, -1, -1):
            event = events[position]
            if first in event or (len(marks) > 1 and any(mark in event for mark in marks)):
                # Of an event that is longer than what was kept, the end is there.
                cut = self._truncated and position == 0 and not event.startswith((b"data:", b"event:"))
                found = merged(found, self._report_in(event if cut else data_of(event)))
                if is_complete(found):
                    break
        return found

    def _report_in(self, text: bytes) -> Report:
        """Return the report in an answer, in an event's data, or in the end of either."""
        answer = None
        if is_parsed_soon(text):
            with suppress(orjson.JSONDecodeError):
                answer = orjson.loads(text)
        if answer is None:
            # It has too many values, its start is missing, or it is no valid Unicode.
            parent = "response" if self._dialect.name == "responses" else None
            answer = {"usage": last_member(text, "usage", parent)}
        return self._dialect.report(answer) if isinstance(answer, dict) else NO_REPORT

    def response_id(self) -> str | None:
        """Return the `id` of the answer, which a later request to the Responses API may refer to; None if absent."""
        if not self._streamed:
            body = b"" if self._parsed is not None else self._body()
            if not is_parsed_soon(body):
                match = _ID.search(body, 0, HEAD)
                return match[1].decode("utf-8", "replace") if match and not self._truncated else None
            answer = self._parsed if self._parsed is not None else _parse_object(body)
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

    def estimated_output_tokens(self, *, whole: bool = False) -> int | None:
        """Return the estimated output tokens of a stream so far, from its text; None if it is no stream or is empty.

        For a stream longer than `TAIL`, extrapolate from the bytes that were kept. `whole`: estimate an answer that is
        no stream, too.
        """
        if not self._total or not (self._streamed or whole):
            return None
        body = self._body()
        if not self._streamed:
            return round(estimate(self._dialect.text(_parse_object(body)))) or None
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


def is_parsed_soon(body: bytes) -> bool:
    """Whether an answer can be parsed on the event loop: it is small, or has few values."""
    return len(body) <= MOST_VALUES or sum(map(body.count, (b",", b"[", b"{"))) <= MOST_VALUES


def _parse_object(text: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}
