"""Uploads through the proxy: forwarded piece by piece, with no limit of size."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from tests.support.proxy import Proxy, ProxyFactory
from tests.support.raw_provider import OK, call, provider, served_by

MEBIBYTE = 1024 * 1024


@pytest.mark.parametrize("sized", [True, False])
async def test_an_upload_is_passed_on_piece_by_piece_and_not_kept(proxies: ProxyFactory, sized: bool) -> None:
    """The client sends a piece when the provider has the one before, so that a buffering proxy would wait for ever."""
    piece, count = b"x" * 1000, 8
    got: asyncio.Queue[int] = asyncio.Queue()

    async def serve(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert (b"content-length: 8000" in head.lower()) == sized
        seen = 0
        while seen < count * len(piece):
            seen += (await reader.read(65536)).count(b"x")
            got.put_nowait(seen)
        writer.write(OK)
        await writer.drain()

    async def body() -> AsyncIterator[bytes]:
        for number in range(count):
            yield piece
            while await got.get() < (number + 1) * len(piece):
                pass

    async with proxies(max_body=1024) as proxy, provider(serve) as url:
        await served_by(proxy, url)
        headers = {"content-length": "8000"} if sized else {}
        async with asyncio.timeout(30):
            assert await call(proxy, "POST", "/v1/files", data=body(), headers=headers) == (200, b"ok")


async def test_a_provider_that_does_not_read_stops_the_upload(proxy: Proxy) -> None:
    """Of 60 MiB the client can send no more than the socket buffers in between hold."""
    sent = 0
    asked = asyncio.Event()

    async def serve(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await asyncio.Event().wait()

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(60):
            yield b"x" * MEBIBYTE
            sent += 1

    async with provider(serve) as url:
        await served_by(proxy, url)
        task = asyncio.create_task(call(proxy, "POST", "/v1/files", data=body()))
        await asked.wait()
        before = -1
        while before != sent:
            before = sent
            await asyncio.sleep(0.3)
        assert 0 < sent < 40
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_client_that_leaves_during_its_upload_leaves_the_provider_too(proxy: Proxy) -> None:
    asked, left = asyncio.Event(), asyncio.Event()

    async def serve(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        with suppress(ConnectionError):
            while await reader.read(65536):
                pass
        left.set()

    async def body() -> AsyncIterator[bytes]:
        yield b"x" * 1000
        await asyncio.Event().wait()

    async with provider(serve) as url:
        await served_by(proxy, url)
        task = asyncio.create_task(call(proxy, "POST", "/v1/files", data=body()))
        async with asyncio.timeout(30):
            await asked.wait()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await left.wait()


async def test_an_answer_before_the_upload_is_through_is_the_answer(proxy: Proxy) -> None:
    async def serve(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 413 No\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno")
        await writer.drain()
        with suppress(ConnectionError):
            while await reader.read(65536):
                pass

    async def body() -> AsyncIterator[bytes]:
        yield b"x" * 1000
        await asyncio.Event().wait()

    async with provider(serve) as url:
        await served_by(proxy, url)
        async with asyncio.timeout(30):
            assert await call(proxy, "POST", "/v1/files", data=body()) == (413, b"no")


async def test_an_upload_may_take_longer_than_an_answer_may_be_waited_for(proxies: ProxyFactory) -> None:
    async def serve(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while b"end" not in await reader.read(65536):
            pass
        writer.write(OK)
        await writer.drain()

    async def body() -> AsyncIterator[bytes]:
        ends = asyncio.get_running_loop().time() + 1.2
        while asyncio.get_running_loop().time() < ends:
            yield b"x"
            await asyncio.sleep(0.02)
        yield b"end"

    async with proxies(first_byte_timeout=1.0) as proxy, provider(serve) as url:
        await served_by(proxy, url)
        assert await call(proxy, "POST", "/v1/files", data=body()) == (200, b"ok")
