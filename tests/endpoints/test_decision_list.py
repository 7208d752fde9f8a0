"""GET /v1/router/decisions: the list, the stream and the counts of reasons belong to one tenant."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import orjson
import pytest

from app.endpoints import decision_list
from app.endpoints.decision_list import DecisionFilter
from app.errors import Busy, DatabaseError
from app.store import ledger as stored_ledger
from tests.support.fake_provider import HELLO
from tests.support.ledger import routed
from tests.support.proxy import Proxy
from tests.support.sql_world import START, World, uuid7


async def get(proxy: Proxy, path: str, key: str | None = None) -> tuple[int, Any]:
    async with proxy.http(key) as http, http.get(path) as reply:
        return reply.status, orjson.loads(await reply.read())


async def ask(proxy: Proxy, key: str | None = None, **headers: str) -> str:
    async with (
        proxy.http(key) as http,
        http.post("/v1/chat/completions", json={"model": "auto", "messages": HELLO}, headers=headers) as reply,
    ):
        assert reply.status == 200
        await reply.read()
        return reply.headers["x-router-decision"]


async def test_pages_are_newest_first_without_gap_or_repetition(world: World) -> None:
    common = await routed(world)
    entries = [
        {**common, "decision_id": uuid7(START + timedelta(seconds=i // 2), i), "task": "sums" if i % 2 else None}
        for i in range(7)
    ]
    await world.log(*entries)
    query = "select decision_id from router.list_decisions($1, 3, $2, $3)"
    seen: list[Any] = []
    while rows := await world.app.fetch(query, common["tenant_id"], seen[-1] if seen else None, START):
        seen += [row["decision_id"] for row in rows]
    assert len(seen) == 7
    times = [(entry["decision_id"].int >> 80, entry["decision_id"]) for entry in entries]
    assert [each for _, each in sorted(times, reverse=True)] == seen
    tagged = await world.app.fetch(
        "select task from router.list_decisions($1, p_since => $2, p_task => 'sums')", common["tenant_id"], START
    )
    assert [row["task"] for row in tagged] == ["sums"] * 3


async def test_reasons_are_counted_with_their_share(world: World) -> None:
    common = await routed(world)
    reasons = ["learned", "learned", "learned", "cold"]
    await world.log(*({**common, "decision_id": uuid7(START, i), "reason": reason} for i, reason in enumerate(reasons)))
    rows = await world.app.fetch("select * from router.reasons($1, $2)", common["tenant_id"], START)
    assert [(row["policy"], row["reason"], row["requests"], row["share"]) for row in rows] == [
        ("auto", "learned", 3, 0.75),
        ("auto", "cold", 1, 0.25),
    ]


async def test_a_tenant_sees_its_own_decisions_alone(proxy: Proxy) -> None:
    _, other = await proxy.new_tenant("other")
    mine, theirs = await ask(proxy), await ask(proxy, other)
    await proxy.ledger(2)
    _, page = await get(proxy, "/v1/router/decisions")
    assert [each["id"] for each in page["data"]] == [mine]
    _, page = await get(proxy, "/v1/router/decisions", other)
    assert [each["id"] for each in page["data"]] == [theirs]
    _, counts = await get(proxy, "/v1/router/decisions/reasons", other)
    assert sum(each["requests"] for each in counts["data"]) == 1
    # Another tenant's decision, as a place to continue from, shows nothing of it.
    _, page = await get(proxy, f"/v1/router/decisions?before={theirs}")
    assert theirs not in {each["id"] for each in page["data"]}


async def test_filters_have_to_match_all(proxy: Proxy) -> None:
    tagged = await ask(proxy, **{"x-router-task": "sums"})
    await ask(proxy)
    await proxy.ledger(2)
    _, page = await get(proxy, "/v1/router/decisions?task=sums&reason=cold,learned")
    assert [each["id"] for each in page["data"]] == [tagged]
    _, page = await get(proxy, "/v1/router/decisions?task=sums&reason=learned")
    assert page["data"] == []
    _, page = await get(proxy, f"/v1/router/decisions?limit=1&key={proxy.key_id}")
    assert page["has_more"] is True


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=x", "limit"),
        ("before=x", "before"),
        ("before=00000000-0000-4000-8000-000000000000", "before"),
        ("since=yesterday", "since"),
        ("key=-1", "key"),
        ("key=0", "key"),
        ("key=99999999999", "key"),
        ("model=a%00b", "model"),
        ("reason=%00", "reason"),
        ("colour=red", "colour"),
    ],
)
async def test_a_wrong_parameter_is_named(proxy: Proxy, query: str, param: str) -> None:
    status, body = await get(proxy, f"/v1/router/decisions?{query}")
    assert (status, body["error"]["param"]) == (400, param)
    if param in DecisionFilter.model_fields:
        status, body = await get(proxy, f"/v1/router/decisions/stream?{query}")
        assert (status, body["error"]["param"]) == (400, param)


async def test_the_stream_sends_each_decision_of_the_tenant_once(proxy: Proxy) -> None:
    _, other = await proxy.new_tenant("other")
    await ask(proxy)
    await proxy.ledger(1)
    async with proxy.http() as http, http.get("/v1/router/decisions/stream") as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        lines = reply.content
        assert (await lines.readline()).startswith(b": ")
        # The first look, which finds what was recorded before.
        await asyncio.sleep(0.3)
        theirs, mine = await ask(proxy, other), await ask(proxy)
        await proxy.ledger(3)
        found: list[str] = []
        async with asyncio.timeout(10):
            while not found:
                line = await lines.readline()
                if line.startswith(b"data: "):
                    found.append(orjson.loads(line[6:])["id"])
        assert found == [mine]
        assert theirs not in found


async def test_the_stream_goes_on_after_a_query_that_failed(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    await ask(proxy)
    await proxy.ledger(1)
    errors = [Busy("too many calls", seconds=1), DatabaseError("router.x is missing", "42883", "router.x is missing")]
    read = stored_ledger.list_decisions

    async def failing(*arguments: Any, **options: Any) -> Any:
        if errors:
            raise errors.pop(0)
        return await read(*arguments, **options)

    monkeypatch.setattr(decision_list, "POLL_INTERVAL", 0.05)
    monkeypatch.setattr(stored_ledger, "list_decisions", failing)
    async with proxy.http() as http, http.get("/v1/router/decisions/stream") as reply, asyncio.timeout(10):
        found: list[Any] = []
        while len(found) < 3:
            line = await reply.content.readline()
            if line.startswith(b"data: "):
                found.append(orjson.loads(line[6:]))
            if len(found) == 2 and not line.strip():
                await asyncio.sleep(0.3)
                mine = await ask(proxy)
    assert [each["message"] for each in found[:2]] == ["too many calls", "Internal error."]
    assert found[2]["id"] == mine
