"""A provider that serves one raw connection at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from app.store import providers
from tests.support.proxy import Proxy

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
#: A chat completion, for routed requests.
COMPLETION = b'HTTP/1.1 200 OK\r\ncontent-length: 44\r\n\r\n{"choices":[{"message":{"content":"Yes."}}]}'
Serve = Callable[[bytes, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def provider(serve: Serve, limit: int = 2**16) -> AsyncIterator[str]:
    """Run a provider whose `serve` gets each request's head and connection; yields its URL."""
    busy: set[asyncio.Task[Any]] = set()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        busy.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await serve(await reader.readuntil(b"\r\n\r\n"), reader, writer)
        finally:
            busy.discard(task)
            writer.close()

    server = await asyncio.start_server(one, "127.0.0.1", 0, limit=limit)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    server.close()
    for task in list(busy):
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await server.wait_closed()


async def served_by(proxy: Proxy, url: str, name: str = "fake", **options: Any) -> None:
    """Set the base URL of the provider of that name."""
    await providers.put_provider(proxy.admin, name, url, None, **options)
    proxy.services.directory.invalidate()


async def call(proxy: Proxy, method: str, path: str, **options: Any) -> tuple[int, bytes]:
    async with proxy.http() as http, http.request(method, path, **options) as response:
        return response.status, await response.read()
