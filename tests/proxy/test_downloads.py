"""Downloads through the proxy."""

from __future__ import annotations

import asyncio
import gzip
from contextlib import suppress

import aiohttp
import pytest

from tests.support.proxy import Proxy
from tests.support.raw_provider import call, provider, served_by


async def test_a_client_that_leaves_during_a_download_leaves_the_provider_too(proxy: Proxy) -> None:
    left = asyncio.Event()

    async def serve(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n")
        with suppress(ConnectionError):
            while not reader.at_eof():
                writer.write(b"x" * 1000)
                await writer.drain()
                await asyncio.sleep(0.01)
        left.set()

    async with provider(serve) as url:
        await served_by(proxy, url)
        async with proxy.http() as http:
            async with http.get("/v1/files/file-1/content") as response:
                assert await response.content.readany()
                response.close()
            async with asyncio.timeout(30):
                await left.wait()


@pytest.mark.parametrize("packed", [False, True])
async def test_a_broken_stream_ends_with_an_error_unless_it_is_compressed(proxy: Proxy, packed: bool) -> None:
    event = b"data: 1\n\n"
    piece = gzip.compress(event)[:-8] if packed else event
    encoding = b"content-encoding: gzip\r\n" if packed else b""

    async def serve(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        kind = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n"
        writer.write(kind + encoding + b"\r\n%x\r\n%b\r\n" % (len(piece), piece))
        await writer.drain()

    async with provider(serve) as url:
        await served_by(proxy, url)
        if packed:
            with pytest.raises(aiohttp.ClientError):
                await call(proxy, "GET", "/v1/responses/resp_1?stream=true")
            return
        _, body = await call(proxy, "GET", "/v1/responses/resp_1?stream=true")
    assert body.startswith(event)
    assert b"upstream_unavailable" in body


async def test_an_answer_that_breaks_off_is_seen_to(proxy: Proxy) -> None:
    async def serve(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
        await writer.drain()

    async with provider(serve) as url:
        await served_by(proxy, url)
        with pytest.raises(aiohttp.ClientPayloadError):
            await call(proxy, "GET", "/v1/files/file-1/content")


async def test_a_head_has_no_body(proxy: Proxy) -> None:
    async def serve(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert head.startswith(b"HEAD ")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 12345\r\n\r\n")
        await writer.drain()

    async with provider(serve) as url:
        await served_by(proxy, url)
        async with proxy.http() as http, http.head("/v1/files/file-1/content") as response:
            assert (response.status, response.headers["content-length"]) == (200, "12345")
