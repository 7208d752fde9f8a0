"""Candidates of a request: capable models, and those that a key may use."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import aiohttp
import orjson
import pytest

from app.store import providers
from scripts.fake_provider.server import Running
from tests.support.answers import THIRD, Said, add_third, call, respond
from tests.support.proxy import CHEAP, STRONG, Proxy
from tests.support.separable_prompts import easy, hard, lessons

TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


async def chat(http: aiohttp.ClientSession, text: str, model: str = "auto", **fields: Any) -> Said:
    return await call(http, "POST", "/chat/completions", {"model": model, "messages": ask(text), **fields})


def ask(text: str, *parts: Any) -> list[Any]:
    return [{"role": "user", "content": [{"type": "text", "text": text}, *parts] if parts else text}]


async def change(proxy: Proxy, statement: str, *arguments: Any) -> None:
    """Change capabilities of models or permissions of keys, and wait until the proxy has them."""
    await proxy.admin.fetch(statement, *arguments)
    proxy.services.directory.invalidate()


# ---- capabilities


@pytest.fixture
async def three(proxy: Proxy) -> Proxy:
    """A taught tenant with a third model, as good as the strong one, dearer, and with all capabilities."""
    await add_third(proxy, "fake", (5.0, 20.0))
    await proxy.rank([{**lesson, "scores": {**lesson["scores"], THIRD: 1.0}} for lesson in lessons(120)])
    return proxy


async def test_a_request_with_tools_is_routed_among_models_that_can(three: Proxy) -> None:
    await change(three, "update router.models set tools = name <> 'strong'")
    async with three.http() as http:
        assert (await chat(http, easy(1), tools=TOOLS)).by == (CHEAP, "learned")
        assert (await chat(http, hard(1), tools=TOOLS)).by == (THIRD, "learned"), "never the default, which cannot"
        assert (await chat(http, hard(1))).by == (STRONG, "learned"), "without them the default can"


@pytest.mark.parametrize(
    ("column", "request_"),
    [
        ("vision", {"messages": ask(easy(1), IMAGE)}),
        ("audio", {"messages": ask(easy(1), {"type": "input_audio", "input_audio": {}})}),
        ("parallel_tools", {"tools": TOOLS, "parallel_tool_calls": True}),
        ("json_schema", {"response_format": {"type": "json_schema", "json_schema": {"name": "s"}}}),
        ("reasoning", {"reasoning_effort": "low"}),
    ],
)
async def test_each_need_excludes_models_that_cannot_meet_it(
    three: Proxy, column: str, request_: dict[str, Any]
) -> None:
    await change(three, f"update router.models set {column} = false where name = 'cheap'")
    async with three.http() as http:
        assert (await chat(http, easy(1), **request_)).by == (STRONG, "learned")
        assert (await chat(http, easy(1))).by == (CHEAP, "learned")


async def test_a_long_prompt_or_answer_excludes_models_with_a_smaller_window(three: Proxy) -> None:
    await change(three, "update router.models set context_window = 4000, max_output = 1000 where name = 'cheap'")
    async with three.http() as http:
        assert (await chat(http, easy(1), max_tokens=1000)).by == (CHEAP, "learned")
        assert (await chat(http, easy(1), max_tokens=1001)).by == (STRONG, "learned")
        assert (await chat(http, easy(1), max_tokens=1000, n=4)).by == (CHEAP, "learned"), "each has a thousand"
        assert (await chat(http, easy(1) * 200)).by[0] != CHEAP


async def test_the_only_one_that_can_serves(three: Proxy) -> None:
    await change(three, "update router.models set tools = name = 'third'")
    async with three.http() as http:
        assert (await chat(http, easy(1), tools=TOOLS)).by == (THIRD, "capability")
        await change(three, "update router.models set tools = false")
        said = await chat(http, easy(1), tools=TOOLS)
        assert (said.status, *said.by) == (200, STRONG, "capability"), (
            "if no model is capable, the default's provider decides"
        )


async def test_only_providers_that_speak_the_api_are_asked(three: Proxy) -> None:
    await providers.put_provider(three.admin, "quiet", "http://127.0.0.1:9/v1", None, speaks=("chat",))
    await change(three, "update router.models set provider_id = (select provider_id from router.providers"
                 " where name = 'quiet') where name in ('cheap', 'strong')")  # fmt: skip
    async with three.http() as http:
        assert (await respond(http, "auto")).by == (THIRD, "capability")
        said = await respond(http, CHEAP)
        assert (said.status, said.body["error"]["param"]) == (400, "model")


# ---- models of a key


async def allow(proxy: Proxy, *names: str) -> None:
    await change(
        proxy, "update router.api_keys set allowed_models = array(select model_id from router.models"
        " where name = any($1)) where key_id = $2", list(names), proxy.key_id,
    )  # fmt: skip


async def test_a_key_is_served_by_no_model_but_its_own(three: Proxy, upstream: Running) -> None:
    await allow(three, CHEAP, THIRD)
    upstream.clear()
    async with three.http() as http:
        assert (await chat(http, easy(1))).by == (CHEAP, "learned")
        assert (await chat(http, hard(1))).by == (THIRD, "learned"), "the default is not allowed"
        assert (await chat(http, "hi", CHEAP)).status == 200
        refused = await chat(http, "hi", STRONG)
        assert (refused.status, refused.body["error"]["code"]) == (403, "model_not_allowed")
        assert (await call(http, "POST", "/embeddings", {"model": STRONG, "input": "a"})).status == 403
        assert (await call(http, "POST", "/chat/completions", {"model": "auto", "messages": ask("hi")},
                           **{"x-router": "off"})).by[0] == CHEAP  # fmt: skip
    asked = {orjson.loads(base64.b64decode(entry["body"]))["model"] for entry in upstream.log()}
    assert STRONG not in asked


async def test_a_key_that_may_use_no_model_of_a_policy_gets_an_error(three: Proxy) -> None:
    await allow(three)
    async with three.http() as http:
        said = await chat(http, "hi")
        assert (said.status, said.body["error"]["code"]) == (403, "model_not_allowed")
        anthropic = await call(http, "POST", "/messages", {"model": "auto", "max_tokens": 9, "messages": ask("hi")})
        assert (anthropic.status, anthropic.body["error"]["type"]) == (403, "permission_error")


async def test_a_key_for_some_models_asks_nothing_else(three: Proxy, upstream: Running) -> None:
    await allow(three, CHEAP)
    upstream.clear()
    async with three.http() as http:
        for method, path in (("POST", "/images/generations"), ("GET", "/files"), ("POST", "/messages/batches")):
            assert (await call(http, method, path, {"model": CHEAP} if method == "POST" else None)).status == 403, path
        assert (await call(http, "GET", "/models")).status == 200
    assert upstream.log() == []


async def test_an_answer_of_a_model_that_a_key_may_not_use_opens_no_way_to_it(two: Proxy, second: Running) -> None:
    async with two.http() as http:
        name = (await respond(http, THIRD)).body["id"]
        await allow(two, CHEAP)
        second.clear()
        for headers in ({}, {"x-router": "off"}):
            body = {"model": "auto", "input": "hi", "previous_response_id": name}
            assert (await call(http, "POST", "/responses", body, **headers)).status == 403
    assert second.log() == []


async def test_a_fallback_stays_within_what_the_key_may_use(three: Proxy, upstream: Running) -> None:
    await allow(three, CHEAP)
    upstream.script(CHEAP, "status=400")
    async with three.http() as http:
        assert (await chat(http, easy(1))).status == 400
        upstream.script(CHEAP, "status=404")
        said = await chat(http, easy(1))
    assert (said.status, said.headers["x-router-model"]) == (404, CHEAP)
    await asyncio.to_thread(upstream.clear)
