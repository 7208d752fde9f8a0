"""The costs of a remote embedder are booked where they arise, and count against limits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.store import limits as stored_limits
from app.store import models
from scripts.fake_provider.server import Running
from tests.support.proxy import Proxy, ProxyFactory
from tests.support.separable_prompts import easy, lessons

EMBEDDER = "text-embedding-3-small"


@pytest.fixture
async def remote(proxies: ProxyFactory, upstream: Running, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Proxy]:
    """A proxy whose embedder is the fake provider's, at 1000 USD per million tokens."""
    monkeypatch.setenv("ROUTER_EMBEDDING_API_KEY", "k")
    upstream.clear()
    embedder = {"embedder": f"openai:{EMBEDDER}", "embedding_url": upstream.url, "embedding_deadline": 10.0}
    async with proxies(**embedder, policy={"seed_count": 5}) as proxy:
        await models.put_model(proxy.admin, EMBEDDER, "fake", input_price=1000, output_price=0)
        while (await proxy.services.directory.catalog()).find(EMBEDDER) is None:
            pass
        yield proxy


async def limit(proxy: Proxy, day: float) -> None:
    """Give the tenant's key a daily budget, and wait until the proxy has been notified of it."""
    await stored_limits.put_limits(proxy.admin, proxy.tenant_id, proxy.key_id, day_usd=day)
    while not (await proxy.services.directory.caller(proxy.key)).metered:
        await asyncio.sleep(0.01)


async def rows(proxy: Proxy, count: int) -> list[Any]:
    """Return the rows of the ledger for embeddings."""
    return [row for row in await proxy.ledger(count) if row["api"] == "embeddings"]


async def ask(proxy: Proxy, text: str) -> tuple[int, str | None]:
    body = {"model": "auto", "messages": [{"role": "user", "content": text}]}
    async with proxy.http() as http, http.post("/v1/chat/completions", json=body) as response:
        await response.read()
        return response.status, response.headers.get("x-router-reason")


async def test_teaching_explaining_and_routing_book_their_embeddings(remote: Proxy) -> None:
    await remote.rank(lessons(20))
    (taught,) = await rows(remote, 1)
    assert taught["prompt_tokens"] > 20
    assert (taught["completion_tokens"], taught["status"], taught["attempts"]) == (0, 200, 1)
    assert taught["spent_usd"] == pytest.approx(taught["prompt_tokens"] * 1000 / 1e6)
    assert (taught["tenant_id"], taught["key_id"], taught["reason"]) == (remote.tenant_id, remote.key_id, "off")
    assert await ask(remote, easy(901)) == (200, "learned")
    assert len(await rows(remote, 3)) == 2
    assert await ask(remote, easy(901)) == (200, "learned")
    assert len(await rows(remote, 4)) == 2, "from the cache"
    async with remote.http() as http:
        async with http.post("/v1/router/explain", json={"model": "auto", "prompt": easy(902)}) as response:
            assert response.status == 200
        assert len(await rows(remote, 5)) == 3
        async with http.get("/v1/router/usage?by=model") as response:
            spent = {row["model"]: row["cost_usd"] for row in (await response.json())["data"]}
    assert spent[EMBEDDER] > 0.02


async def test_embeddings_count_against_budgets(remote: Proxy, upstream: Running) -> None:
    await limit(remote, day=0.0)
    upstream.clear()
    async with remote.http() as http:
        async with http.post("/v1/router/preferences/rank", json={"examples": lessons(5)}) as response:
            assert response.status == 402
        async with http.get("/v1/router/memories") as response:
            assert response.status == 200, "what costs nothing"
    assert upstream.log() == []
    await limit(remote, day=100.0)
    await remote.rank(lessons(5))
    (row,) = await rows(remote, 1)
    (meter,) = await remote.admin.fetch("select * from router.meters")
    assert float(meter["day_usd"]) == pytest.approx(row["spent_usd"])
    assert (meter["reserved_usd"], await remote.admin.fetch("select * from router.reservations")) == (0, [])
    await remote.rank(lessons(5))
    await remote.ledger(2)
    (meter,) = await remote.admin.fetch("select * from router.meters")
    assert meter["reserved_usd"] == 0


async def test_refused_requests_cost_no_embedding_each(remote: Proxy, upstream: Running) -> None:
    await remote.rank(lessons(20))
    await limit(remote, day=1e-9)
    upstream.clear()
    for seed in range(20):
        assert (await ask(remote, easy(2000 + seed)))[0] == 402
    assert len(upstream.log()) <= 2


async def test_an_embedder_without_a_price_is_not_booked(
    proxies: ProxyFactory, upstream: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROUTER_EMBEDDING_API_KEY", "k")
    async with proxies(embedder=f"openai:{EMBEDDER}", embedding_url=upstream.url) as proxy:
        await limit(proxy, day=0.0)
        await proxy.rank(lessons(5))
        assert await proxy.admin.fetch("select * from router.decisions") == []
        assert (await ask(proxy, "hi"))[0] == 402
