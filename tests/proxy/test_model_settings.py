"""Models with settings: what their provider is sent, in every API, routed or named."""

from __future__ import annotations

import base64
from typing import Any

import openai
import orjson
import pytest

from app.store import models, policies
from scripts.fake_provider.server import ANSWER, Running, streamed_text
from tests.support.chat import ask
from tests.support.proxy import CHEAP, STRONG, Proxy, ProxyFactory
from tests.support.raw_provider import call
from tests.support.separable_prompts import easy, hard, lessons

LOW = "strong-low"
SETTINGS = {"reasoning_effort": "low", "max_output_tokens": 900}
MESSAGE = {"role": "user", "content": "Hello"}
CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
BODIES: dict[str, dict[str, Any]] = {
    CHAT: {"messages": [MESSAGE]},
    RESPONSES: {"input": "Hello"},
    MESSAGES: {"messages": [MESSAGE]},
}
SENT: dict[str, dict[str, Any]] = {
    CHAT: {"reasoning_effort": "low", "max_completion_tokens": 900},
    RESPONSES: {"reasoning": {"effort": "low"}, "max_output_tokens": 900},
    MESSAGES: {"output_config": {"effort": "low"}, "max_tokens": 900},
}


async def add(proxy: Proxy, settings: dict[str, Any], name: str = LOW) -> None:
    """Make `name`, served as `strong` with these settings, the only candidate of `auto`."""
    await models.put_model(proxy.admin, name, "fake", upstream_name=STRONG, settings=settings)
    await policies.put_policy(
        proxy.admin, proxy.tenant_id, "auto", backend="knn", default=name, models=[name], settings={}
    )
    proxy.services.directory.invalidate()


def sent(upstream: Running) -> bytes:
    """The last body that the provider received."""
    return base64.b64decode(upstream.log()[-1]["body"])


@pytest.fixture
async def low(proxy: Proxy) -> Proxy:
    await add(proxy, SETTINGS)
    return proxy


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", [CHAT, RESPONSES, MESSAGES])
async def test_a_routed_request_gets_the_settings_of_its_model(
    low: Proxy, upstream: Running, path: str, stream: bool
) -> None:
    body = {**BODIES[path], "stream": stream}
    status, _ = await call(low, "POST", path, json={**body, "model": "auto"})
    assert status == 200
    found = orjson.loads(sent(upstream))
    found.pop("stream_options", None)
    assert found == {**body, "model": STRONG, **SENT[path]}
    (row,) = await low.ledger()
    name = await low.admin.fetch("select name from router.models where model_id = $1", row["model_id"])
    assert name[0]["name"] == LOW
    assert row["spent_usd"] == pytest.approx((row["prompt_tokens"] * 2.5 + row["completion_tokens"] * 10) / 1e6)


@pytest.mark.parametrize(
    ("path", "given"),
    [
        (CHAT, {"reasoning_effort": "high", "max_tokens": 50}),
        (CHAT, {"reasoning": {"effort": "high"}, "max_completion_tokens": 50}),
        (RESPONSES, {"reasoning": {"effort": "high", "summary": "concise"}, "max_output_tokens": 50}),
        (MESSAGES, {"output_config": {"effort": "high"}, "max_tokens": 50}),
    ],
)
async def test_what_the_client_sends_stays_byte_for_byte(
    low: Proxy, upstream: Running, path: str, given: dict[str, Any]
) -> None:
    body = orjson.dumps({"model": "auto", **given, **BODIES[path]}, option=orjson.OPT_INDENT_2)
    assert (await call(low, "POST", path, data=body))[0] == 200
    assert sent(upstream) == body.replace(b'"auto"', b'"strong"')


async def test_only_the_settings_are_added_to_the_bytes(low: Proxy, upstream: Running) -> None:
    body = b'{ "model" :"auto", "reasoning": {"summary" : "auto"},\n"input":"caf\\u00e9","x":1.50 }'
    assert (await call(low, "POST", RESPONSES, data=body))[0] == 200
    assert sent(upstream) == (
        b'{"max_output_tokens":900, "model" :"strong", "reasoning": {"effort":"low","summary" : "auto"},\n'
        b'"input":"caf\\u00e9","x":1.50 }'
    )


async def test_thinking_is_set_in_messages_and_left_out_beside_a_temperature(proxy: Proxy, upstream: Running) -> None:
    await add(proxy, {"thinking.budget_tokens": 1024})
    body = {"model": "auto", "max_tokens": 2000, "messages": [MESSAGE]}
    await call(proxy, "POST", MESSAGES, json=body)
    assert orjson.loads(sent(upstream)) == {
        **body, "model": STRONG, "thinking": {"type": "enabled", "budget_tokens": 1024},
    }  # fmt: skip
    await call(proxy, "POST", MESSAGES, json={**body, "temperature": 0.2})
    assert orjson.loads(sent(upstream)) == {**body, "model": STRONG, "temperature": 0.2}


@pytest.mark.parametrize("routing", [True, False])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_named_model_with_settings_gets_its_upstream_name_and_them_and_a_plain_one_nothing(
    proxies: ProxyFactory, upstream: Running, stream: bool, routing: bool
) -> None:
    async with proxies(routing=routing) as proxy:
        await add(proxy, SETTINGS)
        for path, asked in (*BODIES.items(), ("/v1/completions", {"prompt": "Hello"})):
            body = orjson.dumps({"model": LOW, "stream": stream, **asked}, option=orjson.OPT_INDENT_2)
            added = SENT.get(path, {"max_tokens": 900})
            assert (await call(proxy, "POST", path, data=body))[0] == 200
            assert orjson.loads(sent(upstream)) == {"model": STRONG, "stream": stream, **asked, **added}
            for name in (STRONG, CHEAP):
                plain = body.replace(LOW.encode(), name.encode())
                await call(proxy, "POST", path, data=plain)
                assert sent(upstream) == plain


async def test_embeddings_and_counts_of_tokens_get_no_settings(low: Proxy, upstream: Running) -> None:
    for path, asked in (("/v1/embeddings", {"input": "a"}), ("/v1/messages/count_tokens", {"messages": [MESSAGE]})):
        await call(low, "POST", path, json={"model": LOW, **asked})
        assert orjson.loads(sent(upstream)) == {"model": STRONG, **asked}


async def test_the_official_client_gets_answers_under_the_models_own_name(low: Proxy) -> None:
    async with low.client() as client:
        raw = await client.chat.completions.with_raw_response.create(model="auto", messages=ask("Hello"))
        assert raw.parse().choices[0].message.content == ANSWER
        assert (raw.headers["x-router-model"], raw.headers["x-router-reason"]) == (LOW, "single_candidate")
        assert raw.headers["x-router-attempts"].startswith(f"{LOW};")
        stream = await client.chat.completions.create(model=LOW, messages=ask("Hello"), stream=True)
        assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == streamed_text()
        assert (await client.responses.create(model="auto", input="Hello")).output_text == ANSWER
        listed = [model.id async for model in client.models.list()]
        assert LOW in listed
        with pytest.raises(openai.NotFoundError):
            await client.chat.completions.create(model="strong-high", messages=ask("Hello"))


async def test_it_is_taught_learned_and_explained_as_any_candidate(proxy: Proxy, upstream: Running) -> None:
    await models.put_model(proxy.admin, LOW, "fake", upstream_name=STRONG, settings=SETTINGS)
    await policies.put_policy(
        proxy.admin, proxy.tenant_id, "auto", backend="knn", default=STRONG, models=[LOW, STRONG],
        # The two cost the same: only labels tell them apart.
        settings={"alpha": 0.0},
    )  # fmt: skip
    proxy.services.directory.invalidate()
    examples = [
        {**each, "scores": {LOW: each["scores"][CHEAP], STRONG: 1 - each["scores"][CHEAP] / 2}} for each in lessons(120)
    ]
    await proxy.rank(examples)
    served = []
    async with proxy.client() as client:
        for prompt in (easy(1000), hard(1000)):
            raw = await client.chat.completions.with_raw_response.create(model="auto", messages=ask(prompt))
            body = orjson.loads(sent(upstream))
            served.append((raw.headers["x-router-model"], body["model"], body.get("reasoning_effort")))
    assert served == [(LOW, STRONG, "low"), (STRONG, STRONG, None)]
    _, explained = await call(proxy, "POST", "/v1/router/explain", json={"prompt": easy(1000)})
    named = {each["model"]: each for each in orjson.loads(explained)["candidates"]}
    assert named.keys() == {LOW, STRONG}
    assert named[LOW]["input_price"] == named[STRONG]["input_price"] == 2.5


@pytest.mark.parametrize("stream", [False, True])
async def test_a_comparison_asks_with_the_settings(low: Proxy, upstream: Running, stream: bool) -> None:
    body = {"prompt": "Hello", "models": [LOW, CHEAP], "max_tokens": 50, "stream": stream}
    status, _ = await call(low, "POST", "/v1/router/preferences/compare", json=body)
    assert status == 200
    found = [orjson.loads(base64.b64decode(each["body"])) for each in upstream.log()]
    assert sorted((each["model"], each.get("reasoning_effort"), each["max_tokens"]) for each in found) == sorted(
        [(STRONG, "low", 50), (CHEAP, None, 50)], key=str
    )
    assert not any("max_completion_tokens" in each for each in found)


async def test_a_fallback_is_asked_without_the_settings_of_the_model_that_failed(
    proxy: Proxy, upstream: Running
) -> None:
    await models.put_model(
        proxy.admin, LOW, "fake", upstream_name="fail-503", settings=SETTINGS, input_price=1, output_price=1
    )
    await policies.put_policy(
        proxy.admin, proxy.tenant_id, "auto", backend="knn", default=LOW, models=[LOW, CHEAP], settings={}
    )
    proxy.services.directory.invalidate()
    body = {"model": "auto", "messages": [MESSAGE]}
    assert (await call(proxy, "POST", CHAT, json=body))[0] == 200
    found = [orjson.loads(base64.b64decode(each["body"])) for each in upstream.log()]
    assert found == [{**body, "model": "fail-503", **SENT[CHAT]}, {**body, "model": CHEAP}]
