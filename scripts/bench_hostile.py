"""How long other requests wait, and how much memory the proxy takes, while hostile bodies and connections come.

A client asks `/healthz` again and again on a connection of its own, every two milliseconds; the longest of its waits is
the longest time for which the event loop stood still, plus about a millisecond. The baseline is the same in the same
run beside ordinary chat requests. `peak` is the most memory that the process took, against the peak with the ordinary
requests. The rows are one for each body of `scripts/proxy/hostile_bodies.py`, of 20 MB, and one for each kind of
hostile connection: pipelined upgrades, idle ones, half heads, half uploads.

The proxy is `python -m app serve` with its defaults, the provider `scripts/fake_provider/server.py`; Postgres is
embedded, or on the server of TEST_DATABASE_URL or DATABASE_URL. On a machine with other work all waits are longer, the
baseline too. --quick sends each body once instead of three times, and fewer connections."""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.fake_provider.server import running_upstream
from scripts.proxy.hostile_bodies import BODIES, SIZE
from scripts.support.processes import peak_mib, running_proxy, seed
from scripts.support.report import Baseline, Report, options, say
from scripts.support.scratch import scratch_database

#: Longest wait that is allowed, milliseconds.
MOST = 50.0
ORDINARY = b'{"model":"auto","messages":[{"role":"user","content":"Write a haiku about the sea."}]}'
PROBE = b"GET /healthz HTTP/1.1\r\nhost: h\r\n\r\n"
UPGRADE = b"GET / HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"
HALF_HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\n"


@dataclass(frozen=True, slots=True)
class Target:
    """The proxy under test."""

    host: str
    port: int
    pid: int
    key: str

    def head(self, length: int) -> bytes:
        """Return the head of a chat request with a body of `length` bytes."""
        return HALF_HEAD + f"authorization: Bearer {self.key}\r\ncontent-length: {length}\r\n\r\n".encode()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection."""
        return await asyncio.open_connection(self.host, self.port)

    async def send(self, body: bytes) -> None:
        """Send a chat request and wait until its answer has begun."""
        reader, writer = await self.connect()
        with suppress(ConnectionError):
            writer.write(self.head(len(body)))
            for start in range(0, len(body), 1024 * 1024):
                writer.write(body[start : start + 1024 * 1024])
                await writer.drain()
            await reader.read(1)
        writer.close()

    async def hold(self, sent: bytes, count: int, seconds: float) -> None:
        """Keep `count` connections open for some seconds after `sent` was written to each."""
        opened = [await self.connect() for _ in range(count)]

        async def write(writer: asyncio.StreamWriter) -> None:
            with suppress(ConnectionError):
                writer.write(sent)
                await writer.drain()

        writing = [asyncio.create_task(write(writer)) for _, writer in opened]
        await asyncio.wait(writing, timeout=seconds)
        await asyncio.sleep(seconds / 2)
        for task in writing:
            task.cancel()
        for _, writer in opened:
            writer.transport.abort()


def probe(host: str, port: int, pipe: Connection) -> None:
    """Ask `/healthz` until something comes over `pipe`; then send the longest wait in milliseconds."""
    longest = 0.0
    with socket.create_connection((host, port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pipe.send(0.0)
        while not pipe.poll():
            began = time.perf_counter()
            connection.sendall(PROBE)
            # Head and body come in one piece.
            connection.recv(64 * 1024)
            longest = max(longest, time.perf_counter() - began)
            time.sleep(0.002)
    pipe.send(longest * 1000)


def measured(target: Target, work: Callable[[], Awaitable[None]]) -> tuple[float, float | None]:
    """Run `work` beside a probe in another process; return its longest wait in ms, and the peak memory in MiB."""
    with suppress(OSError):
        Path(f"/proc/{target.pid}/clear_refs").write_text("5")
    context = multiprocessing.get_context("spawn")
    pipe, theirs = context.Pipe()
    process = context.Process(target=probe, args=(target.host, target.port, theirs), daemon=True)
    process.start()
    pipe.recv()

    async def run() -> None:
        await work()

    asyncio.run(run())
    time.sleep(0.05)
    pipe.send(None)
    longest: float = pipe.recv()
    process.join()
    return longest, peak_mib(target.pid)


def main() -> None:
    """Run the command line; `--help` prints the docstring of this module."""
    given = options(__doc__).parse_args()
    rows = Report(given)
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pgrouter-bench-")))
        upstream = stack.enter_context(running_upstream(log=False))
        dsn = stack.enter_context(scratch_database())
        key = seed(dsn, home, upstream.url)
        url, pid = stack.enter_context(running_proxy(dsn, home))
        at = urlsplit(url)
        assert at.hostname is not None
        assert at.port is not None
        run(Target(at.hostname, at.port, pid, key), rows, quick=given.quick)
    rows.finish()


def run(target: Target, rows: Report, *, quick: bool) -> None:
    """Measure all bodies and connections, and add their rows."""

    async def ordinary() -> None:
        for _ in range(100 if quick else 500):
            await target.send(ORDINARY)

    measured(target, ordinary)
    wait, memory = measured(target, ordinary)
    rows.add("longest wait", wait, "ms", params={"beside": "ordinary requests"})
    rows.add("peak memory", memory, "MiB", params={"beside": "ordinary requests"})

    def add(name: str, work: Callable[[], Awaitable[None]], turns: int) -> None:
        found = [measured(target, work) for _ in range(turns)]
        value = statistics.median(each for each, _ in found)
        peaks = [peak for _, peak in found if peak is not None]
        params = {"beside": name}
        rows.add("longest wait", value, "ms", params=params, baseline=Baseline("ordinary", wait), under=MOST)
        if peaks and memory is not None:
            rows.add("peak memory", max(peaks), "MiB", params=params, baseline=Baseline("ordinary", memory))

    for name, make in BODIES.items():
        say(name)
        body = make(SIZE)
        add(name, lambda body=body: target.send(body), 1 if quick else 3)  # type: ignore[misc]
    count = 100 if quick else 300
    half = target.head(SIZE) + b"x" * (SIZE // 2)
    for name, sent, number in (
        ("pipelined upgrades", UPGRADE * (260_000 // len(UPGRADE)), 20),
        ("idle connections", b"", count),
        ("half heads", HALF_HEAD, count),
        ("half uploads of 10 MB", half, count),
    ):
        say(name)
        add(f"{number} {name}", lambda sent=sent, number=number: target.hold(sent, number, 2.0), 1)  # type: ignore[misc]


if __name__ == "__main__":
    main()
