"""Paths that name no model: forwarded and refused paths, headers and statuses."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import pytest

from app.store import limits
from scripts.fake_provider.server import Running
from tests.support.proxy import STRONG, Proxy, ProxyFactory
from tests.support.raw_http import Asked, exchange
from tests.support.raw_provider import OK, call, provider, served_by


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
    """Percent signs stay unchanged, and characters that HTTP cannot carry are refused."""
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
async def test_a_status_that_cannot_be_passed_on_is_an_error_of_the_provider(
    proxy: Proxy, path: str, status: int
) -> None:
    async def serve(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK.replace(b"200", b"%d" % status))
        await writer.drain()

    async with provider(serve) as url:
        await served_by(proxy, url)
        asked = {"model": STRONG, "messages": [{"role": "user", "content": "hi"}]}
        assert (await call(proxy, "POST", path, json=asked))[0] == 502


async def test_the_remaining_limit_is_in_one_header(proxy: Proxy) -> None:
    async def serve(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK.replace(b"\r\n\r\n", b"\r\nX-RateLimit-Limit-Requests: 7\r\n\r\n"))
        await writer.drain()

    await limits.put_limits(proxy.admin, proxy.tenant_id, requests=60)
    async with provider(serve) as url:
        await served_by(proxy, url)
        async with proxy.http() as http, http.get("/v1/files") as response:
            assert response.headers.getall("x-ratelimit-limit-requests") == ["60"]
