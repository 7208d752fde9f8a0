"""Streams of the fake provider."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
import openai
import orjson
import pytest

from scripts.fake_provider.server import USAGE, Running, streamed_text
from tests.support.fake_provider import HELLO, ask, chat, until_disconnected


async def test_a_stream_has_usage_only_when_asked_for(client: openai.AsyncOpenAI) -> None:
    chunks = [
        chunk
        async for chunk in await client.chat.completions.create(
            model="gpt-4o", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
    ]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == streamed_text()
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == USAGE["total_tokens"]
    plain = [chunk async for chunk in await client.chat.completions.create(model="m", messages=HELLO, stream=True)]
    assert len(plain) == len(chunks) - 1
    assert [chunk.usage for chunk in plain] == [None] * len(plain)


async def test_a_stream_has_as_many_deltas_as_asked_for(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model="gpt-4o", messages=HELLO, stream=True, extra_headers={"x-fake": "chunks=40;split=7"}
    )
    text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
    assert text == streamed_text(40)


async def test_a_gap_spreads_a_stream_over_time(upstream: Running, session: aiohttp.ClientSession) -> None:
    headers = {"x-fake": "gap=0.02;chunks=10"}
    start = time.perf_counter()
    async with session.post(f"{upstream.url}/chat/completions", json=chat(stream=True), headers=headers) as response:
        await response.content.readline()
        first = time.perf_counter() - start
        await response.read()
    assert time.perf_counter() - start > first + 0.2


async def test_a_client_that_leaves_a_stream_is_logged(upstream: Running, session: aiohttp.ClientSession) -> None:
    headers = {"x-fake": "gap=0.02;chunks=1000"}
    response = await session.post(f"{upstream.url}/chat/completions", json=chat(stream=True), headers=headers)
    await response.content.readline()
    assert upstream.log()[0]["disconnected"] is False
    response.close()
    await until_disconnected(upstream)


async def test_a_dead_stream_breaks_off_half_way(upstream: Running, session: aiohttp.ClientSession) -> None:
    async with session.post(f"{upstream.url}/chat/completions", json=chat("dead-stream", stream=True)) as response:
        assert response.status == 200
        assert b"content" in await response.content.readuntil(b"\n\n") + await response.content.readuntil(b"\n\n")
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


@pytest.mark.parametrize("word", ["die-after", "hang-after"])
async def test_a_stream_ends_after_the_requested_number_of_events(
    upstream: Running, session: aiohttp.ClientSession, word: str
) -> None:
    url, headers = f"{upstream.url}/chat/completions", {"x-fake": f"{word}=3"}
    limit = aiohttp.ClientTimeout(sock_read=0.2)
    async with session.post(url, json=chat(stream=True), headers=headers, timeout=limit) as response:
        events = [await response.content.readuntil(b"\n\n") for _ in range(3)]
        with pytest.raises((aiohttp.ClientPayloadError, aiohttp.SocketTimeoutError)) as caught:
            await response.content.readuntil(b"\n\n")
    assert [event.partition(b" ")[0] for event in events] == [b":", b"data:", b"data:"]
    assert isinstance(caught.value, aiohttp.SocketTimeoutError) is (word == "hang-after")


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/chat/completions", {"messages": HELLO}, b'data: {"error"'),
        ("/responses", {"input": "Hello"}, b"event: error"),
        ("/messages", {"messages": HELLO, "max_tokens": 9}, b"event: error"),
    ],
)
async def test_a_stream_may_end_in_an_error_event(
    upstream: Running, session: aiohttp.ClientSession, path: str, body: dict[str, Any], said: bytes
) -> None:
    headers = {"x-fake": "error-after=4"}
    body = {"model": "m", "stream": True, **body}
    async with session.post(upstream.url + path, json=body, headers=headers) as response:
        events = (await response.read()).split(b"\n\n")
    assert len(events) == 6
    assert said in events[4].replace(b'{ "error" :', b'{"error"')


async def test_comments_and_line_ends_of_a_stream_can_be_asked_for(
    upstream: Running, session: aiohttp.ClientSession
) -> None:
    bodies = []
    for plan in ("", "comments;crlf"):
        headers = {"x-fake": plan}
        async with session.post(f"{upstream.url}/responses", json=ask(stream=True), headers=headers) as response:
            bodies.append(await response.read())
    plain, odd = (body.replace(b"\r\n", b"\n").split(b"\n\n") for body in bodies)
    assert b"\n" not in bodies[1].replace(b"\r\n", b"")
    assert len(odd) == 2 * len(plain) - 1
    assert set(odd[:-1:2]) == {b": keep-alive"}


async def test_usage_can_be_kept_quiet_or_made_of_reasoning(client: openai.AsyncOpenAI) -> None:
    usages = []
    for plan in ("no-usage", "reasoning=64;cached=5"):
        headers = {"x-fake": plan}
        completion = await client.chat.completions.create(model="m", messages=HELLO, extra_headers=headers)
        usages.append(completion.usage)
    assert usages[0] is None
    assert usages[1] is not None
    assert usages[1].completion_tokens == 64 + USAGE["completion_tokens"]
    assert usages[1].prompt_tokens_details is not None
    assert usages[1].prompt_tokens_details.cached_tokens == 5


@pytest.mark.parametrize(("plan", "told"), [("", 5), ("terse", 1)])
async def test_a_messages_stream_ends_with_its_usage(
    upstream: Running, session: aiohttp.ClientSession, plan: str, told: int
) -> None:
    body = {"model": "m", "stream": True, "messages": HELLO, "max_tokens": 9}
    async with session.post(f"{upstream.url}/messages", json=body, headers={"x-fake": plan}) as response:
        (delta,) = [event for event in (await response.read()).split(b"\n\n") if b"event: message_delta" in event]
    assert len(orjson.loads(delta.partition(b"data: ")[2])["usage"]) == told


async def test_a_long_stream_waits_for_its_reader(upstream: Running, session: aiohttp.ClientSession) -> None:
    headers = {"x-fake": "chunks=50000"}
    async with session.post(f"{upstream.url}/chat/completions", json=chat(stream=True), headers=headers) as response:
        await response.content.readline()
        written = [-1, upstream.log()[0]["written"]]
        while written[-1] != written[-2]:
            await asyncio.sleep(0.05)
            written.append(upstream.log()[0]["written"])
        body = await response.read()
    assert 0 < written[-1] < upstream.log()[0]["written"]
    assert body.endswith(b"data: [DONE]\n\n")
