"""One tenant's calls leave connections for the requests of others."""

from __future__ import annotations

import asyncio
from collections import Counter

import aiohttp
import pytest

from app.accounting import turns
from app.errors import Busy
from app.store import backtests as stored_backtests
from app.store.database import Database
from tests.support.proxy import Proxy, ProxyFactory
from tests.support.separable_prompts import easy, lessons


async def routed(proxy: Proxy, key: str, count: int) -> Counter[str]:
    """Ask so many routed requests in turn, and count the reasons."""
    reasons: Counter[str] = Counter()
    async with proxy.http(key) as http:
        for seed in range(count):
            body = {"model": "auto", "messages": [{"role": "user", "content": easy(seed)}]}
            async with http.post("/v1/chat/completions", json=body) as response:
                await response.read()
                reasons[response.headers["x-router-reason"]] += 1
    return reasons


async def rank(http: aiohttp.ClientSession) -> int:
    async with http.post("/v1/router/preferences/rank", json={"examples": lessons(20)}) as response:
        await response.read()
        return response.status


@pytest.mark.parametrize("pool_size", [2, 8])
async def test_calls_that_wait_for_their_tenants_lock_leave_others_their_decisions(
    proxies: ProxyFactory, pool_size: int
) -> None:
    async with proxies(pool_size=pool_size, maintain_seconds=0) as proxy:
        _, other = await proxy.new_tenant("other")
        await proxy.rank(lessons(120))
        await proxy.rank(lessons(120), other)
        async with proxy.http() as http:
            async with proxy.admin.session() as blocker, blocker.transaction():
                await blocker.execute("lock table router.memories in share row exclusive mode")
                calls = [asyncio.create_task(rank(http)) for _ in range(10)]
                await asyncio.sleep(0.2)
                assert await routed(proxy, other, 30) == {"learned": 30}
                assert await routed(proxy, proxy.key, 10) == {"learned": 10}
            assert set(await asyncio.gather(*calls)) == {200}


async def test_calls_beyond_a_tenants_queue_are_429(proxies: ProxyFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "MOST_WAITING", 2)
    async with proxies(pool_size=4, maintain_seconds=0) as proxy:
        _, other = await proxy.new_tenant("other")
        async with proxy.http() as http, proxy.http(other) as others:
            async with proxy.services.turns.turn(proxy.tenant_id):
                calls = [asyncio.create_task(rank(http)) for _ in range(2)]
                await asyncio.sleep(0.1)
                async with http.get("/v1/router/memories") as response:
                    assert response.status == 429
                    assert int(response.headers["retry-after"]) >= 1
                    assert (await response.json())["error"]["code"] == "busy"
                assert await rank(others) == 200
            assert await asyncio.gather(*calls) == [200, 200]


async def test_a_turn_comes_in_order_and_is_not_lost_to_a_call_that_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "TIMEOUT", 0.05)
    bounded = turns.Turns(1)
    order: list[int] = []

    async def call(number: int) -> None:
        async with bounded.turn(1):
            order.append(number)
            await asyncio.sleep(0)

    async with bounded.turn(1):
        calls = [asyncio.create_task(call(number)) for number in range(5)]
        await asyncio.sleep(0)
        calls[1].cancel()
        late = asyncio.create_task(call(5))
    await asyncio.gather(*calls, late, return_exceptions=True)
    assert order == [0, 2, 3, 4, 5]
    async with bounded.turn(1):
        with pytest.raises(Busy):
            await call(6)
    await call(7)
    assert order[-1] == 7
    assert (bounded._running, bounded._waiting) == ({}, {})


@pytest.mark.parametrize("pool_size", [1, 2, 3, 4])
async def test_a_long_backtest_leaves_others_their_teaching_and_decisions(
    proxies: ProxyFactory, pool_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with proxies(pool_size=pool_size, maintain_seconds=0) as proxy:
        _, other = await proxy.new_tenant("other")
        await proxy.rank(lessons(120))
        await proxy.rank(lessons(120), other)

        async def slow(db: Database, *_: object, **__: object) -> list[object]:
            return await db.read("select pg_sleep(30)", timeout=60)

        monkeypatch.setattr(stored_backtests, "backtest", slow)
        async with proxy.http() as http, proxy.http(other) as others:
            backtest = asyncio.create_task(http.post("/v1/router/backtest", json={}))
            await asyncio.sleep(0.3)
            async with http.post("/v1/router/backtest", json={}) as response:
                assert response.status == 429, "one of each tenant"
            began = asyncio.get_running_loop().time()
            assert await rank(others) == 200
            assert await routed(proxy, other, 10) == {"learned": 10}
            assert asyncio.get_running_loop().time() - began < 5
            assert not backtest.done()
            backtest.cancel()
            await asyncio.gather(backtest, return_exceptions=True)
        running = (
            "select count(*) from pg_stat_activity where query like '%pg_sleep(30)%' and state = 'active'"
            " and pid <> pg_backend_pid()"
        )
        for _ in range(60):
            if (await proxy.admin.fetch(running))[0][0] == 0:
                break
            await asyncio.sleep(0.1)
        else:
            raise AssertionError("the statement of a client that left still runs")
