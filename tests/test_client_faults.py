"""What the official clients see when a provider fails, is slow or breaks off, and what it sees when they leave."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import openai
import orjson
import pytest

from tests.conftest import ProxyFactory
from tests.exchange import Asked
from tests.fake_upstream import Running, streamed_text
from tests.proxy import CHEAP, STRONG, Proxy

HELLO: Any = [{"role": "user", "content": "What is a café?"}]
CHAT, RESPONSES, MESSAGES = "chat", "responses", "messages"
ERRORS = (openai.APIError, anthropic.APIStatusError)
apis = pytest.mark.parametrize("api", [CHAT, RESPONSES, MESSAGES])
models = pytest.mark.parametrize("model", [STRONG, "auto"])


async def spoken(proxy: Proxy, api: str, model: str, plan: str = "", *, stream: bool = True) -> AsyncIterator[str]:
    """The pieces of text that a client of that API gets, of a stream or of a whole answer."""
    told: Any = {"extra_headers": {"x-fake": plan} if plan else {}}
    if api == MESSAGES:
        async with anthropic.AsyncAnthropic(base_url=proxy.url, api_key=proxy.key, max_retries=0) as client:
            if not stream:
                yield str((await client.messages.create(model=model, messages=HELLO, max_tokens=9, **told)).content)
                return
            async with client.messages.stream(model=model, messages=HELLO, max_tokens=9, **told) as events:
                async for text in events.text_stream:
                    yield text
        return
    async with proxy.client() as asked:
        if api == CHAT and stream:
            chunks = await asked.chat.completions.create(model=model, messages=HELLO, stream=True, **told)
            async with chunks:
                async for chunk in chunks:
                    yield chunk.choices[0].delta.content or ""
        elif api == CHAT:
            yield str((await asked.chat.completions.create(model=model, messages=HELLO, **told)).choices)
        elif stream:
            async with asked.responses.stream(model=model, input="What is a café?", **told) as responding:
                async for event in responding:
                    if event.type == "error":
                        # The client hands this one on, as any other event.
                        raise openai.APIError(event.message, responding._response.request, body=None)
                    yield event.delta if event.type == "response.output_text.delta" else ""
        else:
            yield (await asked.responses.create(model=model, input="What is a café?", **told)).output_text


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
    await pieces.aclose()  # type: ignore[attr-defined]
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
    (row,) = await proxy.ledger()
    served = await proxy.admin.fetch("select name from router.models where model_id = $1", row["model_id"])
    assert (served[0]["name"], row["reason"]) == (CHEAP, "fallback")


@apis
@models
async def test_comments_that_keep_a_connection_alive_are_passed_over(
    proxies: ProxyFactory, api: str, model: str
) -> None:
    async with proxies(keepalive=0.05) as proxy:
        text = "".join([text async for text in spoken(proxy, api, model, "delay=0.2;gap=0.1")])
    assert text == streamed_text()


@apis
async def test_a_failure_after_such_comments_is_an_error(proxies: ProxyFactory, api: str) -> None:
    async with proxies(keepalive=0.05, retries=0) as proxy:
        with pytest.raises(ERRORS):
            [text async for text in spoken(proxy, api, STRONG, "delay=0.3;status=500")]


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
