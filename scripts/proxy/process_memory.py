"""Memory of the proxy after many requests, and while clients read slowly."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from time import monotonic, sleep
from urllib.parse import urlsplit

from app.settings import Settings
from scripts.proxy.report import FLAT, p50
from scripts.proxy.turns import BUSY, Way
from scripts.support.processes import resident_mib
from scripts.support.report import Baseline, Params, Report
from scripts.support.traffic import request

#: Default size of the embedding cache: the process reaches its full size only when the cache is full.
REMEMBERED = Settings().embedding_cache
#: Number of slow readers, and events of the stream that each requests: about 7 MB.
READERS, EVENTS = 20, 20_000
#: Target: MiB for each slow reader, which is the size of the buffers on the way.
HELD = 3.0


def fill(new: Way) -> None:
    """Send new prompts until the embedding cache is full."""
    sent = 0
    while sent < REMEMBERED:
        sent += len(new.send(BUSY, 2.0).latencies)


def many(ways: Sequence[Way], wanted: int) -> int:
    """Send at least `wanted` requests, some of each way in turn; return the number of answers."""
    sent = 0
    while sent < wanted:
        for way in ways:
            sent += len(way.send(BUSY, 1.0).latencies)
    return sent


def grown(rows: Report, pid: int, before: float | None, requests: int) -> None:
    """Add the memory of process `pid` compared with `before`, and the growth with its target."""
    now = resident_mib(pid)
    params: Params = {"requests": requests, "since": "warming up"}
    baseline = Baseline("before", before) if before is not None else None
    rows.add("memory of the proxy", now, "MiB", params=params, baseline=baseline)
    growth = None if now is None or before is None else now - before
    rows.add("memory growth", growth, "MiB", params=params, under=FLAT)


def slow_readers(rows: Report, pid: int, proxy: str, key: str, passed: Way, seconds: float) -> None:
    """Add the cost of clients that request a long stream and do not read it: memory, and latency of others."""
    url = urlsplit(proxy)
    before = resident_mib(pid)
    alone = p50(passed.send(1, seconds))
    message = request(url.netloc, key, "auto", "Count.", plan=f"chunks={EVENTS}")
    with ExitStack() as stack:
        readers = [stack.enter_context(_reader(url.hostname or "", url.port or 0, message)) for _ in range(READERS)]
        size = _begun(readers)
        beside = p50(passed.send(1, seconds))
        now = resident_mib(pid)
    assert size == READERS, f"{READERS - size} of {READERS} streams did not begin"
    params: Params = {"readers": READERS, "events each": EVENTS}
    each = None if now is None or before is None else (now - before) / READERS
    rows.add("memory a slow reader takes", each, "MiB", params=params, under=HELD)
    beside_them: Params = {"path": passed.name, "connections": 1, **params}
    baseline = Baseline("without them", alone)
    rows.add("latency p50 beside slow readers", beside, "ms", params=beside_them, baseline=baseline)


@contextmanager
def _reader(host: str, port: int, message: bytes) -> Iterator[socket.socket]:
    with socket.socket() as reader:
        # Set before connecting, so that the system's receive buffer stays small.
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.connect((host, port))
        reader.sendall(message)
        yield reader


def _begun(readers: Sequence[socket.socket]) -> int:
    """Return the number of answered readers, by peeking; then wait while data accumulates."""
    found = 0
    until = monotonic() + 5
    for reader in readers:
        reader.settimeout(max(0.01, until - monotonic()))
        try:
            found += reader.recv(15, socket.MSG_PEEK).startswith(b"HTTP/1.1 200")
        except TimeoutError:
            continue
    sleep(2.0)
    return found
