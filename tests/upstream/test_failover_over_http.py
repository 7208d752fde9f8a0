"""Failover, breakers and hedging from the point of view of a client and of the ledger."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from app.upstream.breaker import FAILURES
from scripts.fake_provider.server import Running
from tests.support.proxy import CHEAP, STRONG, Proxy, ProxyFactory

# ---- through a proxy


async def ask(proxy: Proxy, name: str, **headers: str) -> aiohttp.ClientResponse:
    body = {"model": name, "messages": [{"role": "user", "content": "hi"}]}
    async with proxy.http() as http, http.post("/v1/chat/completions", json=body, headers=headers) as response:
        await response.read()
        return response


async def test_the_attempts_are_in_the_answer_and_in_the_ledger(proxy: Proxy, upstream: Running) -> None:
    upstream.script(STRONG, "status=503;retry-after=9")
    response = await ask(proxy, "auto")
    assert (response.status, response.headers["x-router-model"], response.headers["x-router-reason"]) == (
        200, CHEAP, "fallback",
    )  # fmt: skip
    first, second = response.headers["x-router-attempts"].split(", ")
    assert first.startswith(f"{STRONG};why=chosen;status=503;ms=")
    assert second.startswith(f"{CHEAP};why=fallback;status=200;ms=")
    await proxy.ledger()
    decision = response.headers["x-router-decision"]
    async with proxy.http() as http, http.get(f"/v1/router/decisions/{decision}") as found:
        row = await found.json()
    assert (row["attempts"], row["model"], row["api"]) == (2, CHEAP, "chat")
    assert row["tried"] == [STRONG, CHEAP]
    assert row["tried_why"] == ["chosen", "fallback"]
    assert row["tried_outcome"] == ["503", "200"]
    assert min(row["tried_ms"]) > 0
    again = await ask(proxy, "auto")
    assert again.headers["x-router-attempts"].startswith(f"{STRONG};why=chosen;status=open;ms=0.0, {CHEAP};")
    assert len(upstream.log()) == 3, "a provider with Retry-After is not called again"


async def test_one_attempt_needs_no_arrays(proxy: Proxy) -> None:
    response = await ask(proxy, "auto")
    (row,) = await proxy.ledger()
    assert (row["attempts"], row["tried"], row["tried_why"]) == (1, None, None)
    decision = response.headers["x-router-decision"]
    async with proxy.http() as http, http.get(f"/v1/router/decisions/{decision}") as found:
        told = await found.json()
    assert (told["tried"], told["tried_why"], told["tried_outcome"]) == ([STRONG], ["chosen"], ["200"])


async def test_what_names_its_model_is_retried_and_not_failed_over(proxy: Proxy, upstream: Running) -> None:
    upstream.script(CHEAP, "status=503;retry-after=0;times=1")
    response = await ask(proxy, CHEAP)
    assert response.status == 200
    assert "x-router-attempts" not in response.headers
    assert len(upstream.log()) == 2
    (row,) = await proxy.ledger()
    assert (row["attempts"], row["tried_outcome"], row["tried_why"]) == (2, ["503", "200"], ["chosen", "retry"])


@pytest.mark.parametrize("wrong", [400, 404])
async def test_a_clients_mistakes_open_no_breaker(proxy: Proxy, upstream: Running, wrong: int) -> None:
    upstream.script(CHEAP, f"status={wrong}")
    for _ in range(FAILURES + 1):
        assert (await ask(proxy, CHEAP)).status == wrong
    assert list(proxy.services.breakers.states()) == []


async def test_the_provider_sees_that_the_loser_of_a_hedge_is_stopped(proxies: ProxyFactory, upstream: Running) -> None:
    async with proxies(hedge=0.05) as proxy:
        upstream.clear()
        upstream.script(STRONG, "hang")
        response = await ask(proxy, "auto")
        assert (response.headers["x-router-model"], response.headers["x-router-reason"]) == (CHEAP, "fallback")
        assert ";why=hedge;status=200" in response.headers["x-router-attempts"]
        for _ in range(100):
            if upstream.log()[0]["disconnected"]:
                break
            await asyncio.sleep(0.02)
        assert upstream.log()[0]["disconnected"]
        (row,) = await proxy.ledger()
        assert row["tried_outcome"] == ["cancelled", "200"]
        upstream.clear()


async def test_the_requests_time_ends_a_body_that_stalls(proxies: ProxyFactory, upstream: Running) -> None:
    async with proxies(total_timeout=0.3) as proxy:
        upstream.clear()
        response = await ask(proxy, CHEAP, **{"x-fake": "hang-after=5"})
        assert response.status == 504
        upstream.clear()


async def test_one_tenants_requests_close_no_model_for_another(proxy: Proxy, upstream: Running) -> None:
    _, other = await proxy.new_tenant("other")
    body = {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}
    async with proxy.http() as http, proxy.http(other) as others:
        for fault in ("status=401", "status=503;retry-after=60", "status=500"):
            for _ in range(2 * FAILURES):
                async with http.post("/v1/chat/completions", json=body, headers={"x-fake": fault}) as response:
                    await response.read()
            async with others.post("/v1/chat/completions", json=body) as response:
                await response.read()
                assert response.headers["x-router-model"] == STRONG, fault
                assert response.headers["x-router-reason"] != "fallback"


async def test_a_header_of_the_caller_that_is_denied_closes_nothing_for_its_own_tenant(proxy: Proxy) -> None:
    for _ in range(2 * FAILURES):
        assert (await ask(proxy, STRONG, **{"x-fake": "status=401"})).status == 401
    response = await ask(proxy, "auto")
    assert (response.headers["x-router-model"], response.headers["x-router-reason"]) == (STRONG, "cold")


async def test_the_routers_own_key_that_is_denied_closes_the_model(proxy: Proxy, upstream: Running) -> None:
    upstream.script(STRONG, "status=401")
    for _ in range(FAILURES):
        assert (await ask(proxy, "auto")).headers["x-router-model"] == CHEAP
    assert (await ask(proxy, "auto")).headers["x-router-attempts"].startswith(f"{STRONG};why=chosen;status=open;")
