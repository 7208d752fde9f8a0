"""Chat completions with the official client: routed by the taught examples, forwarded byte for byte."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import openai
import pytest

from scripts.fake_provider.server import Running, streamed_text
from tests.support.chat import ask, served
from tests.support.proxy import CHEAP, STRONG, Proxy, ProxyFactory
from tests.support.separable_prompts import easy, hard, lessons

NEW = range(1000, 1010)


async def test_prompts_never_seen_go_to_the_model_that_was_taught_to_be_good_enough(proxy: Proxy) -> None:
    await proxy.rank(lessons(120))
    async with proxy.client() as client:
        easy_ones = [await served(client, easy(seed)) for seed in NEW]
        hard_ones = [await served(client, hard(seed)) for seed in NEW]
    assert easy_ones == [(CHEAP, "learned")] * len(NEW)
    assert hard_ones == [(STRONG, "learned")] * len(NEW)


async def test_a_cold_pool_serves_the_default(proxy: Proxy) -> None:
    await proxy.rank(lessons(20))
    async with proxy.client() as client:
        assert await served(client, easy(1)) == (STRONG, "cold")


async def test_a_pool_that_warms_up_is_noticed_by_the_next_request(proxy: Proxy) -> None:
    async with proxy.client() as client:
        assert await served(client, easy(1)) == (STRONG, "cold")
        await proxy.rank(lessons(120))
        assert await served(client, easy(1)) == (CHEAP, "learned")


async def test_a_routed_stream_names_the_model_and_the_reason(proxy: Proxy) -> None:
    await proxy.rank(lessons(120))
    async with proxy.client() as client:
        raw = await client.chat.completions.with_raw_response.create(
            model="auto", messages=ask(easy(2000)), stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in raw.parse()]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == streamed_text()
    assert chunks[-1].usage is not None
    assert raw.headers["x-router-model"] == CHEAP
    assert 0.5 < float(raw.headers["x-router-confidence"]) <= 1
    assert 0 < float(raw.headers["x-router-overhead-ms"]) < 1000
    row = (await proxy.ledger())[0]
    assert str(row["decision_id"]) == raw.headers["x-router-decision"]
    assert (row["streamed"], row["prompt_tokens"], row["completion_tokens"], row["cached_tokens"]) == (True, 11, 7, 3)
    assert row["spent_usd"] == pytest.approx((11 * 0.15 + 7 * 0.6) / 1e6)
    assert row["default_usd"] == pytest.approx((11 * 2.5 + 7 * 10) / 1e6)


async def test_what_a_prompt_was_taken_for_is_compared_with_what_the_provider_counts(proxy: Proxy) -> None:
    async with proxy.client() as client:
        await client.chat.completions.create(model="auto", messages=ask("What is the capital of France? " * 3))
    row = (await proxy.ledger())[0]
    assert (row["prompt_tokens"], row["estimated_tokens"]) == (11, pytest.approx(29, abs=5))
    (speed,) = await proxy.admin.fetch("select * from router.speeds")
    assert speed["token_ratio"] == pytest.approx(1 + (11 / row["estimated_tokens"] - 1) / 4)
    assert (speed["completion_tokens"], speed["completions"]) == (7, 1)


async def test_a_request_that_is_not_routed_is_not_counted_before_it_is_sent(proxy: Proxy) -> None:
    async with proxy.client() as client:
        await client.chat.completions.create(model=CHEAP, messages=ask("hi"))
    assert (await proxy.ledger())[0]["estimated_tokens"] is None


async def test_a_routed_streams_usage_is_asked_for_and_not_shown(proxy: Proxy, upstream: Running) -> None:
    body = {"model": "auto", "messages": ask("hi"), "stream": True}
    async with proxy.http() as http:
        async with http.post(f"{upstream.url}/chat/completions", json={**body, "model": STRONG}) as direct:
            expected = await direct.read()
        async with http.post("/v1/chat/completions", json=body) as response:
            assert await response.read() == expected
    assert b'"include_usage"' in base64.b64decode(upstream.log()[-1]["body"])
    row = (await proxy.ledger())[0]
    assert (row["prompt_tokens"], row["cached_tokens"], row["completion_tokens"]) == (11, 3, 7)
    assert not row["usage_estimated"]


async def test_the_usage_of_a_stream_that_reports_none_is_estimated_and_marked(proxy: Proxy) -> None:
    async with proxy.client() as client:
        stream = await client.chat.completions.create(model=CHEAP, messages=ask("hi"), stream=True)
        said = [chunk async for chunk in stream]
    assert said
    row = (await proxy.ledger())[0]
    assert (row["status"], row["usage_estimated"]) == (200, True)
    assert 7 <= row["prompt_tokens"] <= 9
    assert 10 <= row["completion_tokens"] <= 25, streamed_text()
    assert row["spent_usd"] > 0


@pytest.mark.parametrize("stream", ["false", "true"])
async def test_an_explicit_model_passes_byte_for_byte_both_ways(proxy: Proxy, upstream: Running, stream: str) -> None:
    body = (
        '{ "x_unknown": {"a": 1.0, "b": 12345678901234567890123}, "model" : "cheap","stream":' + stream + ",\n"
        '"messages":[{"role":"user","content":"caf\\u00e9 \\"model\\": \\"auto\\""}] }'
    ).encode()
    async with proxy.http() as http:
        async with http.post(f"{upstream.url}/chat/completions", data=body) as direct:
            expected = await direct.read()
        upstream.clear()
        headers = {"content-type": "application/json; charset=utf-8", "x-custom": "kept"}
        async with http.post("/v1/chat/completions", data=body, headers=headers) as response:
            received = await response.read()
            assert not [name for name in response.headers if name.lower().startswith("x-router")]
            assert response.content_type == direct.content_type
    assert received == expected
    request = upstream.log()[0]
    assert base64.b64decode(request["body"]) == body
    sent = {name.lower(): value for name, value in request["headers"]}
    assert sent["x-custom"] == "kept"
    assert sent["content-type"] == "application/json; charset=utf-8"
    assert proxy.key not in str(request["headers"])
    row = (await proxy.ledger())[0]
    assert (row["policy_id"], row["reason"], row["requested"]) == (None, "off", "cheap")


@pytest.mark.parametrize("odd", [b"1e400", b"12345678901234567890123.50", b'"\\ud83d"', b"[{}, []]", b"NaN"])
async def test_only_the_models_name_differs_in_what_a_routed_request_sends_upstream(
    proxy: Proxy, upstream: Running, odd: bytes
) -> None:
    body = b'{"messages":[ {"role":"user","content":"hi"} ],  "model":\t"auto", "metadata":{"model":"auto"}, "x": ODD }'
    body = body.replace(b"ODD", odd)
    async with proxy.http() as http, http.post("/v1/chat/completions", data=body) as response:
        assert response.headers["x-router-model"] == STRONG
    assert base64.b64decode(upstream.log()[-1]["body"]) == body.replace(b'\t"auto"', b'\t"strong"')


async def test_half_a_surrogate_pair_is_the_providers_to_judge(proxy: Proxy, upstream: Running) -> None:
    await proxy.rank(lessons(120))
    body = b'{"model":"auto","messages":[{"role":"user","content":"postcard \\ud83d"}],"tools":[{"x":"\\ud83d"}]}'
    async with proxy.http() as http, http.post("/v1/chat/completions", data=body) as response:
        assert response.headers["x-router-reason"] == "learned"
    assert b"\\ud83d" in base64.b64decode(upstream.log()[-1]["body"])


async def test_router_backend_none_routes_nothing(proxies: ProxyFactory) -> None:
    async with proxies(routing=False) as proxy:
        await proxy.rank(lessons(120))
        async with proxy.client() as client:
            assert await served(client, easy(1)) == (STRONG, "off")


async def test_a_request_can_opt_out_of_routing(proxy: Proxy) -> None:
    await proxy.rank(lessons(120))
    async with proxy.client() as client:
        assert await served(client, easy(1), extra_headers={"X-Router": "off"}) == (STRONG, "off")
        assert await served(client, easy(1), extra_headers={"X-Router": "on"}) == (CHEAP, "learned")


async def test_alpha_can_be_set_for_one_request(proxy: Proxy) -> None:
    await proxy.rank(lessons(120))
    async with proxy.client() as client:
        assert await served(client, hard(2000), extra_headers={"X-Router-Alpha": "50"}) == (CHEAP, "learned")


async def test_a_tenant_may_have_explicit_models_routed(proxies: ProxyFactory) -> None:
    async with proxies(policy={"route_explicit": True}) as proxy:
        await proxy.rank(lessons(120))
        async with proxy.client() as client:
            raw = await client.chat.completions.with_raw_response.create(model=STRONG, messages=ask(easy(2000)))
            assert raw.headers["x-router-model"] == CHEAP


async def test_a_conversation_stays_with_its_model(proxy: Proxy) -> None:
    await proxy.rank(lessons(120))
    async with proxy.client() as client:
        opening = ask(easy(2000))
        assert await served(client, easy(2000)) == (CHEAP, "learned")
        await proxy.ledger()
        # The memory now prefers the other model, so only stickiness can explain the cheap one.
        await proxy.rank([{**lesson, "scores": {CHEAP: 0.0, STRONG: 1.0}} for lesson in lessons(120)])
        raw = await client.chat.completions.with_raw_response.create(
            model="auto", messages=[*opening, {"role": "assistant", "content": "Dear"}, *ask("Go on")]
        )
        assert (raw.headers["x-router-model"], raw.headers["x-router-reason"]) == (CHEAP, "sticky")
        raw = await client.chat.completions.with_raw_response.create(model="auto", messages=opening)
        assert (raw.headers["x-router-model"], raw.headers["x-router-reason"]) == (STRONG, "learned")


async def test_requests_go_only_to_models_that_can_serve_them(proxy: Proxy) -> None:
    await proxy.rank(lessons(120))
    await proxy.admin.fetch("update router.models set tools = false, vision = false where name = 'cheap'")
    await asyncio.sleep(0.3)
    tools: Any = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "model": "auto"}}}]
    image: Any = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]
    async with proxy.client() as client:
        assert await served(client, easy(1), tools=tools) == (STRONG, "capability")
        raw = await client.chat.completions.with_raw_response.create(
            model="auto", messages=[{"role": "user", "content": [{"type": "text", "text": easy(1)}, *image]}]
        )
        assert raw.headers["x-router-reason"] == "capability"
        assert await served(client, easy(1)) == (CHEAP, "learned")


async def test_models_are_listed_with_the_tenants_policies(proxy: Proxy) -> None:
    async with proxy.client() as client:
        names = [model.id async for model in client.models.list()]
        assert names == ["auto", CHEAP, STRONG]
        assert (await client.models.retrieve("auto")).owned_by == "pgrouter"
        with pytest.raises(openai.NotFoundError):
            await client.models.retrieve("gpt-none")


async def test_a_model_may_be_called_by_its_provider_too(proxy: Proxy, upstream: Running) -> None:
    async with proxy.client() as client:
        assert (await client.models.retrieve("fake/cheap")).id == CHEAP
        await client.chat.completions.create(model="fake/cheap", messages=ask("hi"))
    assert b'"cheap"' in base64.b64decode(upstream.log()[-1]["body"])


async def test_what_the_connection_names_is_for_this_hop_alone(proxy: Proxy, upstream: Running) -> None:
    headers = {"connection": "x-hop, keep-alive", "x-hop": "1", "x-kept": "1", "x-router-task": "t"}
    body = {"model": CHEAP, "messages": ask("hi")}
    async with proxy.http() as http, http.post("/v1/chat/completions", json=body, headers=headers) as response:
        assert response.status == 200
    sent = {name.lower() for name, _ in upstream.log()[-1]["headers"]}
    assert "x-kept" in sent
    assert not sent & {"x-hop", "x-router-task"}


async def test_a_routed_request_that_fails_has_the_id_of_its_decision(proxy: Proxy, upstream: Running) -> None:
    for model in (CHEAP, STRONG):
        upstream.script(model, "drop")
    async with proxy.client() as client:
        with pytest.raises(openai.InternalServerError) as failed:
            await client.chat.completions.create(model="auto", messages=ask("hi"))
    row = (await proxy.ledger())[0]
    assert failed.value.response.headers["x-router-decision"] == str(row["decision_id"])
    assert (row["status"], row["attempts"]) == (502, 6)


async def test_embeddings_pass_through(proxy: Proxy) -> None:
    async with proxy.client() as client:
        answer = await client.embeddings.create(model=CHEAP, input="hi", dimensions=8)
        assert len(answer.data[0].embedding) == 8
