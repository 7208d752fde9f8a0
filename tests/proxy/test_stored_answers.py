"""What a provider stores for one tenant is not there for another, in any process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from yarl import URL

from app.errors import DatabaseError, DatabaseUnavailable
from app.routing.affinity import key_of
from app.store import ledger
from app.upstream.answer import Answer
from scripts.fake_provider.server import Running
from tests.support.answers import call, respond
from tests.support.proxy import STRONG, Proxy, ProxyFactory
from tests.support.raw_provider import provider, served_by

MISSING = "resp_0123456789abcdef"


@pytest.fixture
async def stranger(proxy: Proxy, proxies: ProxyFactory) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of another tenant, at another process."""
    _, key = await proxy.new_tenant("stranger")
    async with proxies() as other, other.http(key) as http:
        yield http


async def stored(proxy: Proxy) -> str:
    async with proxy.http() as http:
        name: str = (await respond(http, STRONG)).body["id"]
    await proxy.ledger()
    return name


@pytest.mark.parametrize("path", ["/responses", "/responses/compact", "/responses/input_tokens"])
async def test_another_tenants_response_is_not_continued(
    proxy: Proxy, stranger: aiohttp.ClientSession, upstream: Running, path: str
) -> None:
    name = await stored(proxy)
    upstream.clear()
    for model in (STRONG, "auto"):
        for spelt in (name, f" {name}"):
            body = {"model": model, "input": "hi", "previous_response_id": spelt}
            refused = await call(stranger, "POST", path, body)
            assert refused.status == 400
            assert refused.body["error"]["code"] == "previous_response_not_found"
            assert refused.body["error"]["message"] == f"Previous response with id '{spelt}' not found."
    assert upstream.log() == []


async def test_paths_of_another_tenants_response_are_not_found(
    proxy: Proxy, stranger: aiohttp.ClientSession, upstream: Running
) -> None:
    name = await stored(proxy)
    upstream.clear()
    for method, tail in (
        ("GET", ""),
        ("DELETE", ""),
        ("GET", "/input_items"),
        ("POST", "/cancel"),
        ("GET", "?stream=true"),
    ):
        refused = await call(stranger, method, f"/responses/{name}{tail}")
        assert refused.status == 404, (method, tail)
        assert refused.body["error"]["message"] == f"Response with id '{name}' not found."
        assert refused.body["error"]["code"] is None
    assert upstream.log() == []
    async with proxy.http() as http:
        assert (await call(http, "GET", f"/responses/{name}")).status == 200, "its own tenant finds it"


async def test_ids_that_are_nobodys_are_passed_on(stranger: aiohttp.ClientSession, upstream: Running) -> None:
    await respond(stranger, STRONG, previous_response_id=MISSING)
    await call(stranger, "GET", f"/responses/{MISSING}")
    await respond(stranger, STRONG, conversation="conv_nobody")
    assert [each["path"] for each in upstream.log()] == ["/v1/responses", f"/v1/responses/{MISSING}", "/v1/responses"]


@pytest.mark.parametrize("named", ["conv_1", {"id": "conv_1"}])
async def test_a_conversation_is_its_first_users(
    proxy: Proxy, stranger: aiohttp.ClientSession, upstream: Running, named: Any
) -> None:
    async with proxy.http() as http:
        assert (await respond(http, STRONG, conversation=named)).status == 200
        upstream.clear()
        refused = await respond(stranger, "auto", conversation=named)
        assert (refused.status, refused.body["error"]["message"]) == (404, "Conversation with id 'conv_1' not found.")
        for tail in ("", "/items", "/items/msg_1"):
            assert (await call(stranger, "GET", f"/conversations/conv_1{tail}")).status == 404
        for spelt in (
            "conversations/%63onv_1", "conversations/conv_1;x=1", "conversations/conv_1%20", "%43onversations/conv_1",
            "CONVERSATIONS/conv_1", "/conversations/conv_1", "conversations/conv_1/", "conversations//conv_1",
            "conversations/conv_1%2Fitems", "conversations/conv_1%00", "conversations;x/conv_1",
        ):  # fmt: skip
            asked = URL(f"{proxy.url}/v1/{spelt}", encoded=True)
            async with aiohttp.ClientSession(headers=stranger.headers) as plain, plain.get(asked) as response:
                assert response.status == 404, spelt
        assert upstream.log() == []
        assert (await respond(http, STRONG, conversation=named)).status == 200


async def test_a_conversation_belongs_to_the_tenant_that_created_it(
    proxy: Proxy, stranger: aiohttp.ClientSession, proxies: ProxyFactory, upstream: Running
) -> None:
    created = b'{"object": "conversation", "metadata": {"a": "%s"}, "id": "conv_new"}' % (b"x" * 100_000)

    async def create(head: bytes, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert head.startswith(b"POST /v1/conversations ")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(created))
        writer.write(created)
        await writer.drain()

    async with provider(create) as url:
        await served_by(proxy, url)
        async with proxy.http() as http, http.post("/v1/conversations", json={}) as response:
            assert (response.status, await response.read()) == (200, created)
    await served_by(proxy, upstream.url)
    assert (await respond(stranger, STRONG, conversation="conv_new")).status == 404
    async with proxies() as another, another.http(proxy.key) as http:
        assert (await respond(http, STRONG, conversation="conv_new")).status == 200


@pytest.mark.parametrize(
    "body",
    [
        '{"model": "strong", "input": "hi", "previous_response_id": "%s", "previous_response_id": "mine"}',
        '{"model": "strong", "input": "hi", "previous_response_id": "mine", "\\u0070revious_response_id": "%s"}',
        '{"model": "strong", "input": "hi", "previous_response_id": "mine", "Previous_Response_ID": "%s"}',
        '{"model": "strong", "input": "hi", "conversation": {"id": "%s", "id": "mine"}}',
        '{"model": "strong", "input": "hi", "conversation": {"id": "mine"}, "conversation": "%s"}',
    ],
)
async def test_a_body_that_names_two_ids_is_refused(
    proxy: Proxy, stranger: aiohttp.ClientSession, upstream: Running, body: str
) -> None:
    name = await stored(proxy)
    upstream.clear()
    text = body % name
    async with stranger.post("/v1/responses", data=text, headers={"content-type": "application/json"}) as response:
        assert response.status == 400
    assert upstream.log() == []


async def test_a_request_is_not_passed_on_while_the_owner_cannot_be_checked(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch, upstream: Running
) -> None:
    name = await stored(proxy)
    _, key = await proxy.new_tenant("stranger")

    async def away(*_: object) -> None:
        raise DatabaseUnavailable("away")

    for function in ("holder", "is_foreign", "keep_response"):
        monkeypatch.setattr(ledger, function, away)
    upstream.clear()
    async with proxy.http(key) as http:
        assert (await respond(http, STRONG, previous_response_id="resp_of_another_process")).status == 503
        assert upstream.log() == []
    async with proxy.http() as http:
        assert (await respond(http, STRONG, previous_response_id=name)).status == 200, "its own, as the process knows"
        assert (await respond(http, STRONG)).status == 200


async def test_an_answer_does_not_wait_long_until_its_conversation_is_stored(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep, stored = ledger.keep_response, asyncio.Event()

    async def slow(*arguments: Any) -> None:
        await asyncio.sleep(1)
        await keep(*arguments)
        stored.set()

    monkeypatch.setattr(ledger, "keep_response", slow)
    async with proxy.http() as http:
        began = time.perf_counter()
        assert (await respond(http, STRONG, conversation="conv_slow")).status == 200
        assert time.perf_counter() - began < 0.9
    await asyncio.wait_for(stored.wait(), 10)
    assert await proxy.admin.fetch("select from router.responses where response = $1", key_of("conv_slow"))


async def test_an_answer_is_closed_if_its_conversation_cannot_be_stored(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[Answer] = []
    close = Answer.close

    async def fail(*_: object) -> None:
        raise DatabaseError("broken", "XX000", "broken")

    def closing(answer: Answer) -> None:
        closed.append(answer)
        close(answer)

    monkeypatch.setattr(ledger, "keep_response", fail)
    monkeypatch.setattr(Answer, "close", closing)
    async with proxy.http() as http:
        assert (await respond(http, STRONG, conversation="conv_1")).status == 500
    assert len(closed) == 1


async def test_the_database_answers_yes_or_no_only(proxy: Proxy) -> None:
    other, _ = await proxy.new_tenant("stranger")
    db, key = proxy.services.db, key_of("conv_x")
    assert not await ledger.is_foreign(db, other, key)
    await ledger.keep_response(db, proxy.tenant_id, key, None)
    await ledger.keep_response(db, proxy.tenant_id, key, None)
    assert await ledger.is_foreign(db, other, key)
    assert not await ledger.is_foreign(db, proxy.tenant_id, key)
    assert await ledger.holder(db, proxy.tenant_id, key) is None
    plan = "\n".join(
        row[0]
        for row in await proxy.admin.fetch(
            "explain select from router.responses where response = $1 and tenant_id <> 1", key
        )
    )
    assert "responses_response" in plan
