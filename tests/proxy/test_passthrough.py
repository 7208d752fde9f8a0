"""The paths that name no model: who serves them, bodies of any size on their way, and what is not let through."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from app.store import limits, policies, providers
from scripts.fake_provider.server import Running
from tests.conftest import ProxyFactory
from tests.support.proxy import STRONG, Proxy
from tests.support.raw_http import Asked, exchange

MEBIBYTE = 1024 * 1024
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
Serve = Callable[[bytes, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def provider(serve: Serve, limit: int = 2**16) -> AsyncIterator[str]:
    """A provider by hand: `serve` gets each request's head and connection; its URL."""
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
    """Have a provider of that name be at `url`."""
    await providers.put_provider(proxy.admin, name, url, None, **options)
    proxy.services.directory.invalidate()


async def call(proxy: Proxy, method: str, path: str, **options: Any) -> tuple[int, bytes]:
    async with proxy.http() as http, http.request(method, path, **options) as response:
        return response.status, await response.read()


# ---- uploads


@pytest.mark.parametrize("sized", [True, False])
async def test_an_upload_is_passed_on_piece_by_piece_and_not_kept(proxies: ProxyFactory, sized: bool) -> None:
    """The client sends a piece when the provider has the one before, so that whoever buffers waits for ever."""
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
    """Of 60 MiB the client gets rid of what the sockets between hold, and no more."""
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


# ---- downloads


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
async def test_a_stream_that_dies_says_so_unless_it_is_compressed(proxy: Proxy, packed: bool) -> None:
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


# ---- what is not let through


@pytest.mark.parametrize(
    "path",
    ["/v1/../admin", "/v1/files/../../admin", "/v1/%2e%2e/admin", "/v1/%2E./admin", "/v1/files/..%2f..%2fadmin",
     "/v1/%252e%252e/admin", "/v1/..\\admin", "/v1/..%5cadmin", "/v1/files/./x", "/v1/files/%2e", "/v1/files/.."],
)  # fmt: skip
async def test_no_path_leads_out_of_the_providers(proxy: Proxy, upstream: Running, path: str) -> None:
    came = await exchange(proxy.url, proxy.key, Asked("GET", path))
    assert came.status in (400, 404)
    assert upstream.log() == []


@pytest.mark.parametrize(
    "path", ["/v1/files/..a", "/v1/files/a..b", "/v1/files/a%2Fb", "/v1//files", "/v1/x/...?a=../.."]
)
async def test_odd_paths_that_lead_nowhere_else_pass(proxy: Proxy, upstream: Running, path: str) -> None:
    await exchange(proxy.url, proxy.key, Asked("PUT", path, b"x"))
    assert [entry["path"] for entry in upstream.log()] == [path]


@pytest.mark.parametrize("path", ["/v1/files", "/v1/chat/completions"])
async def test_headers_beyond_ascii_arrive_as_the_bytes_they_were(proxy: Proxy, upstream: Running, path: str) -> None:
    title = "日本 é".encode().decode("latin-1")
    body = b'{"model":"strong","messages":[{"role":"user","content":"hi"}]}'
    await exchange(proxy.url, proxy.key, Asked("POST", path, body, (("X-Title", title),)))
    (entry,) = upstream.log()
    assert title in dict(entry["headers"]).values()


@pytest.mark.parametrize("path", ["/v1/router", "/v1/router/nowhere", "/v1/router/admin/x/y"])
async def test_the_routers_own_paths_are_no_providers(proxy: Proxy, upstream: Running, path: str) -> None:
    assert (await call(proxy, "GET", path))[0] == 404
    assert upstream.log() == []


@pytest.mark.parametrize(
    "path",
    ["chat/completions/", "/chat/completions", "chat%252fcompletions", "Chat/Completions",
     "%65mbeddings/", "messages//", "responses/"],
)  # fmt: skip
async def test_what_is_counted_is_not_passed_on_uncounted_by_another_spelling(
    proxy: Proxy, upstream: Running, path: str
) -> None:
    came = await exchange(proxy.url, proxy.key, Asked("POST", f"/v1/{path}", b'{"model": "strong"}'))
    assert (came.status, b"unknown_url" in came.body or b"not_found" in came.body) == (404, True)
    assert upstream.log() == []


async def test_an_operator_may_keep_other_paths_shut(proxies: ProxyFactory, upstream: Running) -> None:
    upstream.clear()
    async with proxies(other_paths=False) as proxy:
        assert (await call(proxy, "GET", "/v1/files"))[0] == 404
        assert (await call(proxy, "GET", "/v1/models"))[0] == 200
    assert upstream.log() == []


async def test_without_a_key_nothing_passes(proxy: Proxy, upstream: Running) -> None:
    for key, path in (("", "/v1/files"), ("rk-wrong", "/v1/files"), ("sk-other", "/v1/messages/batches")):
        came = await exchange(proxy.url, key, Asked("POST", path, b"{}"))
        assert came.status == 401, path
        assert (b'"type":"authentication_error"' in came.body) == ("messages" in path)
    assert upstream.log() == []


async def test_a_header_cannot_be_smuggled_in(proxy: Proxy, upstream: Running) -> None:
    """Percent signs stay what they are, and what the wire cannot carry does not get that far."""
    assert (await exchange(proxy.url, proxy.key, Asked("GET", "/v1/files/a%0d%0ax-evil:%201"))).status == 404
    await exchange(proxy.url, proxy.key, Asked("GET", "/v1/files/a%20b?b=%0d%0ax-evil:%201"))
    (entry,) = upstream.log()
    assert entry["path"] == "/v1/files/a%20b?b=%0d%0ax-evil:%201"
    assert "x-evil" not in {name.lower() for name, _ in entry["headers"]}
    host = urlsplit(proxy.url).netloc
    reader, writer = await asyncio.open_connection(*host.split(":"))
    head = f"GET /v1/files HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {proxy.key}\r\nX-A: a\rX-Evil: 1\r\n\r\n"
    writer.write(head.encode())
    writer.write_eof()
    async with asyncio.timeout(20):
        await reader.read()
    writer.close()
    assert all("x-evil" not in {name.lower() for name, _ in entry["headers"]} for entry in upstream.log())


async def test_headers_go_on_as_the_bytes_they_are(proxy: Proxy) -> None:
    heads: list[bytes] = []

    async def serve(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(head)
        writer.write(OK)
        await writer.drain()

    async with provider(serve) as url:
        await served_by(proxy, url)
        host = urlsplit(proxy.url).netloc
        reader, writer = await asyncio.open_connection(*host.split(":"))
        head = f"GET /v1/files HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {proxy.key}\r\nX-Title: Zoë\r\n"
        writer.write(f"{head}X-Goog-Api-Key: {proxy.key}\r\nCookie: a=b\r\nConnection: close\r\n\r\n".encode())
        async with asyncio.timeout(20):
            await reader.read()
        writer.close()
    (told,) = heads
    assert "x-title: Zoë\r\n".encode() in told
    assert proxy.key.encode() not in told
    assert b"cookie" not in told.lower()


@pytest.mark.parametrize("path", ["/v1/files", "/v1/chat/completions"])
@pytest.mark.parametrize("status", [101, 600, 999])
async def test_a_status_that_no_client_can_be_told_is_an_error_of_the_provider(
    proxy: Proxy, path: str, status: int
) -> None:
    async def serve(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK.replace(b"200", b"%d" % status))
        await writer.drain()

    async with provider(serve) as url:
        await served_by(proxy, url)
        asked = {"model": STRONG, "messages": [{"role": "user", "content": "hi"}]}
        assert (await call(proxy, "POST", path, json=asked))[0] == 502


async def test_what_is_left_of_a_limit_is_said_once(proxy: Proxy) -> None:
    async def serve(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK.replace(b"\r\n\r\n", b"\r\nX-RateLimit-Limit-Requests: 7\r\n\r\n"))
        await writer.drain()

    await limits.put_limits(proxy.admin, proxy.tenant_id, requests=60)
    async with provider(serve) as url:
        await served_by(proxy, url)
        async with proxy.http() as http, http.get("/v1/files") as response:
            assert response.headers.getall("x-ratelimit-limit-requests") == ["60"]


# ---- who serves


async def says(name: str) -> Serve:
    async def serve(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = name.encode() + b" " + head.partition(b" HTTP")[0]
        key = [line for line in head.split(b"\r\n") if line.lower().startswith((b"x-api-key", b"authorization"))]
        body += b" " + b",".join(key)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()

    return serve


async def test_the_tenants_default_provider_serves_else_that_of_autos_default_model(proxy: Proxy) -> None:
    async with provider(await says("one")) as one, provider(await says("two")) as two:
        await served_by(proxy, one)
        await served_by(proxy, two, "second", speaks=("chat",))
        assert (await call(proxy, "GET", "/v1/files?a=1"))[1] == b"one GET /v1/files?a=1 "
        await proxy.admin.fetch(
            "update router.tenants set default_provider = (select provider_id from router.providers"
            " where name = 'second') where tenant_id = $1", proxy.tenant_id,
        )  # fmt: skip
        proxy.services.directory.invalidate()
        assert (await call(proxy, "GET", "/v1/files"))[1] == b"two GET /v1/files "
        assert (await call(proxy, "POST", "/v1/audio/speech", json={"model": STRONG}))[1].startswith(b"two POST")


async def test_without_either_the_only_provider_serves_and_of_several_none(proxy: Proxy) -> None:
    await policies.delete_policy(proxy.admin, proxy.tenant_id, "auto")
    proxy.services.directory.invalidate()
    assert (await call(proxy, "GET", "/v1/files"))[0] == 200
    await served_by(proxy, "http://127.0.0.1:9/v1", "second")
    status, body = await call(proxy, "GET", "/v1/files")
    assert (status, b"no default provider" in body) == (404, True)


async def test_anthropics_other_paths_go_to_who_speaks_messages_with_the_key_where_it_is_wanted(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECOND_KEY", "sk-second")
    async with provider(await says("one")) as one, provider(await says("two")) as two:
        await served_by(proxy, one, speaks=("chat",))
        await providers.put_provider(
            proxy.admin, "second", two, "SECOND_KEY", speaks=("messages",), key_header="x-api-key"
        )
        proxy.services.directory.invalidate()
        for path in ("/v1/messages/batches", "/v1/messages/batches/msgbatch_1/cancel"):
            status, body = await call(proxy, "POST", path, json={"model": "m"}, headers={"x-api-key": "rk-another"})
            assert (status, body) == (200, f"two POST {path} x-api-key: sk-second".encode())
        assert (await call(proxy, "GET", "/v1/files"))[1].startswith(b"one GET")


async def test_anthropics_client_gets_errors_in_its_shape(proxy: Proxy) -> None:
    await served_by(proxy, "http://127.0.0.1:9/v1")
    status, body = await call(proxy, "POST", "/v1/messages/batches", json={})
    assert (status, b'"type":"api_error"' in body) == (502, True)
    status, body = await call(proxy, "GET", "/v1/files")
    assert (status, b"upstream_unavailable" in body) == (502, True)
