"""Compressed request bodies: unpacked within the limit, routed and sent on as what they contain."""

from __future__ import annotations

import base64
import contextlib
import gzip
import random
import time
import tracemalloc
import zlib
from collections.abc import Callable

import orjson
import pytest
import zstandard

from app.errors import BadRequest, TooLarge, UnsupportedEncoding
from app.http.content_coding import codings, unpack
from scripts.fake_provider.server import Running
from tests.support.proxy import STRONG, Proxy, ProxyFactory


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


def streamed_zstd(body: bytes) -> bytes:
    packer = zstandard.ZstdCompressor(level=3).compressobj()
    return packer.compress(body) + packer.flush()


Pack = Callable[[bytes], bytes]
PACKED: dict[str, tuple[str, Pack]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("X-GZip", gzip.compress),
    "members": ("gzip", lambda body: gzip.compress(body[:9]) + gzip.compress(body[9:]) + b"\0\0"),
    "zlib": ("deflate", zlib.compress),
    "raw": ("deflate", raw_deflate),
    "zstd": ("zstd", zstandard.ZstdCompressor().compress),
    "stream": ("zstd", streamed_zstd),
    "frames": ("zstd", lambda body: streamed_zstd(body[:9]) + streamed_zstd(body[9:])),
    "two": ("gzip, zstd", lambda body: streamed_zstd(gzip.compress(body))),
    "identity": ("identity", bytes),
}

PLAIN: dict[str, Pack] = {"gzip": gzip.compress, "deflate": zlib.compress, "zstd": streamed_zstd}


@pytest.mark.parametrize("packed", PACKED)
@pytest.mark.parametrize("model", [STRONG, "auto"])
async def test_the_unpacked_body_is_what_is_sent(proxy: Proxy, upstream: Running, packed: str, model: str) -> None:
    name, pack = PACKED[packed]
    body = orjson.dumps({"model": model, "messages": [{"role": "user", "content": "hi " * 99}]})
    async with proxy.http() as http:
        headers = {"content-encoding": name, "content-type": "application/json"}
        async with http.post("/v1/chat/completions", data=pack(body), headers=headers) as response:
            assert response.status == 200, await response.read()
    (entry,) = upstream.log()
    sent = {key.lower(): value for key, value in entry["headers"]}
    assert base64.b64decode(entry["body"]) == body.replace(b'"auto"', b'"strong"')
    assert sent["content-length"] == str(len(base64.b64decode(entry["body"])))
    assert "content-encoding" not in sent


async def test_teaching_takes_them_too(proxy: Proxy) -> None:
    body = streamed_zstd(orjson.dumps({"examples": [{"prompt": "hi", "scores": {STRONG: 1.0}}]}))
    async with (
        proxy.http() as http,
        http.post("/v1/router/preferences/rank", data=body, headers={"content-encoding": "zstd"}) as response,
    ):
        assert response.status == 200, await response.text()


@pytest.mark.parametrize("name", ["gzip", "deflate", "zstd"])
async def test_a_bomb_is_a_413(proxies: ProxyFactory, upstream: Running, name: str) -> None:
    upstream.clear()
    pack = PLAIN[name]
    async with proxies(max_body=100_000) as proxy, proxy.http() as http:
        for size, status in ((30_000_000, 413), (100_001, 413), (100_000, 200)):
            body = orjson.dumps({"model": STRONG, "messages": [{"role": "user", "content": ""}]})
            body = body.replace(b'""', b'"%b"' % (b" " * (size - len(body))))
            async with http.post(
                "/v1/chat/completions", data=pack(body), headers={"content-encoding": name}
            ) as response:
                assert response.status == status
    assert len(upstream.log()) == 1


@pytest.mark.parametrize("name", ["br", "compress", "gzip, br", "aes128gcm", "gzip,gzip,gzip,gzip", "*"])
async def test_another_coding_is_a_415(proxy: Proxy, upstream: Running, name: str) -> None:
    async with (
        proxy.http() as http,
        http.post("/v1/chat/completions", data=b"x", headers={"content-encoding": name}) as response,
    ):
        assert response.status == 415
        assert response.headers["accept-encoding"] == "gzip, deflate, zstd"
        assert (await response.json())["error"]["code"] == "unsupported_content_encoding"
    assert upstream.log() == []


@pytest.mark.parametrize("name", ["gzip", "deflate", "zstd"])
async def test_bytes_of_another_coding_are_a_400(proxy: Proxy, upstream: Running, name: str) -> None:
    pack = PLAIN[name]
    whole = pack(b'{"model": "strong"}')
    async with proxy.http() as http:
        for body in (b"{}", b'{"model": "strong"}', whole[:-9], whole + b"rest"):
            if name == "deflate" and body.endswith(b"rest"):
                continue
            async with http.post("/v1/chat/completions", data=body, headers={"content-encoding": name}) as response:
                assert response.status == 400, body
    assert upstream.log() == []


def test_no_more_than_the_limit_is_held() -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(200_000_000))
    twice = gzip.compress(gzip.compress(bytes(100_000_000)))
    tracemalloc.start()
    with pytest.raises(TooLarge):
        unpack(bomb, ["zstd"], 1_000_000)
    with pytest.raises(TooLarge):
        unpack(twice, ["gzip", "gzip"], 1_000_000)
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()


def test_many_empty_members_take_no_longer_than_their_bytes() -> None:
    empty = gzip.compress(b"")
    start = time.monotonic()
    with pytest.raises(BadRequest, match="members"):
        unpack(empty * 1_000_000, ["gzip"], 1_000_000)
    assert unpack(empty * 9_000 + gzip.compress(b"text") + bytes(5_000_000), ["gzip"], 1_000_000) == b"text"
    assert time.monotonic() - start < 5


def test_random_bytes_raise_nothing_else() -> None:
    chance = random.Random(7)
    for _ in range(300):
        for name in ("gzip", "deflate", "zstd"):
            body = bytearray(PACKED[name if name != "deflate" else "zlib"][1](b"some text " * 50))
            body[chance.randrange(len(body))] ^= 1 << chance.randrange(8)
            with contextlib.suppress(BadRequest, TooLarge, UnsupportedEncoding):
                unpack(bytes(body), codings(name.encode()), 10_000)
