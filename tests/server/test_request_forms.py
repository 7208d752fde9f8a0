"""Requests in unusual but valid forms: absolute targets, HTTP/1.0, repeated headers, methods without a body."""

from __future__ import annotations

import asyncio
import base64
import gzip
from urllib.parse import urlsplit

import orjson
import pytest
import zstandard

from scripts.fake_provider.server import Running
from tests.support.proxy import STRONG, Proxy, ProxyFactory
from tests.support.raw_http import Asked, exchange

BODY = orjson.dumps({"model": STRONG, "messages": [{"role": "user", "content": "hi"}]})
PATH = "/v1/chat/completions"


async def raw(proxy: Proxy, *pieces: bytes) -> bytes:
    """Send pieces one after another, and return all that comes until the server closes."""
    reader, writer = await asyncio.open_connection(*urlsplit(proxy.url).netloc.split(":"))
    for piece in pieces:
        writer.write(piece.replace(b"KEY", proxy.key.encode()))
        await writer.drain()
        await asyncio.sleep(0.05)
    async with asyncio.timeout(20):
        found = await reader.read()
    writer.close()
    return found


@pytest.mark.parametrize("chunk", [0, 9])
@pytest.mark.parametrize("names", [("gzip, zstd",), ("gzip", "zstd"), ("identity", "GZIP", "", "zstd")])
async def test_codings_in_several_headers_count_together(
    proxy: Proxy, upstream: Running, names: tuple[str, ...], chunk: int
) -> None:
    packed = zstandard.ZstdCompressor().compress(gzip.compress(BODY))
    headers = tuple(("Content-Encoding", name) for name in names)
    came = await exchange(proxy.url, proxy.key, Asked("POST", PATH, packed, headers, chunk))
    assert came.status == 200, came.body
    (entry,) = upstream.log()
    assert base64.b64decode(entry["body"]) == BODY
    assert "content-encoding" not in {name.lower() for name, _ in entry["headers"]}


@pytest.mark.parametrize("names", [("br",), ("gzip", "br"), ("zstd", "gzip", "gzip", "zstd")])
async def test_an_unsupported_coding_is_named_with_the_supported_ones(
    proxy: Proxy, upstream: Running, names: tuple[str, ...]
) -> None:
    headers = tuple(("Content-Encoding", name) for name in names)
    came = await exchange(proxy.url, proxy.key, Asked("POST", PATH, BODY, headers))
    assert (came.status, dict(came.headers)[b"accept-encoding"]) == (415, b"gzip, deflate, zstd")
    assert upstream.log() == []


@pytest.mark.parametrize(
    "packed",
    [gzip.compress(BODY)[:-4], b"", BODY, zstandard.ZstdCompressor().compress(BODY)],
    # The bytes have the time in them, and all workers have to know a test by the same name.
    ids=["cut", "empty", "plain", "zstd"],
)
async def test_what_is_not_in_its_coding_is_a_400(proxy: Proxy, upstream: Running, packed: bytes) -> None:
    came = await exchange(proxy.url, proxy.key, Asked("POST", PATH, packed, (("Content-Encoding", "gzip"),)))
    assert came.status == 400
    assert upstream.log() == []


async def test_a_packed_body_waits_for_100_continue(proxy: Proxy) -> None:
    packed = zstandard.ZstdCompressor().compress(BODY)
    head = f"POST {PATH} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer KEY\r\nContent-Encoding: zstd\r\n"
    head += f"Expect: 100-continue\r\nConnection: close\r\nContent-Length: {len(packed)}\r\n\r\n"
    found = await raw(proxy, head.encode(), packed)
    assert found.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 ")


@pytest.mark.parametrize("target", ["http://router.example{}", "http://u:p@router.example:8000{}", "HTTP://h{}?a=1"])
async def test_a_target_with_a_host_is_its_path(proxy: Proxy, upstream: Running, target: str) -> None:
    for path in (PATH, "/v1/files"):
        came = await exchange(proxy.url, proxy.key, Asked("POST", target.format(path), BODY))
        assert came.status == 200 or path == "/v1/files"
    assert [entry["path"].partition("?")[0] for entry in upstream.log()] == [PATH, "/v1/files"]


@pytest.mark.parametrize("path", ["//v1//chat/completions", "/v1//chat//completions", "//v1/chat/completions"])
async def test_repeated_slashes_are_a_404_with_the_right_path(proxy: Proxy, upstream: Running, path: str) -> None:
    came = await exchange(proxy.url, proxy.key, Asked("POST", path, BODY))
    assert (came.status, PATH.encode() in came.body) == (404, True)
    assert upstream.log() == []


@pytest.mark.parametrize("path", ["/v1%2Fchat%2Fcompletions", "/v1/chat%2fcompletions", "/%76%31/chat/completions"])
async def test_percent_encoded_paths_are_served_as_decoded_or_not_at_all(
    proxy: Proxy, upstream: Running, path: str
) -> None:
    came = await exchange(proxy.url, proxy.key, Asked("POST", path, BODY))
    assert came.status in (200, 404)
    # One that is served is the endpoint's own: its request is in the ledger.
    assert len(upstream.log()) == (came.status == 200)
    if came.status == 200:
        await proxy.ledger()


async def test_http_1_0_with_keep_alive_gets_a_whole_answer_and_the_end_of_the_connection(proxy: Proxy) -> None:
    head = f"POST {PATH} HTTP/1.0\r\nHost: h\r\nAuthorization: Bearer KEY\r\nContent-Length: {len(BODY)}\r\n"
    found = await raw(proxy, (head + "Connection: keep-alive\r\n\r\n").encode() + BODY)
    answer, _, body = found.partition(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
    # Without `Connection: keep-alive` in the answer a client of HTTP/1.0 reads to the end.
    assert b"connection: close" in answer.lower()
    assert b"chunked" not in answer
    assert orjson.loads(body)["choices"]


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
@pytest.mark.parametrize("path", [PATH, "/v1/messages", "/v1/responses", "/v1/embeddings", "/v1/models"])
async def test_methods_without_a_body_ask_no_model(proxy: Proxy, upstream: Running, method: str, path: str) -> None:
    assert (await exchange(proxy.url, "rk-no", Asked(method, path))).status == 401
    assert upstream.log() == []
    assert (await exchange(proxy.url, proxy.key, Asked(method, path))).status < 500
    assert await proxy.admin.fetch("select * from router.decisions") == []


@pytest.mark.parametrize(("origins", "status"), [(("https://a.example",), 403), (("*",), 204), (("null",), 204)])
async def test_the_origin_null_is_allowed_if_listed(
    proxies: ProxyFactory, origins: tuple[str, ...], status: int
) -> None:
    ask = Asked("OPTIONS", PATH, b"", (("Origin", "null"), ("Access-Control-Request-Method", "POST")))
    async with proxies(cors_origins=origins) as proxy:
        came = await exchange(proxy.url, "", ask)
        answer = dict(came.headers)
        assert came.status == status
        assert answer.get(b"access-control-allow-origin") == {"*": b"*", "null": b"null"}.get(origins[0])
        assert (b"vary" in answer) == (origins[0] != "*" or status == 204)
