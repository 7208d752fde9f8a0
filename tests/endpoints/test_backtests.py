"""Backtests over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.accounting.turns import Measuring
from app.errors import Busy
from tests.support.backtest_commands import BACKTEST, SAVINGS, TAUGHT, get, post
from tests.support.proxy import CHEAP, STRONG, Proxy, ProxyFactory
from tests.support.separable_prompts import easy, lessons

REFERENCES = {"cheapest", "default", "best_single", "oracle", "always", "blend"}


async def test_a_backtest_gives_the_curve_beside_what_it_is_compared_with(proxy: Proxy) -> None:
    await proxy.rank(lessons(120))
    status, found = await post(proxy, {})
    assert status == 200
    assert (found["object"], found["policy"], found["rows"], found["skipped"]) == ("router.backtest", "auto", TAUGHT, 0)
    assert set(found["references"]) == REFERENCES
    assert found["references"]["cheapest"]["model"] == CHEAP
    assert found["references"]["default"]["model"] == STRONG
    assert found["references"]["default"]["cost_ratio"] == pytest.approx(1)
    assert [point["alpha"] for point in found["curve"]] == sorted(point["alpha"] for point in found["curve"])
    assert [point["in_use"] for point in found["curve"]].count(True) == 1
    for point in found["curve"]:
        assert sum(point["shares"].values()) == pytest.approx(1)
        assert point["quality_low"] <= point["quality"] <= point["quality_high"]


async def test_a_backtest_sees_that_the_two_kinds_can_be_told_apart(proxy: Proxy) -> None:
    await proxy.rank(lessons(120))
    _, found = await post(proxy, {"alphas": [0.3]})
    point = next(point for point in found["curve"] if point["alpha"] == 0.3)
    assert point["quality"] > 0.95
    assert point["shares"][CHEAP] == pytest.approx(0.5, abs=0.05)
    assert point["gain_low"] > 0.2


async def test_settings_stand_in_for_the_policys_own(proxy: Proxy) -> None:
    await proxy.rank(lessons(120))
    _, plain = await post(proxy, {"alphas": [0.3], "settings": {"alpha": 0.3}})
    _, prior = await post(proxy, {"alphas": [0.3], "settings": {"alpha": 0.3, "n0": 1e6}})
    assert plain["curve"][0]["in_use"]
    assert plain["curve"][0]["shares"][STRONG] < 0.6
    assert prior["curve"][0]["shares"][STRONG] == 1, "with that prior no neighbour counts"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"sample": 29}, "sample"),
        ({"sample": "30"}, "sample"),
        ({"alphas": []}, "alphas"),
        ({"alphas": [0.1, -1]}, "alphas[1]"),
        ({"alphas": [0.1] * 101}, "alphas"),
        ({"settings": {"k": 0}}, "settings.k"),
        ({"settings": {"tau": 0}}, "settings.tau"),
        ({"settings": {"seed_count": 1}}, "settings.seed_count"),
        ({"confidence": 1}, "confidence"),
        ({"seconds": 31}, "seconds"),
        ({"policy": 7}, "policy"),
        ({"model": "auto", "policy": "auto"}, None),
        ({"polcy": "auto"}, "polcy"),
    ],
)
async def test_a_bad_backtest_is_refused_by_its_field(proxy: Proxy, body: Any, param: str | None) -> None:
    status, refused = await post(proxy, body)
    assert (status, refused["error"]["param"]) == (400, param)


async def test_a_setting_past_all_numbers_is_refused_rather_than_answered_as_null(proxy: Proxy) -> None:
    async with proxy.http() as http, http.post(BACKTEST, data=b'{"settings": {"tau": 1e400}}') as response:
        assert (response.status, (await response.json())["error"]["param"]) == (400, "settings.tau")


async def test_an_empty_name_is_no_policy(proxy: Proxy) -> None:
    status, refused = await post(proxy, {"policy": ""})
    assert (status, refused["error"]["param"]) == (404, "policy")


async def test_an_unknown_policy_is_not_found_under_the_name_it_was_given(proxy: Proxy) -> None:
    for param in ("model", "policy"):
        status, refused = await post(proxy, {param: "nope"})
        assert (status, refused["error"]["param"]) == (404, param)
    status, refused = await get(proxy, f"{SAVINGS}?policy=nope")
    assert (status, refused["error"]["param"]) == (404, "policy")


async def test_too_little_memory_is_reported_with_its_size(proxy: Proxy) -> None:
    await proxy.rank([*lessons(10), *({"prompt": easy(seed), "scores": {CHEAP: 1}} for seed in range(100, 140))])
    status, refused = await post(proxy, {})
    assert (status, refused["error"]["code"]) == (422, "unsupported_by_memory")
    assert "10 of 50 memories" in refused["error"]["message"]


async def test_a_backtest_needs_a_key_and_sees_its_tenant_alone(proxy: Proxy) -> None:
    await proxy.rank(lessons(120))
    _, other = await proxy.new_tenant("other", models=(CHEAP, STRONG))
    assert (await post(proxy, {}, key="rk-nobody"))[0] == 401
    status, refused = await post(proxy, {}, key=other)
    assert status == 422
    assert "0 of 0 memories" in refused["error"]["message"]
    await proxy.rank(lessons(40), other)
    assert (await post(proxy, {}, key=other))[1]["rows"] == 40
    assert (await post(proxy, {}))[1]["rows"] == TAUGHT


async def test_one_backtest_of_a_tenant_runs_at_a_time_and_others_get_retry_after(proxy: Proxy) -> None:
    _, other = await proxy.new_tenant("other")
    await proxy.rank(lessons(40), other)
    async with proxy.services.measuring.backtest(proxy.tenant_id):
        async with proxy.http() as http, http.post(BACKTEST, json={}) as response:
            assert response.status == 429
            assert int(response.headers["retry-after"]) >= 1
            assert (await response.json())["error"]["code"] == "busy"
        # The process has room for one where its pool has four connections.
        assert (await post(proxy, {}, key=other))[0] == 429
    await proxy.rank(lessons(40))
    assert (await post(proxy, {}))[0] == 200


async def test_backtests_of_several_tenants_run_up_to_a_bound() -> None:
    measuring = Measuring(2)
    async with measuring.backtest(1), measuring.backtest(2):
        with pytest.raises(Busy):
            async with measuring.backtest(3):
                pass
    async with measuring.backtest(3):
        pass


async def test_a_failed_backtest_makes_room_for_the_next(proxy: Proxy) -> None:
    assert (await post(proxy, {}))[0] == 422
    await proxy.rank(lessons(40))
    assert (await post(proxy, {}))[0] == 200


async def test_one_connection_is_left_for_requests_meanwhile(proxies: ProxyFactory) -> None:
    async with proxies(pool_size=2) as proxy:
        await proxy.rank(lessons(120))
        measuring = [asyncio.create_task(post(proxy, {"seconds": 5})) for _ in range(8)]
        status, _ = await get(proxy, "/v1/router/status")
        assert status == 200
        statuses = [status for status, _ in await asyncio.gather(*measuring)]
        assert set(statuses) <= {200, 429}
        assert 200 in statuses
