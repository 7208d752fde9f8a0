"""HTTP as the fake upstream speaks it: requests off a connection, answers as pieces that are written as planned."""

from __future__ import annotations

import asyncio
import base64
import re
import zlib
from collections.abc import Callable
from functools import cached_property
from typing import Any, cast

from tests.fake.plan import Plan

REASONS = {200: b"OK", 400: b"Bad Request", 401: b"Unauthorized", 404: b"Not Found", 429: b"Too Many Requests"}
REASONS |= {500: b"Internal Server Error", 503: b"Service Unavailable", 529: b"Overloaded"}
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)")
CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked")
JSON, EVENTS = b"application/json", b"text/event-stream; charset=utf-8"
#: More pieces than this are written one by one as the reader takes them.
MANY = 500

Pieces = tuple[bytes, ...]


class Received:
    """One request as it arrived; `disconnected` when the client left before the whole answer was written."""

    def __init__(self, head: bytes, body: bytes) -> None:
        line = head.partition(b"\r\n")[0].decode("latin-1")
        self.method, self.target, _ = line.split(" ", 2)
        self.path, _, self.query = self.target.partition("?")
        self.head, self.body, self.disconnected, self.written = head, body, False, 0

    def headers(self) -> list[list[str]]:
        """Name and value pairs, spelt and ordered as received."""
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        return [[name, value.strip()] for name, _, value in (line.partition(":") for line in lines)]

    @cached_property
    def named(self) -> dict[str, str]:
        """The headers by their lower-case names, the last of each."""
        return {name.lower(): value for name, value in self.headers()}

    def entry(self) -> dict[str, Any]:
        """Its row in `/_log`."""
        return {
            "method": self.method,
            "path": self.target,
            "headers": self.headers(),
            "body": base64.b64encode(self.body).decode(),
            "disconnected": self.disconnected,
            "written": self.written,
        }


def reply(
    status: int,
    content: bytes | Pieces,
    plan: Plan | None = None,
    content_type: bytes = JSON,
    *,
    headers: tuple[bytes, ...] = (b"x-request-id: req_fake", b"OpenAI-Processing-MS: 1"),
    error_event: bytes = b"",
) -> Pieces:
    """An HTTP response as pieces: bytes become a body with its length, a tuple becomes one HTTP chunk an event."""
    plan = plan or Plan()
    lines = [b"HTTP/1.1 %d %b" % (status, REASONS.get(status, b"Other")), b"Content-Type: " + content_type, *headers]
    lines += [b"retry-after: " + plan.retry_after.encode()] if plan.retry_after else []
    lines += [b"set-cookie: a=1; path=/", b"set-cookie: b=2; path=/"] if plan.cookies else []
    if plan.limits:
        lines += [b"x-ratelimit-limit-requests: 500", b"x-ratelimit-remaining-requests: 499"]
        lines += [b"x-ratelimit-reset-requests: 120ms"]
    lines += [b"content-encoding: gzip"] if plan.gzip else []
    if not isinstance(content, tuple):
        body = _gzipped((content,))[0] if plan.gzip else content
        head = [*lines, b"content-length: %d" % len(body), b"", b""]
        return (b"\r\n".join(head), body[: _last(plan, len(body))])
    events = _told(content, plan, error_event)
    events = _gzipped(events) if plan.gzip else events
    head = [*lines, b"transfer-encoding: chunked", b"", b""]
    wire = [b"%x\r\n%b\r\n" % (len(event), event) for event in events]
    last = _last(plan, len(wire))
    return (b"\r\n".join(head), *(wire[:last] if last is not None else [*wire, b"0\r\n\r\n"]))


def _told(events: Pieces, plan: Plan, error_event: bytes) -> Pieces:
    if plan.error_after is not None:
        events = (*events[: plan.error_after], error_event)
    if plan.comments:
        events = tuple(b": keep-alive\n\n" + event for event in events)
    return tuple(event.replace(b"\n", b"\r\n") for event in events) if plan.crlf else events


def _last(plan: Plan, length: int) -> int | None:
    if plan.die:
        return length // 2
    return plan.die_after if plan.die_after is not None else plan.hang_after


def _gzipped(events: Pieces) -> Pieces:
    packer = zlib.compressobj(wbits=31)
    packed = [packer.compress(event) + packer.flush(zlib.Z_SYNC_FLUSH) for event in events]
    packed[-1] += packer.flush()
    return tuple(packed)


class Connection(asyncio.Protocol):
    """One client connection: takes requests off it in order and writes each answer as its plan says."""

    def __init__(self, answer: Callable[[Received], tuple[Plan, Pieces]], connections: set[Connection]) -> None:
        self.answer = answer
        self.connections = connections
        self.buffer = bytearray()
        self.task: asyncio.Task[None] | None = None
        self.current: Received | None = None
        self.flowing = asyncio.Event()
        self.flowing.set()
        self.chunks: list[bytes] = []
        self.scanned = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.connections.add(self)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        self.advance()

    def pause_writing(self) -> None:
        self.flowing.clear()

    def resume_writing(self) -> None:
        self.flowing.set()

    def advance(self) -> None:
        """Answer what has fully arrived, until an answer takes its time."""
        while self.task is None and (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = bytes(self.buffer[:end])
            lowered = head.lower()
            body = self._chunked(end + 4) if CHUNKED.search(lowered) else self._sized(lowered, end + 4)
            if body is None:
                return
            received = Received(head, body)
            plan, pieces = self.answer(received)
            last = b"\r\nconnection: close" in lowered
            if plan.takes_time or len(pieces) > MANY:
                self.current = received
                self.task = asyncio.get_running_loop().create_task(self.perform(received, plan, pieces, last))
                continue
            whole = b"".join(pieces)
            received.written = len(whole)
            self.transport.write(whole)
            if last:
                self.transport.close()
                return

    def _sized(self, lowered: bytes, start: int) -> bytes | None:
        match = LENGTH.search(lowered)
        total = start + (int(match[1]) if match else 0)
        return self._taken(start, total) if len(self.buffer) >= total else None

    def _chunked(self, start: int) -> bytes | None:
        at = max(self.scanned, start)
        while (end := self.buffer.find(b"\r\n", at)) >= 0:
            size = int(self.buffer[at:end].partition(b";")[0], 16)
            if len(self.buffer) < end + size + 4:
                break
            at = end + size + 4
            if not size:
                body = b"".join(self.chunks)
                self.chunks, self.scanned = [], 0
                del self.buffer[:at]
                return body
            self.chunks.append(bytes(self.buffer[end + 2 : end + 2 + size]))
        self.scanned = at
        return None

    def _taken(self, start: int, end: int) -> bytes:
        body = bytes(self.buffer[start:end])
        del self.buffer[:end]
        return body

    async def perform(self, received: Received, plan: Plan, pieces: Pieces, last: bool) -> None:
        """Write an answer that waits, comes in pieces or breaks off."""
        if plan.hang:
            await asyncio.Event().wait()
        await asyncio.sleep(plan.delay)
        if not plan.drop:
            await self.write(received, plan, pieces)
        if plan.hang_after is not None:
            await asyncio.Event().wait()
        self.task = self.current = None
        if plan.drop or plan.die or plan.die_after is not None or last:
            self.transport.close()
        else:
            self.advance()

    async def write(self, received: Received, plan: Plan, pieces: Pieces) -> None:
        if plan.split:
            whole = b"".join(pieces)
            pieces = tuple(whole[start : start + plan.split] for start in range(0, len(whole), plan.split))
        elif not plan.gap and len(pieces) <= MANY:
            pieces = (b"".join(pieces),)
        elif len(pieces) > 1:
            # The head leaves together with the first event, as a model's first token brings both.
            pieces = (pieces[0] + pieces[1], *pieces[2:])
        for number, piece in enumerate(pieces):
            if number and (plan.gap or plan.split):
                await asyncio.sleep(plan.gap)
            await self.flowing.wait()
            self.transport.write(piece)
            received.written += len(piece)

    def connection_lost(self, exc: Exception | None) -> None:
        self.connections.discard(self)
        if self.current is not None:
            self.current.disconnected = True
        if self.task is not None:
            self.task.cancel()
