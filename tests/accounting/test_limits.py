"""Limits of a request: refused as OpenAI's clients expect, reserved before it is sent, settled afterwards."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import aiohttp
import openai
import orjson
import pytest

from app.store import models
from scripts.fake_provider.server import Running
from tests.support.proxy import CHEAP, PRICES, STRONG, Proxy, ProxyFactory
from tests.support.separable_prompts import easy, lessons

#: Cost of an answer of the fake provider: 11 prompt tokens, of which 3 are cached at the same price, and 7 of answer.
COST = {model: (11 * paid_in + 7 * paid_out) / 1e6 for model, (paid_in, paid_out) in PRICES.items()}
ASKED: Any = [{"role": "user", "content": "hi"}]
#: Estimated tokens of the prompt above.
PROMPT = 7


def dearest(model: str, longest: int) -> float:
    """Return the maximum cost of a request with so long an answer."""
    paid_in, paid_out = PRICES[model]
    return (PROMPT * paid_in + longest * paid_out) / 1e6


async def limit(proxy: Proxy, *, key: bool = True, **limits: float) -> None:
    """Set limits, and wait until the proxy has been notified of them."""
    await proxy.admin.fetch(
        "select router.put_limits($1, $2, $3, $4, $5, $6)",
        proxy.tenant_id,
        proxy.key_id if key else None,
        *(limits.get(name) for name in ("requests", "tokens", "day", "month")),
    )
    while not (await proxy.services.directory.caller(proxy.key)).metered:
        await asyncio.sleep(0.01)


async def meter(proxy: Proxy) -> Any:
    """Return the only meter."""
    (row,) = await proxy.admin.fetch("select * from router.meters")
    return row


async def test_without_limits_there_is_no_admission_and_no_header(proxy: Proxy) -> None:
    async with proxy.client() as client:
        raw = await client.chat.completions.with_raw_response.create(model="auto", messages=ASKED)
    assert not [name for name in raw.headers if name.startswith("x-ratelimit")]
    assert await proxy.admin.fetch("select * from router.meters") == []


@pytest.mark.parametrize("model", [CHEAP, "auto"])
async def test_answers_say_what_is_left_as_openais_do(proxy: Proxy, model: str) -> None:
    await limit(proxy, requests=60, tokens=60_000)
    async with proxy.client() as client:
        raw = await client.chat.completions.with_raw_response.create(model=model, messages=ASKED, max_tokens=100)
    said = {name: value for name, value in raw.headers.items() if name.startswith("x-ratelimit")}
    assert (said["x-ratelimit-limit-requests"], said["x-ratelimit-remaining-requests"]) == ("60", "59")
    assert said["x-ratelimit-reset-requests"] == "1s"
    assert said["x-ratelimit-limit-tokens"] == "60000"
    assert said["x-ratelimit-remaining-tokens"] == str(60_000 - PROMPT - 100)


async def test_a_request_too_many_is_a_429_with_retry_after(proxy: Proxy, upstream: Running) -> None:
    await limit(proxy, requests=1)
    async with proxy.client() as client:
        await client.chat.completions.create(model=CHEAP, messages=ASKED)
        with pytest.raises(openai.RateLimitError) as refused:
            await client.chat.completions.create(model=CHEAP, messages=ASKED)
    assert (refused.value.code, refused.value.type) == ("rate_limit_exceeded", "requests")
    assert 50 <= int(refused.value.response.headers["retry-after"]) <= 60
    assert len(upstream.log()) == 1


async def test_tokens_that_were_not_used_are_given_back(proxy: Proxy) -> None:
    await limit(proxy, tokens=1000)
    async with proxy.client() as client:
        for _ in range(5):
            await client.chat.completions.create(model=CHEAP, messages=ASKED, max_tokens=900)
            await proxy.ledger()
        with pytest.raises(openai.RateLimitError, match="too large"):
            await client.chat.completions.create(model=CHEAP, messages=ASKED, max_tokens=1000)


@pytest.mark.parametrize("longest", [2**31, 2**63])
async def test_an_answer_longer_than_any_limit_is_too_much_and_no_fault_of_ours(proxy: Proxy, longest: int) -> None:
    await limit(proxy, requests=10)
    body = {"model": CHEAP, "messages": ASKED, "max_tokens": longest, "n": 3}
    async with proxy.http() as http, http.post("/v1/chat/completions", json=body) as response:
        assert response.status == 200, "the provider decides what is too long"
    await limit(proxy, tokens=1000)
    async with proxy.http() as http, http.post("/v1/chat/completions", json=body) as response:
        assert (response.status, "Request too large" in await response.text()) == (429, True)


async def test_embeddings_are_paid_for(proxy: Proxy) -> None:
    await limit(proxy, day=1)
    async with proxy.client() as client:
        await client.embeddings.create(model=CHEAP, input="a word or two")
    (row,) = await proxy.ledger()
    assert row["spent_usd"] == pytest.approx(row["prompt_tokens"] * PRICES[CHEAP][0] / 1e6)
    assert float((await meter(proxy))["day_usd"]) == pytest.approx(row["spent_usd"])


async def test_a_budget_that_is_spent_is_a_402_of_openais_kind(proxy: Proxy, upstream: Running) -> None:
    await limit(proxy, day=dearest(STRONG, 10))
    async with proxy.client() as client:
        await client.chat.completions.create(model=STRONG, messages=ASKED, max_tokens=10)
        await proxy.ledger()
        with pytest.raises(openai.APIStatusError) as refused:
            await client.chat.completions.create(model=STRONG, messages=ASKED, max_tokens=10)
    assert refused.value.status_code == 402
    assert (refused.value.code, refused.value.type) == ("insufficient_quota", "insufficient_quota")
    assert len(upstream.log()) == 1
    row = await meter(proxy)
    assert float(row["day_usd"]) == pytest.approx(COST[STRONG])
    assert float(row["reserved_usd"]) == 0


async def test_forty_at_once_through_two_proxies_do_not_spend_a_budget_twice(
    proxies: ProxyFactory, upstream: Running
) -> None:
    upstream.script(STRONG, "delay=0.3")
    async with proxies() as proxy, proxies() as other:
        await limit(proxy, key=False, day=10.5 * dearest(STRONG, 10))
        while not (await other.services.directory.caller(other.key)).metered:
            await asyncio.sleep(0.01)

        async def ask(http: aiohttp.ClientSession) -> int:
            body = {"model": STRONG, "messages": ASKED, "max_tokens": 10}
            async with http.post("/v1/chat/completions", json=body) as response:
                return response.status

        async with proxy.http() as one, other.http() as two:
            statuses = await asyncio.gather(*(ask(http) for http in (one, two) for _ in range(20)))
        assert sorted(statuses) == [200] * 10 + [402] * 30
        await proxy.ledger(10)
        row = await meter(proxy)
        assert float(row["day_usd"]) == pytest.approx(10 * COST[STRONG])
        assert float(row["reserved_usd"]) == 0
    upstream.clear()


async def test_a_policy_falls_back_on_what_the_budget_leaves(proxy: Proxy) -> None:
    await limit(proxy, day=dearest(CHEAP, 100) * 1.2)
    async with proxy.client() as client:
        raw = await client.chat.completions.with_raw_response.create(model="auto", messages=ASKED, max_tokens=100)
    assert raw.headers["x-router-model"] == CHEAP
    assert "strong;why=chosen;status=over_budget" in raw.headers["x-router-attempts"]
    row = (await proxy.ledger())[0]
    assert (row["attempts"], row["tried_outcome"]) == (1, ["over_budget", "200"])


async def test_a_fallback_does_not_pass_the_budget(proxy: Proxy, upstream: Running) -> None:
    await proxy.rank(lessons(120))
    await limit(proxy, day=0.0005)
    upstream.script(CHEAP, "status=503")
    async with proxy.client() as client:
        with pytest.raises(openai.InternalServerError):
            await client.chat.completions.create(
                model="auto", messages=[{"role": "user", "content": easy(1)}], max_tokens=100
            )
    asked = [orjson.loads(base64.b64decode(entry["body"]))["model"] for entry in upstream.log()]
    assert set(asked) == {CHEAP}
    row = (await proxy.ledger())[0]
    assert (row["model_id"], row["status"]) == ((await proxy.services.directory.catalog()).get(CHEAP).model_id, 503)
    assert float((await meter(proxy))["day_usd"]) == 0, "a failed request costs nothing"


async def test_a_client_that_leaves_after_a_refusal_pays_nothing(proxy: Proxy, upstream: Running) -> None:
    await limit(proxy, day=1.0, tokens=100_000)
    upstream.script(STRONG, "status=503;retry-after=4")
    async with proxy.http() as http:
        body = {"model": STRONG, "messages": ASKED}
        asking = asyncio.create_task(http.post("/v1/chat/completions", json=body).__aenter__())
        while not [entry for entry in upstream.log() if entry["written"]]:
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.2)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    (row,) = await proxy.ledger()
    assert (row["status"], row["attempts"], row["spent_usd"]) == (499, 1, 0)
    after = await meter(proxy)
    assert (float(after["day_usd"]), float(after["reserved_usd"])) == (0, 0)


async def test_a_client_that_leaves_a_stream_pays_for_the_tokens_produced(proxy: Proxy, upstream: Running) -> None:
    await limit(proxy, day=1.0)
    upstream.script(CHEAP, "gap=0.05;chunks=200")
    async with proxy.client() as client:
        stream = await client.chat.completions.create(model=CHEAP, messages=ASKED, stream=True)
        seen = 0
        async for _ in stream:
            seen += 1
            if seen == 10:
                break
        await stream.close()
    row = (await proxy.ledger())[0]
    assert (row["status"], row["usage_estimated"]) == (499, True)
    assert 5 <= row["completion_tokens"] <= 60
    after = await meter(proxy)
    assert float(after["day_usd"]) == pytest.approx(row["spent_usd"])
    assert float(after["reserved_usd"]) == 0


async def test_with_postgres_away_a_request_with_limits_is_served(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    await limit(proxy, day=0.0)

    async def away(*_: Any, **__: Any) -> Any:
        from app.errors import DatabaseUnavailable

        raise DatabaseUnavailable("Postgres is away.", cause="unreachable")

    monkeypatch.setattr("app.store.limits.admit", away)
    async with proxy.client() as client:
        await client.chat.completions.create(model=CHEAP, messages=ASKED)
    async with proxy.http() as http, http.get("/metrics") as response:
        assert 'pgrouter_fail_opens_total{cause="unreachable",step="admission"}' in await response.text()


async def test_other_paths_count_as_requests_and_end_with_the_budget(proxy: Proxy, upstream: Running) -> None:
    await limit(proxy, requests=2)
    async with proxy.http() as http:
        statuses = []
        for _ in range(3):
            async with http.get("/v1/files") as response:
                statuses.append(response.status)
    assert statuses == [200, 200, 429]
    assert len(upstream.log()) == 2
    assert await proxy.admin.fetch("select * from router.reservations") == []


async def test_teaching_explaining_and_listing_count_as_requests(proxy: Proxy, upstream: Running) -> None:
    await proxy.rank(lessons(20))
    await limit(proxy, requests=8)
    calls: list[tuple[str, str, Any]] = [
        ("POST", "/preferences/rank", {"examples": lessons(5)}),
        ("POST", "/explain", {"model": "auto", "prompt": "hi"}),
        ("GET", "/memories", None),
        ("DELETE", "/memories/1", None),
        ("GET", "/status", None),
        ("GET", "/usage", None),
        ("GET", "/savings", None),
        ("POST", "/backtest", {}),
    ]
    async with proxy.http() as http:
        for position, (method, path, body) in enumerate(calls, 1):
            async with http.request(method, f"/v1/router{path}", json=body) as response:
                assert response.status != 429, path
            assert 8 - position - 1 < (await meter(proxy))["requests_left"] < 8 - position + 1, path
        for method, path, body in calls:
            async with http.request(method, f"/v1/router{path}", json=body) as response:
                assert response.status == 429, path
                assert (await response.json())["error"]["code"] == "rate_limit_exceeded"
                assert int(response.headers["retry-after"]) >= 1
        async with http.post("/v1/chat/completions", json={"model": CHEAP, "messages": ASKED}) as response:
            assert response.status == 429
    assert upstream.log() == []


async def test_a_spent_budget_does_not_stop_what_costs_nothing(proxy: Proxy) -> None:
    await limit(proxy, day=0.0, month=0.0)
    async with proxy.http() as http:
        async with http.post("/v1/router/preferences/rank", json={"examples": lessons(5)}) as response:
            assert response.status == 200
        async with http.get("/v1/router/memories") as response:
            assert response.status == 200
    assert await proxy.admin.fetch("select * from router.reservations") == []


async def test_a_models_own_limit_of_an_answer_is_what_is_reserved(proxy: Proxy) -> None:
    await models.put_model(proxy.admin, "short", "fake", upstream_name=CHEAP, settings={"max_output_tokens": 50})
    proxy.services.directory.invalidate()
    await limit(proxy, tokens=60_000)
    async with proxy.client() as client:
        raw = await client.chat.completions.with_raw_response.create(model="short", messages=ASKED)
    assert raw.headers["x-ratelimit-remaining-tokens"] == str(60_000 - PROMPT - 50)
