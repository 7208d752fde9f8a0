"""A cheap load generator: HTTP/1.1 over persistent connections, one request at a time on each.

It runs in one process on one core, only finds the end of each answer, and takes about 20 microseconds a request;
`bench_proxy.py` prints its processor time.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import cast

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_REASON = re.compile(rb"\r\nx-router-reason: (\w+)")
_OVERHEAD = re.compile(rb"\r\nx-router-overhead-ms: ([\d.]+)")
_LAST_CHUNK = b"\r\n0\r\n\r\n"


@dataclass(slots=True)
class Measured:
    """The results of a run: a latency and a wait for the first byte of the body for each request, in milliseconds.

    `overheads` and `reasons` are from the answers' headers, if present; `seconds` is the length of the run.
    """

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    first_bytes: list[float] = field(default_factory=list)
    overheads: list[float] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def per_second(self) -> float:
        """Answers per second."""
        return len(self.latencies) / self.seconds


def quantile(values: list[float], share: float) -> float:
    """Return the value that this share of `values` (not empty) does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


async def load(host: str, port: int, requests: Iterator[bytes], connections: int, seconds: float) -> Measured:
    """Send `requests` on so many connections, each connection the next one as soon as it has its answer.

    Raises `RuntimeError` with the answer if one is not a 200, or if a connection is lost.
    """
    loop = asyncio.get_running_loop()
    measured = Measured()
    clients = [
        (await loop.create_connection(lambda: _Client(requests, measured), host, port))[1] for _ in range(connections)
    ]
    began = perf_counter_ns()
    for client in clients:
        client.until = began + int(seconds * 1e9)
        client.next()
    try:
        await asyncio.gather(*(client.done for client in clients))
        measured.seconds = (perf_counter_ns() - began) / 1e9
    finally:
        for client in clients:
            client.transport.abort()
    return measured


class _Client(asyncio.Protocol):
    """One connection, which sends requests until its time is up."""

    def __init__(self, requests: Iterator[bytes], measured: Measured) -> None:
        self.requests = requests
        self.measured = measured
        self.until = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def next(self) -> None:
        """Send another request, or stop."""
        request = next(self.requests)
        self.answer = b""
        self.body_at = self.ends_at = self.first_byte = 0
        self.sent = perf_counter_ns()
        if self.sent >= self.until:
            self.done.set_result(None)
            return
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.answer += data
        if not self.body_at:
            end = self.answer.find(b"\r\n\r\n")
            if end < 0:
                return
            self.body_at = end + 4
            match = _LENGTH.search(self.answer, 0, self.body_at)
            self.ends_at = self.body_at + int(match[1]) if match else 0
        if not self.first_byte and len(self.answer) > self.body_at:
            self.first_byte = perf_counter_ns()
        whole = len(self.answer) >= self.ends_at if self.ends_at else self.answer.endswith(_LAST_CHUNK)
        if whole and not self.done.done():
            self.finish()

    def finish(self) -> None:
        """Record an answer and send the next request."""
        now = perf_counter_ns()
        if not self.answer.startswith(b"HTTP/1.1 200 "):
            self.done.set_exception(RuntimeError(f"not a 200: {self.answer[:1000]!r}"))
            return
        measured = self.measured
        measured.latencies.append((now - self.sent) / 1e6)
        measured.first_bytes.append((self.first_byte - self.sent) / 1e6)
        reason = _REASON.search(self.answer, 0, self.body_at)
        if reason:
            measured.reasons[reason[1].decode()] += 1
            overhead = _OVERHEAD.search(self.answer, 0, self.body_at)
            if overhead:
                measured.overheads.append(float(overhead[1]))
        self.next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError(f"the connection was lost: {exc or 'closed'}"))
