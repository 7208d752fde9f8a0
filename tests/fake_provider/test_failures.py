"""Failures of the fake provider, requested by a request, a model name or a script."""

from __future__ import annotations

import base64
import time
from collections.abc import AsyncIterator

import aiohttp
import anthropic
import openai
import orjson
import pytest

from scripts.fake_provider.server import Running, running_upstream
from tests.support.fake_provider import HELLO, chat, until_disconnected


async def test_a_failure_can_be_asked_for_by_header(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.RateLimitError) as caught:
        await client.chat.completions.create(
            model="gpt-4o", messages=HELLO, extra_headers={"X-Fake": "status=429;retry-after=2"}
        )
    assert caught.value.response.headers["retry-after"] == "2"
    assert caught.value.code == "rate_limit_exceeded"


async def test_a_failure_can_be_asked_for_by_model_name(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        await client.chat.completions.create(model="fail-503", messages=HELLO)
    assert caught.value.status_code == 503


async def test_a_failure_can_be_asked_for_by_query(upstream: Running, session: aiohttp.ClientSession) -> None:
    url = f"{upstream.url}/chat/completions?fake=status%3D500"
    async with session.post(url, json=chat()) as response:
        assert response.status == 500


async def test_a_script_fails_an_ordinary_model_until_it_is_lifted(
    client: openai.AsyncOpenAI, upstream: Running
) -> None:
    upstream.script("gpt-4o", "status=500")
    with pytest.raises(openai.InternalServerError):
        await client.chat.completions.create(model="gpt-4o", messages=HELLO)
    await client.chat.completions.create(model="gpt-4o-mini", messages=HELLO)
    upstream.script("gpt-4o")
    await client.chat.completions.create(model="gpt-4o", messages=HELLO)


async def test_a_misspelt_plan_is_refused(client: openai.AsyncOpenAI, upstream: Running) -> None:
    with pytest.raises(openai.BadRequestError, match="'statsu=500' is not a word of a plan"):
        await client.chat.completions.create(model="m", messages=HELLO, extra_headers={"x-fake": "statsu=500"})
    with pytest.raises(ValueError, match="is not a word of a plan"):
        upstream.script("gpt-4o", "hang=1")


async def test_a_slow_model_delays_its_first_byte(client: openai.AsyncOpenAI) -> None:
    start = time.perf_counter()
    await client.chat.completions.create(model="slow-0.2", messages=HELLO)
    assert 0.2 <= time.perf_counter() - start < 2


async def test_a_hanging_model_never_answers_and_its_abandonment_is_logged(
    upstream: Running, session: aiohttp.ClientSession
) -> None:
    with pytest.raises(TimeoutError):
        await session.post(
            f"{upstream.url}/chat/completions", json=chat("hang"), timeout=aiohttp.ClientTimeout(total=0.2)
        )
    await until_disconnected(upstream)


async def test_a_dead_answer_is_shorter_than_its_length(upstream: Running, session: aiohttp.ClientSession) -> None:
    async with session.post(f"{upstream.url}/chat/completions", json=chat("dead-stream")) as response:
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


async def test_a_dropped_request_gets_no_byte(upstream: Running, session: aiohttp.ClientSession) -> None:
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await session.post(f"{upstream.url}/chat/completions", json=chat("drop"))


def test_leaving_the_block_ends_the_process() -> None:
    with running_upstream() as upstream:
        assert upstream.process.poll() is None
    assert upstream.process.returncode == 0


def test_a_server_ends_with_the_process_that_started_it() -> None:
    with running_upstream() as upstream:
        assert upstream.process.stdin is not None
        upstream.process.stdin.close()
        assert upstream.process.wait(10) == 0


async def test_a_chunked_request_is_taken(upstream: Running, session: aiohttp.ClientSession) -> None:
    content = orjson.dumps(chat(user="é" * 50_000))

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 9_999):
            yield content[start : start + 9_999]

    for _ in range(2):  # The second finds the connection where the first has left it.
        async with session.post(f"{upstream.url}/chat/completions", data=pieces()) as response:
            assert response.status == 200
    assert [base64.b64decode(entry["body"]) for entry in upstream.log()] == [content, content]


async def test_a_plan_that_holds_a_few_times_ends(client: openai.AsyncOpenAI, upstream: Running) -> None:
    upstream.script("gpt-4o", "status=500;times=2")
    for _ in range(2):
        with pytest.raises(openai.InternalServerError):
            await client.chat.completions.create(model="gpt-4o", messages=HELLO)
    await client.chat.completions.create(model="gpt-4o", messages=HELLO)
    upstream.script("gpt-4o", "status=500;times=2")
    with pytest.raises(openai.InternalServerError):
        await client.chat.completions.create(model="gpt-4o", messages=HELLO)


@pytest.mark.parametrize("header", ["x-api-key", "authorization"])
async def test_a_key_is_required_if_one_is_set(upstream: Running, session: aiohttp.ClientSession, header: str) -> None:
    right = "sk-right" if header == "x-api-key" else "Bearer sk-right"
    statuses = []
    for key in (right, "sk-wrong"):
        headers = {"x-fake": "needs-key=sk-right", header: key}
        async with session.post(f"{upstream.url}/chat/completions", json=chat(), headers=headers) as response:
            statuses.append(response.status)
    assert statuses == [200, 401]


async def test_an_answer_can_end_for_want_of_tokens(client: openai.AsyncOpenAI, upstream: Running) -> None:
    headers = {"x-fake": "incomplete"}
    completion = await client.chat.completions.create(model="m", messages=HELLO, extra_headers=headers)
    async with client.responses.stream(model="m", input="Hello", extra_headers=headers) as stream:
        *_, last = [event async for event in stream]
    async with anthropic.AsyncAnthropic(base_url=upstream.url.removesuffix("/v1"), api_key="sk-fake") as other:
        message = await other.messages.create(model="m", max_tokens=9, messages=HELLO, extra_headers=headers)
    assert (completion.choices[0].finish_reason, message.stop_reason) == ("length", "max_tokens")
    assert last.type == "response.incomplete"
    assert last.response.incomplete_details is not None
    assert last.response.incomplete_details.reason == "max_output_tokens"
    assert last.response.usage is not None
