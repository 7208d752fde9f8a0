"""Streams through the proxy in each API."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

from app.dialects.sse import EventSplitter
from tests.support.proxy import STRONG, Proxy

HI = [{"role": "user", "content": "hi"}]
#: By routed API: its path, a request for a stream, and a mark of events with text.
APIS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"messages": HI}),
    "responses": ("/v1/responses", {"input": "hi"}),
    "messages": ("/v1/messages", {"messages": HI, "max_tokens": 9}),
}


def cut(body: bytes) -> list[bytes]:
    """Split a stream, which ends with an event, into events."""
    events = EventSplitter()
    found = events.feed(body)
    assert events.rest() == b""
    return found


async def stream(
    proxy: Proxy, api: str = "chat", plan: str = "", model: str = STRONG, **fields: Any
) -> tuple[aiohttp.ClientResponse, bytes]:
    """Read a whole stream."""
    path, body = APIS[api]
    headers = {"x-fake": plan} if plan else {}
    body = {"model": model, "stream": True, **body, **fields}
    async with proxy.http() as http, http.post(path, json=body, headers=headers) as response:
        return response, await response.read()


def anonymous(body: bytes) -> bytes:
    """Return a stream without what differs from one to the next."""
    return re.sub(rb"_[0-9a-f]{8}\d{24}", b"_NUMBER", body)


# ---- a provider by hand


class provider:  # noqa: N801
    """A provider that writes a head, calls `says` to write the rest, and closes; entering it returns its URL."""

    HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"

    def __init__(self, says: Callable[[asyncio.StreamWriter], Awaitable[None]], head: bytes = HEAD) -> None:
        self.says, self.head = says, head

    async def __aenter__(self) -> str:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/v1"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        writer.write(self.head)
        await self.says(writer)
        writer.close()
        await writer.wait_closed()

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        await self.server.wait_closed()


async def redirected(proxy: Proxy, url: str) -> None:
    """Set the provider's base URL, and wait until the proxy has noticed."""
    await proxy.admin.fetch("select router.put_provider('fake', $1, null)", url)
    for _ in range(200):
        if (await proxy.services.directory.catalog()).providers["fake"].base_url == url:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the proxy did not hear of it")
