"""The way down: a provider's bytes to the client as they come, with what the router has to put in or take out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Iterable, Mapping
from contextlib import aclosing
from typing import Any

import orjson
from starlette.types import Send

from app.dialects import Dialect
from app.dialects.answer_capture import AnswerCapture
from app.dialects.sse import EventSplitter
from app.dialects.stream_options import without_usage
from app.errors import RouterError
from app.http.responses import send_bytes, send_error
from app.upstream.client import Reply
from app.upstream.failover import Answer

#: A comment: every client of server-sent events passes it over.
KEEP_ALIVE = b": keep-alive\n\n"
_SSE = ((b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache"))

Headers = Mapping[str, str]


class Downstream:
    """The client's end of an exchange."""

    def __init__(self, send: Send, dialect: Dialect) -> None:
        self._send = send
        self._dialect = dialect
        self.started = False
        self.streamed = False
        self.passed: AnswerCapture | None = None
        # Whether what went out last ended an event, and whether it can be read by who does not unpack it.
        self._between = self._plain = True

    async def kept_waiting(self, answering: Coroutine[Any, Any, Answer], seconds: float, headers: Headers) -> Answer:
        """The answer; while it is not there the client, who asked for a stream, gets a comment now and then."""
        task = asyncio.create_task(answering)
        try:
            while not (await asyncio.wait({task}, timeout=seconds))[0]:
                if not self.started:
                    await self._start(200, [*_SSE, *_raw(headers)])
                    self.streamed = True
                await self._body(KEEP_ALIVE)
        except BaseException:
            task.cancel()
            # It may have come at this moment.
            for late in await asyncio.gather(task, return_exceptions=True):
                if isinstance(late, Answer):
                    late.close()
            raise
        return task.result()

    async def pass_on(self, answer: Answer, headers: Headers, *, drop_usage: bool, keepalive: float) -> None:
        """Send an answer on. `drop_usage`: the client did not ask for a stream's usage; `keepalive`: seconds or 0."""
        reply = answer.reply
        assert reply is not None
        encoding = reply.header(b"content-encoding")
        self.passed = AnswerCapture(
            streamed=reply.streamed, encoding=encoding.decode("latin-1") if encoding else None, dialect=self._dialect
        )
        if self.started and not reply.streamed:
            await self._as_event(reply, answer.whole)
            return
        raw = reply.headers
        if headers:
            # A provider that is a router too says who serves there; here it is what this one chose.
            raw = _instead([each for each in raw if not each[0].startswith(b"x-router-")], _raw(headers))
        plain = reply.streamed and encoding is None
        drop_usage = drop_usage and plain and reply.status == 200
        keepalive = keepalive if plain else 0
        if drop_usage or keepalive:
            # What is put in or taken out changes it.
            raw = [(name, value) for name, value in raw if name != b"content-length"]
        if answer.whole is not None and not self.started and not drop_usage:
            self.passed.feed(answer.whole)
            self.started = True
            await send_bytes(self._send, reply.status, raw, answer.whole)
            return
        self.streamed = reply.streamed
        self._plain = plain
        if not self.started:
            await self._start(reply.status, raw)
        chunks = reply.chunks() if answer.whole is None else _one(answer.whole)
        if drop_usage:
            await self._events(chunks, keepalive)
        else:
            await self._bytes(chunks, keepalive)
        await self._send({"type": "http.response.body", "body": b""})

    async def through(self, reply: Reply, headers: Headers) -> None:
        """Send an answer on as it is, with headers of our own if there are any."""
        self.streamed = reply.streamed
        self._plain = reply.header(b"content-encoding") is None
        await self._start(reply.status, _instead(reply.headers, _raw(headers)))
        async for chunk in reply.chunks():
            self._between = chunk.endswith((b"\n\n", b"\r\n\r\n"))
            await self._body(chunk)
        await self._send({"type": "http.response.body", "body": b""})

    async def break_off(self, error: RouterError, headers: Headers) -> None:
        """Say what is wrong: as an answer, or, half of one being out, as a stream's last event, else by closing."""
        if not self.started:
            error.headers |= headers
            self.started = True
            await send_error(self._send, error, self._dialect.error(error))
        elif self.streamed and self._plain:
            event = self._dialect.error_event(error)
            await self._body(event if self._between else b"\n\n" + event)
            await self._send({"type": "http.response.body", "body": b""})

    async def _bytes(self, chunks: AsyncGenerator[bytes, None], keepalive: float) -> None:
        assert self.passed is not None
        feed, send = self.passed.feed, self._send
        async with aclosing(_paced(chunks, keepalive) if keepalive else chunks) as pieces:
            async for chunk in pieces:
                if chunk is None:
                    if self._between:
                        await self._body(KEEP_ALIVE)
                    continue
                feed(chunk)
                self._between = chunk.endswith((b"\n\n", b"\r\n\r\n", b"\r\r"))
                await send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def _events(self, chunks: AsyncGenerator[bytes, None], keepalive: float) -> None:
        """The same, event by event, without the usage that only the router asked for."""
        assert self.passed is not None
        events = EventSplitter()
        async with aclosing(_paced(chunks, keepalive) if keepalive else chunks) as pieces:
            async for chunk in pieces:
                if chunk is None:
                    await self._body(KEEP_ALIVE)
                    continue
                self.passed.feed(chunk)
                out = b"".join(map(without_usage, events.feed(chunk)))
                if out:
                    await self._body(out)
        rest = without_usage(events.rest())
        if rest:
            await self._body(rest)

    async def _as_event(self, reply: Reply, whole: bytes | None) -> None:
        """An answer that is no stream, to a client that was promised one: what it says as an event."""
        body = await reply.read() if whole is None else whole
        assert self.passed is not None
        self.passed.feed(body)
        try:
            text = orjson.dumps(orjson.loads(body))
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


def _raw(headers: Headers) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]


def _instead(theirs: Iterable[tuple[bytes, bytes]], own: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """A provider's headers, but for those that are the router's own here."""
    replaced = {name for name, _ in own}
    return [*(each for each in theirs if each[0] not in replaced), *own]


async def _one(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body


async def _paced(chunks: AsyncGenerator[bytes, None], seconds: float) -> AsyncGenerator[bytes | None, None]:
    """The chunks, and None whenever none came for so long."""
    following = aiter(chunks)
    task: asyncio.Future[bytes] | None = None
    try:
        while True:
            task = asyncio.ensure_future(anext(following))
            while not (await asyncio.wait({task}, timeout=seconds))[0]:
                yield None
            try:
                yield task.result()
            except StopAsyncIteration:
                return
    finally:
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
