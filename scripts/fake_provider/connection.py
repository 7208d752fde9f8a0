"""Reads the requests of a connection, and writes their answers by plan."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import cast

from scripts.fake_provider.plan import Plan
from scripts.fake_provider.wire import Pieces, Received

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)")
CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked")
#: Maximum number of pieces that are written at once; more are written one by one, with flow control.
MANY = 500


class Connection(asyncio.Protocol):
    """A client connection: reads requests in order and writes each answer by its plan."""

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
        """Answer complete requests, until an answer cannot be written at once."""
        while self.task is None and (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = bytes(self.buffer[:end])
            lowered = head.lower()
            body = self._chunked(end + 4) if CHUNKED.search(lowered) else self._sized(lowered, end + 4)
            if body is None:
                return
            received = Received(head, body)
            plan, pieces = self.answer(received)
            if received.method == "HEAD":
                pieces = pieces[:1]
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
        """Write an answer that is delayed, split or cut off."""
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
            # The head is written with the first event, like a provider whose first token triggers both.
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
