"""Providers that fail, are slow or break off, and clients that disconnect, seen from the official clients."""

from __future__ import annotations

import asyncio
import base64
import socket
from typing import Any

import orjson
import pytest

from scripts.fake_provider.server import Running
from tests.support.clients import PROXIED, Front
from tests.support.proxy import CHEAP, STRONG, Proxy
from tests.support.raw_http import Asked
from tests.support.streaming_clients import CHAT, ERRORS, MESSAGES, RESPONSES, spoken

HELLO: Any = [{"role": "user", "content": "What is a café?"}]
pytestmark = pytest.mark.parametrize("shared_front", [PROXIED], indirect=True)
apis = pytest.mark.parametrize("api", [CHAT, RESPONSES, MESSAGES])
models = pytest.mark.parametrize("model", [STRONG, "auto"])


@pytest.fixture
def proxy(front: Front) -> Proxy:
    """The module's proxy."""
    assert front.proxy is not None
    return front.proxy


@apis
@models
async def test_a_stream_that_dies_half_way_ends_in_an_error(proxy: Proxy, api: str, model: str) -> None:
    heard = []
    with pytest.raises(ERRORS):  # noqa: PT012
        async for text in spoken(proxy, api, model, "die-after=7"):
            heard.append(text)  # noqa: PERF401
    assert "".join(heard).startswith("é0 ")


@apis
async def test_a_client_that_leaves_is_left_by_the_provider(proxy: Proxy, upstream: Running, api: str) -> None:
    pieces = spoken(proxy, api, "auto", "gap=0.02;chunks=1000")
    while not await anext(pieces):
        pass
    await pieces.aclose()
    async with asyncio.timeout(5):
        while not upstream.log()[-1]["disconnected"]:
            await asyncio.sleep(0.01)


@apis
@models
@pytest.mark.parametrize("stream", [False, True])
async def test_a_provider_that_fails_once_is_asked_again(proxy: Proxy, api: str, model: str, stream: bool) -> None:
    plan = "status=503;retry-after=0;times=1"
    assert "".join([text async for text in spoken(proxy, api, model, plan, stream=stream)])


@apis
@pytest.mark.parametrize("plan", ["status=500;retry-after=0", "drop", "die"])
async def test_another_model_answers_for_one_that_cannot(proxy: Proxy, upstream: Running, api: str, plan: str) -> None:
    upstream.script(STRONG, plan)
    assert "".join([text async for text in spoken(proxy, api, "auto", stream=False)])
    asked = [orjson.loads(base64.b64decode(entry["body"]))["model"] for entry in upstream.log()]
    assert asked[-1] == CHEAP
    assert set(asked[:-1]) == {STRONG}


@pytest.mark.parametrize(
    ("path", "model", "chunks"),
    [
        ("chat/completions", STRONG, 50_000),
        ("chat/completions", "auto", 50_000),
        ("responses", "auto", 70_000),
        ("messages", "auto", 150_000),
    ],
)
async def test_a_slow_reader_slows_the_provider(
    proxy: Proxy, upstream: Running, path: str, model: str, chunks: int
) -> None:
    said = {"model": model, "stream": True, "messages": HELLO, "input": "What is a café?", "max_tokens": 9}
    asked = Asked("POST", f"/v1/{path}", orjson.dumps(said), (("X-Fake", f"chunks={chunks}"),))
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        connection.setblocking(False)
        host, _, port = proxy.url.removeprefix("http://").partition(":")
        loop = asyncio.get_running_loop()
        await loop.sock_connect(connection, (host, int(port)))
        await loop.sock_sendall(connection, asked.wire(host, proxy.key))
        written = [-1, 0]
        async with asyncio.timeout(20):
            while written[-1] != written[-2] or not written[-1]:
                await asyncio.sleep(0.1)
                written.append(upstream.log()[0]["written"] if upstream.log() else 0)
            pieces = [b"-"]
            while pieces[-1]:
                pieces.append(await loop.sock_recv(connection, 1024 * 1024))
    assert upstream.log()[0]["written"] > written[-1]
    assert b"".join(pieces).endswith(b"\r\n0\r\n\r\n")
