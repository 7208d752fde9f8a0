"""Requests as agents and editors send them: served, routed, and sent on with nothing changed but the model."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import orjson
import pytest
import zstandard

from scripts.fake_provider.server import Running
from tests.support.proxy import STRONG, Proxy, ProxyFactory
from tests.support.raw_http import Asked, exchange

FIXTURES = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in Path(__file__).parent.glob("fixtures/*")
}
ASKING = sorted(name for name, each in FIXTURES.items() if each["body"] and "count" not in name)
LISTING = sorted(name for name, each in FIXTURES.items() if each["method"] == "GET")
#: Request headers of these clients that providers act on.
PASSED = ("anthropic-version", "anthropic-beta", "openai-beta", "user-agent", "accept")


def asked(name: str, *, target: str = "", chunk: int = 0, **fields: Any) -> tuple[Asked, bytes]:
    """Return the request of a fixture, `fields` of its body replaced, and its body as a provider has to get it."""
    found = FIXTURES[name]
    headers = tuple((header, value) for header, value in found["headers"])
    body = b"" if found["body"] is None else json.dumps({**found["body"], **fields}, ensure_ascii=False).encode()
    packed = zstandard.ZstdCompressor(level=3).compress(body) if ("Content-Encoding", "zstd") in headers else body
    plain = body.replace(b'"model": "auto"', b'"model": "strong"', 1)
    return Asked(found["method"], target or found["target"], packed, headers, chunk), plain


@pytest.mark.parametrize("chunk", [0, 700])
@pytest.mark.parametrize("name", ASKING)
async def test_its_request_is_routed_and_arrives_as_it_was(
    proxy: Proxy, upstream: Running, name: str, chunk: int
) -> None:
    request, plain = asked(name, chunk=chunk)
    came = await exchange(proxy.url, proxy.key, request)
    assert came.status == 200, came.body
    answer = dict(came.headers)
    assert answer[b"x-router-model"] == STRONG.encode()
    streamed = FIXTURES[name]["body"].get("stream", False)
    assert answer[b"content-type"].startswith(b"text/event-stream") is streamed
    (entry,) = upstream.log()
    sent = {header.lower(): value for header, value in entry["headers"]}
    given = {header.lower(): value for header, value in request.headers}
    assert orjson.loads(base64.b64decode(entry["body"])).keys() - {"stream_options"} == (
        orjson.loads(plain).keys() - {"stream_options"}
    )
    if name != "obsidian":
        # The others ask for usage themselves, or their API always reports it.
        assert base64.b64decode(entry["body"]) == plain
    assert {header: sent.get(header) for header in PASSED if header in given} == {
        header: given[header] for header in PASSED if header in given
    }
    assert not set(FIXTURES[name].get("hidden", ())) & sent.keys()
    assert (entry["path"], "content-encoding" in sent) == (request.target, False)
    (row,) = await proxy.ledger()
    assert (row["requested"], row["status"], row["prompt_tokens"] > 0) == ("auto", 200, True)


@pytest.mark.parametrize("name", ASKING)
async def test_a_named_model_gets_the_bytes_unchanged(proxy: Proxy, upstream: Running, name: str) -> None:
    request, _ = asked(name, model=STRONG)
    _, plain = asked(name)
    assert (await exchange(proxy.url, proxy.key, request)).status == 200
    assert base64.b64decode(upstream.log()[-1]["body"]) == plain


async def test_tokens_are_counted_for_claude_code(proxy: Proxy, upstream: Running) -> None:
    request, plain = asked("claude_code_count")
    came = await exchange(proxy.url, proxy.key, request)
    assert (came.status, orjson.loads(came.body)["input_tokens"] > 0) == (200, True)
    (entry,) = upstream.log()
    assert (entry["path"], base64.b64decode(entry["body"])) == (request.target, plain)


@pytest.mark.parametrize("name", LISTING)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_models_are_listed(proxy: Proxy, upstream: Running, name: str, method: str) -> None:
    request, _ = asked(name)
    came = await exchange(proxy.url, proxy.key, Asked(method, request.target, b"", request.headers))
    assert came.status == 200
    if method == "GET":
        assert orjson.loads(came.body)["data"][0]["id"] == "auto"
    assert upstream.log() == []


@pytest.mark.parametrize("name", ASKING)
@pytest.mark.parametrize("spelling", ["/v1{}", "{}/", "/{}"])
async def test_a_wrong_base_url_is_answered_with_the_right_path(
    proxy: Proxy, upstream: Running, name: str, spelling: str
) -> None:
    path = FIXTURES[name]["target"].partition("?")[0]
    request, _ = asked(name, target=spelling.format(path))
    came = await exchange(proxy.url, proxy.key, request)
    assert (came.status, path.encode() in came.body) == (404, True)
    assert upstream.log() == []


async def test_obsidian_asks_before_it_sends(proxies: ProxyFactory) -> None:
    request, _ = asked("obsidian")
    names = ",".join(sorted(name.lower() for name, _ in request.headers if name.lower().startswith("x-")))
    origin = ("Origin", "app://obsidian.md")
    wanted = ("Access-Control-Request-Headers", f"authorization,content-type,{names}")
    ask = Asked("OPTIONS", request.target, b"", (origin, ("Access-Control-Request-Method", "POST"), wanted))
    async with proxies(cors_origins=(origin[1],)) as proxy:
        came = await exchange(proxy.url, "", ask)
        assert (came.status, dict(came.headers)[b"access-control-allow-headers"]) == (204, wanted[1].encode())
        came = await exchange(proxy.url, proxy.key, request)
        assert (came.status, dict(came.headers)[b"access-control-allow-origin"]) == (200, origin[1].encode())
