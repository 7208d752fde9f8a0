"""The client's side of an exchange: relays a provider's bytes, and what the router adds or removes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Iterable, Mapping
from contextlib import aclosing
from typing import Any

import orjson
from starlette.types import Send

from ..dialects import Dialect
from ..dialects.answer_capture import WHOLE, AnswerCapture
from ..dialects.base import NOT_BEGUN
from ..dialects.beginning import parsed_or_none
from ..dialects.sse import ENDS, EventSplitter, WholeEvents, data_of
from ..dialects.stream_options import UsageFilter
from ..errors import RouterError, UpstreamUnavailable
from ..http.responses import send_bytes, send_error
from ..off_loop import LARGE
from ..upstream.answer import Answer
from ..upstream.client import Reply
from .keepalive import KEEP_ALIVE, Comments, paced

#: Bytes of a stream that are split into events at a time.
PIECE = 16 * 1024
_ONE_LINE = bytes.maketrans(b"\r\n", b"  ")

_SSE = ((b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache"))
#: What the end of a complete stream has, by API.
_LAST_MARKS = {
    "chat": (b"[DONE]", b'"finish_reason":"', b'"finish_reason": "'),
    "messages": (b"message_stop",),
    "responses": (b"response.completed", b"response.incomplete", b"response.failed", b"response.cancelled"),
}

Headers = Mapping[str, str]


class Downstream:
    """Sends one answer to the client.

    `started`: the head is sent; `streamed`: the answer is a stream of events; `incomplete`: it ended early, which HTTP
    did not show; `capture`: the end of the provider's answer, to read its usage from, or the number of its last event.
    """

    def __init__(self, send: Send, dialect: Dialect) -> None:
        self._send = send
        self._dialect = dialect
        self.started = False
        self.streamed = False
        self.incomplete = False
        self.capture: AnswerCapture | None = None
        # Whether the last bytes sent ended an event, and whether the body is uncompressed: else no event can follow.
        self._event_ended = self._uncompressed = True

    async def keep_alive_until(
        self, answering: Coroutine[Any, Any, Answer], seconds: float, headers: Headers
    ) -> Answer:
        """Await the answer for a client that asked for a stream, sending a comment every so many seconds."""
        task = asyncio.create_task(answering)
        try:
            while not (await asyncio.wait({task}, timeout=seconds))[0]:
                if not self.started:
                    await self._start(200, [*_SSE, *_encoded(headers)])
                    self.streamed = True
                await self._body(KEEP_ALIVE)
        except BaseException:
            task.cancel()
            # The answer may have come at this moment.
            for late in await asyncio.gather(task, return_exceptions=True):
                if isinstance(late, Answer):
                    late.close()
            raise
        return task.result()

    async def relay(
        self, answer: Answer, headers: Headers, *, routed: bool, drop_usage: bool, keepalive: float
    ) -> None:
        """Send an answer on, capturing it.

        `headers`: the router's own; `routed`: its bytes may differ from the provider's; `drop_usage`: remove the usage
        that the client did not ask for; `keepalive`: seconds between comments in a silent stream, 0: none. Raises
        `UpstreamUnavailable` if the answer breaks off.
        """
        reply = answer.reply
        assert reply is not None
        encoding = reply.header(b"content-encoding")
        self.capture = AnswerCapture(
            streamed=reply.streamed,
            encoding=encoding.decode("latin-1") if encoding else None,
            dialect=self._dialect,
            parsed=reply.parsed,
        )
        if self.started and not reply.streamed:
            await self._as_event(reply, answer.whole)
            return
        raw = reply.headers
        if headers:
            # A provider that is a router too sends such headers about its own choice: this router's replace them.
            raw = _replaced([each for each in raw if not each[0].startswith(b"x-router-")], _encoded(headers))
        editable = reply.streamed and encoding is None
        drop_usage = drop_usage and editable and reply.status == 200
        keepalive = keepalive if editable else 0
        if drop_usage or keepalive:
            # The length changes with what is added or removed.
            raw = [(name, value) for name, value in raw if name != b"content-length"]
        if answer.whole is not None and not self.started and not drop_usage:
            self.capture.feed(answer.whole)
            self.started = True
            await send_bytes(self._send, reply.status, raw, answer.whole)
            return
        self.streamed = reply.streamed
        self._uncompressed = editable
        if not self.started:
            await self._start(reply.status, raw)
        chunks = reply.chunks() if answer.whole is None else _one(answer.whole)
        if drop_usage:
            rest = await self._relay_events(chunks, self.capture, keepalive)
        elif editable:
            rest = await self._relay_whole_events(chunks, self.capture, keepalive)
        else:
            await self._relay_bytes(chunks, self.capture)
            rest = b""
        if editable:
            await self._end(rest, reply, routed=routed)
        await self._send({"type": "http.response.body", "body": b""})

    async def relay_uncaptured(self, reply: Reply, headers: Headers) -> None:
        """Send a reply on unchanged, with `headers` added."""
        self.streamed = reply.streamed
        self._uncompressed = reply.header(b"content-encoding") is None
        if self.streamed and self._uncompressed and self._dialect.name == "responses":
            # The stream of a stored response: an event that ends it early is numbered on.
            self.capture = AnswerCapture(streamed=True, encoding=None, dialect=self._dialect)
        await self._start(reply.status, _replaced(reply.headers, _encoded(headers)))
        async for chunk in reply.chunks():
            if self.capture is not None:
                self.capture.feed(chunk)
            self._event_ended = chunk.endswith((b"\n\n", b"\r\n\r\n"))
            await self._body(chunk)
        await self._send({"type": "http.response.body", "body": b""})

    async def fail(self, error: RouterError, headers: Headers) -> None:
        """Send an error: as the answer, or as the last event of a stream that has begun.

        Of any other answer that has begun nothing more is sent, so that the server closes the connection.
        """
        if not self.started:
            error.headers |= headers
            self.started = True
            await send_error(self._send, error, self._dialect.error(error))
        elif self.streamed and self._uncompressed:
            begun = NOT_BEGUN if self.capture is None else self.capture.begun()
            event = self._dialect.error_event(error, begun)
            await self._body(event if self._event_ended else b"\n\n" + event)
            await self._send({"type": "http.response.body", "body": b""})

    async def _end(self, rest: bytes, reply: Reply, *, routed: bool) -> None:
        """Send `rest`, with which a stream ended; raise `UpstreamUnavailable` if it was cut within an event.

        If the end of the connection is all that ends the body, its last event has to be that of a complete answer.
        """
        assert self.capture is not None
        if rest.strip() and not _is_complete(rest):
            self.incomplete = True
        elif not reply.delimited and reply.status == 200:
            marks = _LAST_MARKS.get(self._dialect.name)
            self.incomplete = marks is not None and not self.capture.ends(marks)
        if self.incomplete and routed:
            raise UpstreamUnavailable("The provider ended its answer early.")
        if rest:
            await self._body(rest)

    async def _relay_bytes(self, chunks: AsyncGenerator[bytes, None], capture: AnswerCapture) -> None:
        feed, send = capture.feed, self._send
        async with aclosing(chunks) as pieces:
            async for chunk in pieces:
                feed(chunk)
                await send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def _relay_whole_events(
        self, chunks: AsyncGenerator[bytes, None], capture: AnswerCapture, keepalive: float
    ) -> bytes:
        """Send the bytes on unchanged, but hold those that do not end an event; return what was held at the end."""
        feed, send = capture.feed, self._send
        events = WholeEvents()
        comments = Comments() if keepalive else None
        async with aclosing(paced(chunks, keepalive) if keepalive else chunks) as pieces:
            async for chunk in pieces:
                if chunk is None:
                    if self._event_ended and comments is not None:
                        await self._body(comments.next)
                    continue
                feed(chunk)
                if comments is not None:
                    comments.feed(chunk)
                out = events.feed(chunk)
                self._event_ended = not events.split
                if out:
                    await send({"type": "http.response.body", "body": out, "more_body": True})
        return events.rest()

    async def _relay_events(
        self, chunks: AsyncGenerator[bytes, None], capture: AnswerCapture, keepalive: float
    ) -> bytes:
        """Send the events on one by one, without the usage that only the router asked for; return what ends none."""
        events = EventSplitter()
        kept = UsageFilter().feed
        comments = Comments() if keepalive else None
        async with aclosing(paced(chunks, keepalive) if keepalive else chunks) as pieces:
            async for chunk in pieces:
                if chunk is None:
                    if self._event_ended and comments is not None:
                        await self._body(comments.next)
                    continue
                capture.feed(chunk)
                if comments is not None:
                    comments.feed(chunk)
                for start in range(0, len(chunk), PIECE):
                    if start:
                        # A piece may be thousands of tiny events: other requests run in between.
                        await asyncio.sleep(0)
                    out = b"".join(map(kept, events.feed(chunk[start : start + PIECE])))
                    if out:
                        self._event_ended = out.endswith(ENDS)
                        await self._body(out)
        return kept(events.rest())

    async def _as_event(self, reply: Reply, whole: bytes | None) -> None:
        """Send an answer that is no stream as one event, because the head of a stream is out already."""
        body = await reply.read_within(WHOLE) if whole is None else whole
        assert self.capture is not None
        self.capture.feed(body)
        try:
            # The line ends of JSON are blanks. A large answer is not parsed, because that stops the event loop.
            text = orjson.dumps(orjson.loads(body)) if len(body) < LARGE else body.translate(_ONE_LINE)
        except orjson.JSONDecodeError:
            text = orjson.dumps({"error": {"message": body.decode("utf-8", "replace"), "type": "upstream_error"}})
        name = b"event: error\n" if self._dialect.name in ("messages", "responses") and reply.status >= 400 else b""
        await self._body(name + b"data: " + text + b"\n\n")
        await self._send({"type": "http.response.body", "body": b""})

    async def _start(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self.started = True
        await self._send({"type": "http.response.start", "status": status, "headers": list(headers)})

    async def _body(self, body: bytes) -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": True})


def _encoded(headers: Headers) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]


def _replaced(theirs: Iterable[tuple[bytes, bytes]], own: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return a provider's headers with the router's own in place of those of the same name."""
    names = {name for name, _ in own}
    return [*(each for each in theirs if each[0] not in names), *own]


def _is_complete(rest: bytes) -> bool:
    """Return whether the last lines of a stream are an event that only lacks the empty line behind it, or none."""
    data = data_of(rest)
    if not data:
        # A comment, or a field without data.
        return b"data" not in rest
    return data.strip() == b"[DONE]" or parsed_or_none(data) is not None


async def _one(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body
