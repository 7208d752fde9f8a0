"""Chat completions of providers that fail, hang or stop, and of clients that disconnect."""

from __future__ import annotations

import asyncio

import openai
import pytest

from scripts.fake_provider.server import Running
from tests.support.chat import ask, served
from tests.support.proxy import CHEAP, STRONG, Proxy, ProxyFactory
from tests.support.separable_prompts import easy, lessons


async def test_a_failing_model_gives_way_to_the_next_of_the_ranking(proxy: Proxy, upstream: Running) -> None:
    await proxy.rank(lessons(120))
    upstream.script(CHEAP, "status=503")
    async with proxy.client() as client:
        assert await served(client, easy(1)) == (STRONG, "fallback")
        upstream.script(CHEAP, "drop")
        assert await served(client, easy(1)) == (STRONG, "fallback")
    row = (await proxy.ledger(2))[0]
    assert (row["reason"], row["attempts"], row["status"]) == ("fallback", 2, 200)


async def test_an_answer_that_breaks_off_before_any_of_it_went_out_gives_way_too(
    proxy: Proxy, upstream: Running
) -> None:
    await proxy.rank(lessons(120))
    upstream.script(CHEAP, "die")
    async with proxy.client() as client:
        assert await served(client, easy(1)) == (STRONG, "fallback")


async def test_a_stream_that_dies_before_its_first_word_gives_way_too(proxy: Proxy, upstream: Running) -> None:
    await proxy.rank(lessons(120))
    upstream.script(CHEAP, "die-after=0;gap=0.01")
    async with proxy.client() as client:
        raw = await client.chat.completions.with_raw_response.create(model="auto", messages=ask(easy(1)), stream=True)
        said = [chunk async for chunk in raw.parse()]
    assert said
    assert (raw.headers["x-router-model"], raw.headers["x-router-reason"]) == (STRONG, "fallback")


async def test_a_stream_without_a_word_in_time_fails_over(proxies: ProxyFactory, upstream: Running) -> None:
    async with proxies(first_byte_timeout=0.3) as proxy:
        await proxy.rank(lessons(120))
        upstream.script(CHEAP, "hang-after=0")
        async with proxy.client() as client:
            raw = await client.chat.completions.with_raw_response.create(
                model="auto", messages=ask(easy(1)), stream=True
            )
            assert [chunk async for chunk in raw.parse()]
        upstream.clear()
    assert raw.headers["x-router-attempts"].startswith(f"{CHEAP};why=chosen;status=timeout;")
    assert raw.headers["x-router-model"] == STRONG


async def test_the_last_models_failure_is_passed_on_as_it_is(proxy: Proxy, upstream: Running) -> None:
    upstream.script(CHEAP, "status=500")
    upstream.script(STRONG, "status=429;retry-after=7")
    async with proxy.client() as client:
        with pytest.raises(openai.InternalServerError):
            await client.chat.completions.create(model=CHEAP, messages=ask("hi"))
        with pytest.raises(openai.RateLimitError) as refused:
            await client.chat.completions.create(model=STRONG, messages=ask("hi"))
        assert refused.value.response.headers["retry-after"] == "7"
    assert [row["status"] for row in await proxy.ledger(2)] == [500, 429]


async def test_a_provider_that_cannot_be_reached_is_a_502(proxy: Proxy) -> None:
    await proxy.admin.fetch("select router.put_provider('fake', 'http://127.0.0.1:9/v1', null)")
    await asyncio.sleep(0.3)
    async with proxy.client() as client:
        with pytest.raises(openai.InternalServerError) as failed:
            await client.chat.completions.create(model=CHEAP, messages=ask("hi"))
    assert failed.value.status_code == 502
    assert failed.value.code == "upstream_unavailable"


async def test_a_provider_that_does_not_answer_in_time_is_a_504(proxies: ProxyFactory, upstream: Running) -> None:
    async with proxies(first_byte_timeout=0.3) as proxy:
        upstream.script(CHEAP, "hang")
        async with proxy.client() as client:
            with pytest.raises(openai.InternalServerError) as failed:
                await client.chat.completions.create(model=CHEAP, messages=ask("hi"))
        upstream.clear()
    assert failed.value.status_code == 504


async def test_a_stream_that_dies_midway_ends_with_an_error(proxy: Proxy, upstream: Running) -> None:
    upstream.script(CHEAP, "die")
    async with proxy.client() as client:
        stream = await client.chat.completions.create(model=CHEAP, messages=ask("hi"), stream=True)
        with pytest.raises(openai.APIError, match="aborted"):
            _ = [chunk async for chunk in stream]
    assert (await proxy.ledger())[0]["status"] == 502


async def test_a_client_that_leaves_stops_the_providers_work(proxy: Proxy, upstream: Running) -> None:
    upstream.script(CHEAP, "gap=0.2;chunks=50")
    async with proxy.client() as client:
        stream = await client.chat.completions.create(model=CHEAP, messages=ask("hi"), stream=True)
        async for _ in stream:
            break
        await stream.close()
    row = (await proxy.ledger())[0]
    assert row["status"] == 499
    for _ in range(40):
        if upstream.log()[-1]["disconnected"]:
            break
        await asyncio.sleep(0.05)
    assert upstream.log()[-1]["disconnected"]
