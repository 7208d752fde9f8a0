"""Who can serve a request: models that are able, the provider that keeps a conversation, and what a key may use."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson
import pytest

from app.store import models, policies, providers
from scripts.fake_provider.server import Running, running_upstream
from tests.conftest import ProxyFactory
from tests.support.proxy import CHEAP, SPEAKS, STRONG, Proxy
from tests.support.separable_prompts import easy, hard, lessons

OTHER = "other"
#: A model that the second provider serves.
THIRD = "third"
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


@dataclass
class Said:
    """An answer: its status, its headers and its JSON."""

    status: int
    headers: Any
    body: dict[str, Any]

    @property
    def by(self) -> tuple[str | None, str | None]:
        """The model and the reason."""
        return self.headers.get("x-router-model"), self.headers.get("x-router-reason")


async def call(http: aiohttp.ClientSession, method: str, path: str, body: Any = None, **headers: str) -> Said:
    async with http.request(method, f"/v1{path}", json=body, headers=headers) as response:
        raw = await response.read()
        is_json = response.content_type == "application/json"
        return Said(response.status, response.headers, orjson.loads(raw) if is_json else {})


async def chat(http: aiohttp.ClientSession, text: str, model: str = "auto", **fields: Any) -> Said:
    return await call(http, "POST", "/chat/completions", {"model": model, "messages": ask(text), **fields})


async def respond(http: aiohttp.ClientSession, model: str, **fields: Any) -> Said:
    return await call(http, "POST", "/responses", {"model": model, "input": "hi", **fields})


def ask(text: str, *parts: Any) -> list[Any]:
    return [{"role": "user", "content": [{"type": "text", "text": text}, *parts] if parts else text}]


@pytest.fixture
async def http(proxy: Proxy) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of the proxy."""
    async with proxy.http() as session:
        yield session


async def change(proxy: Proxy, statement: str, *arguments: Any) -> None:
    """Change what is known of models or keys, and have the proxy notice."""
    await proxy.admin.fetch(statement, *arguments)
    proxy.services.directory.invalidate()


# ---- what models can


@pytest.fixture
async def three(proxy: Proxy) -> Proxy:
    """A taught tenant with a third model, as good as the strong one and dearer, that can do all."""
    await add_third(proxy, "fake", (5.0, 20.0))
    await proxy.rank([{**lesson, "scores": {**lesson["scores"], THIRD: 1.0}} for lesson in lessons(120)])
    return proxy


async def add_third(proxy: Proxy, provider: str, prices: tuple[float, float]) -> None:
    await models.put_model(proxy.admin, THIRD, provider, input_price=prices[0], output_price=prices[1])
    await policies.put_policy(
        proxy.admin, proxy.tenant_id, "auto", backend="knn", default=STRONG, models=(CHEAP, STRONG, THIRD),
        settings={"alpha": 0.3},
    )  # fmt: skip
    proxy.services.directory.invalidate()


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
async def test_each_need_takes_out_who_cannot_meet_it(three: Proxy, column: str, request_: dict[str, Any]) -> None:
    await change(three, f"update router.models set {column} = false where name = 'cheap'")
    async with three.http() as http:
        assert (await chat(http, easy(1), **request_)).by == (STRONG, "learned")
        assert (await chat(http, easy(1))).by == (CHEAP, "learned")


async def test_a_long_prompt_or_answer_takes_out_who_has_no_room(three: Proxy) -> None:
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
        assert (said.status, *said.by) == (200, STRONG, "capability"), "where nobody can, the provider judges"


async def test_only_providers_that_speak_the_api_are_asked(three: Proxy) -> None:
    await providers.put_provider(three.admin, "quiet", "http://127.0.0.1:9/v1", None, speaks=("chat",))
    await change(three, "update router.models set provider_id = (select provider_id from router.providers"
                 " where name = 'quiet') where name in ('cheap', 'strong')")  # fmt: skip
    async with three.http() as http:
        assert (await respond(http, "auto")).by == (THIRD, "capability")
        said = await respond(http, CHEAP)
        assert (said.status, said.body["error"]["param"]) == (400, "model")


# ---- what a provider keeps


@pytest.fixture(scope="module")
def second() -> Iterator[Running]:
    """Another provider."""
    with running_upstream(name=OTHER) as running:
        yield running


@pytest.fixture
async def two(proxy: Proxy, second: Running) -> Proxy:
    """A tenant whose third model is another provider's, and a policy of its own."""
    second.clear()
    await with_second(proxy, second)
    return proxy


async def with_second(proxy: Proxy, second: Running) -> None:
    await providers.put_provider(proxy.admin, OTHER, second.url, None, speaks=SPEAKS)
    await add_third(proxy, OTHER, (5.0, 20.0))
    await policies.put_policy(proxy.admin, proxy.tenant_id, "careful", backend="none", default=THIRD, models=(THIRD,))
    proxy.services.directory.invalidate()


@pytest.mark.parametrize("first", [THIRD, "careful"])
@pytest.mark.parametrize("stream", [False, True])
async def test_what_goes_on_from_an_answer_goes_to_the_provider_that_holds_it(
    two: Proxy, upstream: Running, second: Running, first: str, stream: bool
) -> None:
    async with two.http() as http:
        body = {"model": first, "input": "hi", "stream": stream, "instructions": "x" * 9000}
        async with http.post("/v1/responses", json=body) as response:
            assert response.status == 200
            name = "resp_" + (await response.text()).partition("resp_")[2].partition('"')[0]
        assert OTHER in name
        upstream.clear()
        later = await respond(http, "auto", previous_response_id=name)
        assert (later.status, *later.by) == (200, THIRD, "sticky"), later.body
        off = await call(http, "POST", "/responses", {"model": "auto", "input": "hi", "previous_response_id": name},
                         **{"x-router": "off"})  # fmt: skip
        assert (off.status, off.by[0]) == (200, THIRD)
        assert OTHER in (await respond(http, "auto", previous_response_id=later.body["id"])).body["id"]
    assert upstream.log() == []


async def test_an_answer_of_the_default_is_gone_on_from_with_the_default(two: Proxy, second: Running) -> None:
    async with two.http() as http:
        first = await respond(http, "auto")
        assert first.by[0] == STRONG
        later = await respond(http, "auto", previous_response_id=first.body["id"])
        assert (later.status, *later.by) == (200, STRONG, "sticky")
    assert second.log() == []


async def test_nothing_is_guessed_of_an_answer_that_nobody_knows(two: Proxy, second: Running) -> None:
    async with two.http() as http:
        for kept in ({"previous_response_id": "resp_never"}, {"conversation": "conv_1"}):
            said = await respond(http, "auto", **kept)
            assert said.by[0] in (STRONG, CHEAP), "of the default's provider"
    assert second.log() == []


async def test_another_process_knows_it_too_once_it_is_written_down(
    two: Proxy, second: Running, proxies: ProxyFactory
) -> None:
    async with two.http() as http:
        name = (await respond(http, THIRD)).body["id"]
    await two.ledger()
    async with proxies() as another, another.http() as http:
        assert (await respond(http, "auto", previous_response_id=name)).by == (THIRD, "sticky")
        assert (await call(http, "GET", f"/responses/{name}")).body["id"] == name


async def test_an_answer_is_read_and_deleted_where_it_is(two: Proxy, upstream: Running, second: Running) -> None:
    async with two.http() as http:
        name = (await respond(http, THIRD)).body["id"]
        upstream.clear()
        assert (await call(http, "GET", f"/responses/{name}")).body["id"] == name
        assert (await call(http, "GET", f"/responses/{name}/input_items?limit=2")).status == 200
        assert (await call(http, "DELETE", f"/responses/{name}")).body["deleted"] is True
        assert (await call(http, "GET", f"/responses/{name}")).status == 404
    assert upstream.log() == []
    assert second.log()[1]["path"] == f"/v1/responses/{name}"


async def test_what_is_not_stored_or_went_wrong_is_not_remembered(two: Proxy) -> None:
    async with two.http() as http:
        name = (await respond(http, THIRD, store=False)).body["id"]
        assert (await respond(http, THIRD, previous_response_id="resp_never")).status == 400
        await two.ledger(2)
        assert await two.services.affinity.find(two.tenant_id, name) is None
    assert await two.admin.fetch("select * from router.responses") == []


async def test_another_tenants_answers_are_nobodys(two: Proxy, second: Running) -> None:
    async with two.http() as http:
        name = (await respond(http, THIRD)).body["id"]
    await two.ledger()
    _, key = await two.new_tenant("stranger")
    second.clear()
    async with two.http(key) as http:
        await respond(http, "auto", previous_response_id=name)
        await call(http, "GET", f"/responses/{name}")
    assert second.log() == []


# ---- what a key may use


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


async def test_a_key_that_may_use_nothing_of_a_policy_is_told(three: Proxy) -> None:
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
