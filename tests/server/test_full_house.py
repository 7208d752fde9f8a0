"""A server that is out of descriptors, connections or memory for bodies answers 503, logs it once, and recovers."""

from __future__ import annotations

import asyncio
import json
import resource
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from app.server.serve import MIN_CONNECTIONS, _connections
from app.store.database import Database
from scripts.fake_provider.server import Running
from tests.support.process import Serve
from tests.support.proxy import add_models, make_tenant

MIB = 1024 * 1024
CHAT = json.dumps({"model": "auto", "messages": [{"role": "user", "content": "Hello"}]}).encode()
LIMIT_FILES = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))"


class Server:
    """A running server, its address and a key for it."""

    def __init__(self, serve: Serve, key: str) -> None:
        address = urlsplit(serve.until_ready()["base_url"])
        assert address.hostname is not None
        assert address.port is not None
        self.serve, self.key, self.host, self.port = serve, key, address.hostname, address.port

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self.host, self.port)

    def head(self, length: int) -> bytes:
        return (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {self.key}\r\n"
            f"content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        ).encode()

    async def ask(self) -> bytes:
        """Send a chat request on a new connection, and return the first bytes of the answer."""
        reader, writer = await self.connect()
        try:
            writer.write(self.head(len(CHAT)) + CHAT)
            return await asyncio.wait_for(reader.read(16), 10)
        except OSError:
            return b""
        finally:
            writer.close()

    async def until_served(self) -> None:
        async with asyncio.timeout(10):
            while not (await self.ask()).startswith(b"HTTP/1.1 200"):
                await asyncio.sleep(0.1)


@pytest.fixture
def running(database: str, upstream: Running, tmp_path: Path) -> Callable[..., Any]:
    @asynccontextmanager
    async def start(first: str = "", **environ: str) -> AsyncIterator[Server]:
        admin = Database(database, size=1, role=None)
        await admin.open()
        await add_models(admin, upstream.url)
        _, key = await make_tenant(admin, "acme")
        await admin.close()
        serve = Serve(first=first, DATABASE_URL=database, PGROUTER_HOME=str(tmp_path), **environ)
        server = await asyncio.to_thread(Server, serve, key)
        try:
            yield server
        finally:
            await asyncio.to_thread(serve.stop, signal.SIGTERM)

    return start


async def closed(reader: asyncio.StreamReader, within: float = 10) -> bytes:
    """Return all that comes until the server closes the connection."""
    try:
        return await asyncio.wait_for(reader.read(), within)
    except ConnectionError:
        return b""


async def test_without_descriptors_clients_get_503_and_service_recovers(running: Callable[..., Any]) -> None:
    files = 128
    async with running(LIMIT_FILES.format(soft=files, hard=files)) as server:
        await server.until_served()
        idle = [await server.connect() for _ in range(3 * files)]
        try:
            answers = await asyncio.gather(*(closed(reader, 3) for reader, _ in idle[files:]), return_exceptions=True)
            refused = [each for each in answers if isinstance(each, bytes)]
            assert len(refused) == len(answers), "those over the limit are closed"
            assert sum(each.startswith(b"HTTP/1.1 503 ") for each in refused) > len(refused) // 2
            reader, writer = idle[0]
            writer.write(server.head(len(CHAT)) + CHAT)
            assert (await asyncio.wait_for(reader.read(16), 10)).startswith(b"HTTP/1.1 200"), "an old one is served"
        finally:
            for _, writer in idle:
                writer.close()
        await server.until_served()
    lines = [line for line in server.serve.output.splitlines() if "connections are open" in line]
    assert len(lines) == 1, server.serve.output
    assert "Too many open files" not in server.serve.output


async def test_every_connection_that_is_let_in_reaches_its_provider(running: Callable[..., Any]) -> None:
    files = 128
    async with running(LIMIT_FILES.format(soft=files, hard=files)) as server:
        answers = await asyncio.gather(*(server.ask() for _ in range(files)))
        assert {answer[:12] for answer in answers} <= {b"HTTP/1.1 200", b"HTTP/1.1 503"}
        assert sum(answer.startswith(b"HTTP/1.1 200") for answer in answers) >= MIN_CONNECTIONS
        await server.until_served()
    assert "Too many open files" not in server.serve.output


async def test_the_limit_of_open_files_is_raised(running: Callable[..., Any]) -> None:
    hard = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 4096)
    async with running(LIMIT_FILES.format(soft=256, hard=hard)) as server:
        found = psutil.Process(server.serve.process.pid).rlimit(psutil.RLIMIT_NOFILE)
    assert found == (hard, hard)
    assert f"raised from 256 to {hard}" in server.serve.output


@pytest.mark.parametrize(("descriptors", "connections"), [(16, 16), (128, 32), (1024, 480), (1_000_000, 499_968)])
def test_clients_may_have_half_of_the_descriptors(descriptors: int, connections: int) -> None:
    assert _connections(descriptors) == connections


@pytest.mark.parametrize("sent", [b"", b"POST /v1/chat", b"GET / HTTP/1.1\r\nhost: h\r\n"])
async def test_idle_connections_and_half_heads_are_closed(running: Callable[..., Any], sent: bytes) -> None:
    async with running(ROUTER_HEAD_TIMEOUT="1") as server:
        reader, writer = await server.connect()
        writer.write(sent)
        assert (await closed(reader)).startswith(b"HTTP/1.1 408 ")
        writer.close()


@pytest.mark.parametrize("piece", [MIB, 64 * 1024 + 1])
async def test_half_uploads_hold_at_most_the_memory_for_bodies(running: Callable[..., Any], piece: int) -> None:
    most, each, count = 64 * MIB, 20 * MIB - 4096, 16
    async with running(ROUTER_BODY_MEMORY_BYTES=str(most)) as server:
        await server.until_served()
        process = psutil.Process(server.serve.process.pid)
        before = process.memory_info().rss

        async def upload() -> asyncio.StreamWriter:
            writer: asyncio.StreamWriter = (await server.connect())[1]
            writer.write(server.head(each))
            try:
                for _ in range((each - MIB) // piece):
                    writer.write(b"x" * piece)
                    await writer.drain()
            except ConnectionError:
                pass
            return writer

        writers = await asyncio.gather(*(upload() for _ in range(count)))
        await asyncio.sleep(0.5)
        grown = process.memory_info().rss - before
        print(f"{count} half uploads of {each / MIB:.0f} MiB hold {grown / MIB:.0f} MiB")
        assert grown < 2 * most
        assert (await server.ask()).startswith(b"HTTP/1.1 200"), "small requests are served all the while"
        for writer in writers:
            writer.close()
        await server.until_served()
    lines = [line for line in server.serve.output.splitlines() if "ROUTER_BODY_MEMORY_BYTES" in line]
    assert len(lines) == 1, server.serve.output
