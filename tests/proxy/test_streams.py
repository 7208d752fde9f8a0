"""Ends of streams, slow readers, and clients that disconnect."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest

from app.dialects.sse import data_of
from scripts.fake_provider.server import Running
from tests.support.proxy import STRONG, Proxy, ProxyFactory
from tests.support.raw_http import Asked, exchange
from tests.support.streams import APIS, HI, anonymous, cut, provider, redirected, stream


async def until(found: Callable[[], Any], what: str) -> Any:
    """Call `found` until it returns a value, and return that."""
    for _ in range(200):
        if (value := await asyncio.to_thread(found)) is not None:
            return value
        await asyncio.sleep(0.02)
    raise AssertionError(what)


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("model", [STRONG, "auto"])
async def test_a_stream_that_dies_ends_with_an_error_event_of_its_api(
    proxy: Proxy, upstream: Running, api: str, model: str
) -> None:
    _, body = await stream(proxy, api, "die-after=6;gap=0.01", model)
    *events, last = cut(body)
    assert len(events) >= 3
    said = orjson.loads(data_of(last))
    if api == "chat":
        assert last.startswith(b"data: ")
        assert said["error"]["code"] == "upstream_unavailable"
    elif api == "messages":
        assert last.startswith(b"event: error\n")
        assert (said["type"], said["error"]["type"]) == ("error", "api_error")
    else:
        assert last.startswith(b"event: response.failed\n")
        begun = orjson.loads(data_of(events[0] if data_of(events[0]) else events[1]))
        assert said["type"] == "response.failed"
        assert (said["response"]["id"], said["response"]["status"]) == (begun["response"]["id"], "failed")
        assert said["response"]["error"]["code"] == "upstream_unavailable"
        error, before = (orjson.loads(data_of(event)) for event in (events[-1], events[-2]))
        assert (error["type"], error["code"]) == ("error", "upstream_unavailable")
        assert [error["sequence_number"], said["sequence_number"]] == [before["sequence_number"] + n for n in (1, 2)]
    (row,) = await proxy.ledger()
    assert (row["status"], row["attempts"]) == (502, 1), "no failover after the first byte was sent"
    assert row["usage_estimated"]


async def test_a_stream_that_dies_within_an_event_does_not_join_the_error_to_it(proxy: Proxy) -> None:
    async def says(writer: asyncio.StreamWriter) -> None:
        half = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\ndata: {"choi'
        writer.write(b"%x\r\n%b\r\n" % (len(half), half))
        await writer.drain()

    async with provider(says) as url:
        await redirected(proxy, url)
        for model in (STRONG, "auto"):
            _, body = await stream(proxy, model=model)
            first, last = cut(body)
            assert first.endswith(b'"a"}}]}\n\n'), "the half event is not sent"
            assert orjson.loads(data_of(last))["error"]["code"] == "upstream_unavailable", model


async def test_the_end_of_a_stream_is_kept(proxy: Proxy) -> None:
    for model in (STRONG, "auto"):
        _, body = await stream(proxy, model=model)
        assert body.endswith(b"data: [DONE]\n\n")
        assert b'"usage"' not in body


async def test_usage_is_in_a_stream_if_and_only_if_it_was_requested(proxy: Proxy) -> None:
    _, asked = await stream(proxy, model="auto", stream_options={"include_usage": True})
    _, silent = await stream(proxy, model="auto", stream_options={"include_usage": False})
    assert asked.count(b'"usage"') > 2
    assert b'"usage"' not in silent
    assert [row["completion_tokens"] for row in await proxy.ledger(2)] == [7, 7]


async def test_a_stream_that_came_with_its_length_loses_it_with_its_usage(proxy: Proxy) -> None:
    whole = b'data: {"choices":[{"delta":{"content":"a"}}],"usage":null}\n\ndata: {"choices":[],"usage":{}}\n\n'
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n" % len(whole)

    async def says(writer: asyncio.StreamWriter) -> None:
        writer.write(whole)

    async with provider(says, head) as url:
        await redirected(proxy, url)
        _, body = await stream(proxy, model="auto")
        assert body == b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'
        _, body = await stream(proxy)
        assert body == whole


@pytest.mark.parametrize("plan", ["", "comments;crlf", "split=3", "chunks=700"])
async def test_a_named_models_stream_is_byte_for_byte_the_providers(proxy: Proxy, upstream: Running, plan: str) -> None:
    for api, (path, body) in APIS.items():
        asked = Asked("POST", path, orjson.dumps({"model": STRONG, "stream": True, **body}), (("X-Fake", plan),))
        straight = await exchange(upstream.url, "sk-fake", asked)
        assert anonymous((await exchange(proxy.url, proxy.key, asked)).body) == anonymous(straight.body), api


# ---- clients that read slowly or disconnect


async def test_a_reader_that_does_not_read_stops_the_provider(proxy: Proxy, upstream: Running) -> None:
    """Of 40 MB the provider can send no more than the socket buffers in between hold."""
    body = orjson.dumps({"model": STRONG, "stream": True, "messages": HI})
    asked = Asked("POST", "/v1/chat/completions", body, (("X-Fake", "chunks=100000"),))
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
        client.setblocking(False)
        address = urlsplit(proxy.url)
        await asyncio.get_running_loop().sock_connect(client, (address.hostname, address.port))
        await asyncio.get_running_loop().sock_sendall(client, asked.wire(address.netloc, proxy.key))
        written = -1
        for _ in range(100):
            await asyncio.sleep(0.1)
            entries = await asyncio.to_thread(upstream.log)
            now = entries[-1]["written"] if entries else 0
            if now and now == written:
                break
            written = now
        assert 0 < written < 20_000_000, "it still waits for the client"
        assert written == (await asyncio.to_thread(upstream.log))[-1]["written"]
    await until(lambda: upstream.log()[-1]["disconnected"] or None, "the provider was not disconnected")


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("model", [STRONG, "auto"])
async def test_a_client_that_leaves_ends_the_providers_work_and_pays_for_what_was_produced(
    proxy: Proxy, upstream: Running, api: str, model: str
) -> None:
    path, body = APIS[api]
    body = {"model": model, "stream": True, **body}
    plan = {"x-fake": "gap=0.02;chunks=500"}
    async with proxy.http() as http, http.post(path, json=body, headers=plan) as response:
        got = b""
        while got.count(b"\n\n") <= 8:
            got += await response.content.readany()
    await until(lambda: upstream.log()[-1]["disconnected"] or None, "the provider was not disconnected")
    (row,) = await proxy.ledger()
    assert (row["status"], row["usage_estimated"], row["streamed"]) == (499, True, True)
    assert 5 <= row["completion_tokens"] <= 200, "some of it, not 7 and not all of the 500"
    assert row["prompt_tokens"] >= 5
    assert row["spent_usd"] == pytest.approx(
        (row["prompt_tokens"] * 2.5 + row["completion_tokens"] * 10) / 1e6, rel=0.3
    )


async def test_a_client_that_leaves_before_the_first_byte_ends_the_providers_work(
    proxies: ProxyFactory, upstream: Running
) -> None:
    for keepalive in (0.0, 0.05):
        async with proxies(keepalive=keepalive) as proxy:
            upstream.clear()
            async with proxy.http() as http:
                path, body = APIS["chat"]
                asking = asyncio.create_task(
                    http.post(
                        path, json={"model": "auto", "stream": True, **body}, headers={"x-fake": "hang"}
                    ).__aenter__()
                )
                await until(lambda: upstream.log() or None, "the provider got no request")
                if keepalive:
                    (await asking).close()
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
            await until(lambda: upstream.log()[-1]["disconnected"] or None, "the provider was not disconnected")
            row = (await proxy.ledger())[-1]
            assert (row["status"], row["completion_tokens"], row["usage_estimated"]) == (499, 0, True)
            assert row["prompt_tokens"] > 0, "the prompt was sent"
    upstream.clear()


async def test_the_requests_time_ends_a_stream_that_does_not(proxies: ProxyFactory, upstream: Running) -> None:
    async with proxies(total_timeout=0.5) as proxy:
        upstream.clear()
        _, body = await stream(proxy, plan="hang-after=4")
        assert orjson.loads(data_of(cut(body)[-1]))["error"]["code"] == "upstream_timeout"
        assert (await proxy.ledger())[0]["status"] == 504
        await until(lambda: upstream.log()[-1]["disconnected"] or None, "the provider was not disconnected")


async def test_the_stream_of_a_stored_response_that_dies_is_numbered_on(proxy: Proxy) -> None:
    async with proxy.http() as http:
        asked = {"model": STRONG, "input": "hi", "background": True}
        async with http.post("/v1/responses", json=asked) as response:
            name = orjson.loads(await response.read())["id"]
    came = await exchange(
        proxy.url, proxy.key, Asked("GET", f"/v1/responses/{name}?stream=true&fake=die-after%3D4%3Bgap%3D0.01")
    )
    events = [orjson.loads(data) for data in map(data_of, cut(came.body)) if data]
    assert [event["type"] for event in events[-2:]] == ["error", "response.failed"]
    assert (events[-1]["response"]["id"], events[-1]["response"]["status"]) == (name, "failed")
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
