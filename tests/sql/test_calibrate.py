"""Calibration: the target is met at the least cost, or refused with the best that is reachable."""

from __future__ import annotations

import random
from typing import Any

import asyncpg
import pytest

from tests.support.backtests import backtest, calibrate, ruled, specialists
from tests.support.sql_world import START, Taught, World, vector


async def in_use(world: World, policy: int) -> dict[str, Any]:
    """Return the policy's settings that calibrate writes."""
    row = await world.owner.fetchrow(
        "select alpha, k, tau, n0, n0_task from router.policies where policy_id = $1", policy
    )
    return dict(row)


async def calibrations(world: World) -> list[asyncpg.Record]:
    rows: list[asyncpg.Record] = await world.owner.fetch("select * from router.calibrations order by calibrated_at")
    return rows


async def test_the_policy_gets_what_was_chosen_and_the_rest_is_written_down(world: World) -> None:
    tenant, policy = await specialists(world, 200, alpha=0.3)
    before = await in_use(world, policy)
    row = await calibrate(world, tenant, policy, 0.9)
    chosen = {name: row[name] for name in before}
    assert await in_use(world, policy) == chosen
    (kept,) = await calibrations(world)
    assert (kept["tenant_id"], kept["policy_id"], kept["calibrated_at"]) == (tenant, policy, START)
    assert (kept["target"], kept["confidence"], kept["trials"], kept["memories"]) == (0.9, 0.9, 200, 200)
    assert {name: kept["old_settings"][name] for name in before} == before
    assert {name: kept["new_settings"][name] for name in before} == chosen
    for name in ("quality", "quality_ratio", "quality_ratio_low", "cost_ratio", "default_usd", "shares", "tuned"):
        assert kept[name] == row[name]
    assert kept["models"] == [world.small, world.large]
    assert kept["default_quality"] == row["default_quality"]
    assert (row["models"], row["written"]) == (["small", "large"], True)


async def test_the_last_of_a_transaction_is_the_one_that_is_written_down(world: World) -> None:
    tenant, policy = await specialists(world)
    for target in (0.5, 0.9):
        await calibrate(world, tenant, policy, target, tune=False)
    (kept,) = await calibrations(world)
    assert kept["target"] == 0.9


async def test_a_policy_that_does_not_learn_is_refused(world: World) -> None:
    tenant = await world.tenant()
    policy = await world.policy(tenant, backend="cheapest")
    with pytest.raises(asyncpg.InvalidParameterValueError, match="only a policy with backend knn"):
        await world.owner.fetch("select * from router.calibrate($1, $2, $3, 0.9)", tenant, policy, world.space)


async def test_it_may_only_say(world: World) -> None:
    tenant, policy = await specialists(world)
    before = await in_use(world, policy)
    row = await calibrate(world, tenant, policy, 0.9, write=False)
    assert not row["written"]
    assert await in_use(world, policy) == before
    assert await calibrations(world) == []


async def test_without_tuning_only_alpha_moves(world: World) -> None:
    tenant, policy = await specialists(world, k=17, tau=0.7, n0=3.0, n0_task=4.0)
    row = await calibrate(world, tenant, policy, 0.9, tune=False)
    assert (row["k"], row["tau"], row["n0"], row["n0_task"], row["tuned"]) == (17, 0.7, 3.0, 4.0, False)
    assert row["alpha"] != 0.3


async def test_settings_that_are_clearly_worth_more_are_taken(world: World) -> None:
    # A single neighbour is a poor estimate if every topic has many memories.
    tenant, policy = await specialists(world, 300, k=1, tau=float("inf"), n0=0.0)
    row = await calibrate(world, tenant, policy, 0.95)
    assert row["tuned"]
    assert row["k"] > 1


async def test_less_quality_asked_costs_less(world: World) -> None:
    dice = random.Random(1)
    tenant = await world.tenant()
    policy = await world.policy(tenant)
    lessons = []
    for number in range(400):
        hard = dice.random()
        scores = {world.small: float(dice.random() > hard), world.large: float(dice.random() > 0.3 * hard)}
        lessons.append(Taught(f"{number}", scores, vector([1.0, 2 * hard])))
    await world.teach(tenant, *lessons)
    costs = []
    for target in (0.6, 0.8, 0.9, 0.95):
        row = await calibrate(world, tenant, policy, target, tune=False, write=False)
        assert row["quality_ratio_low"] >= target
        costs.append(row["cost_ratio"])
    assert costs == sorted(costs)
    assert costs[0] < costs[-1]


async def test_more_confidence_costs_no_less(world: World) -> None:
    tenant, policy = await specialists(world)
    bold, careful = [await calibrate(world, tenant, policy, 1, confidence=c, write=False) for c in (0.5, 0.99)]
    assert careful["cost_ratio"] >= bold["cost_ratio"]
    assert careful["alpha"] <= bold["alpha"]


async def test_more_than_the_default_models_quality_can_be_had_where_models_differ(world: World) -> None:
    tenant, policy = await specialists(world, 300)
    row = await calibrate(world, tenant, policy, 1.02)
    assert row["quality"] > row["default_quality"]
    assert row["cost_ratio"] < 0.7


async def test_a_target_that_cannot_be_had_is_refused_with_the_best_that_can(world: World) -> None:
    tenant, policy = await specialists(world)
    before = await in_use(world, policy)
    with pytest.raises(asyncpg.PostgresError, match=r"target is 1\.\d+, at \d+% of the default") as caught:
        await calibrate(world, tenant, policy, 2)
    assert (caught.value.sqlstate, caught.value.column_name) == ("RT008", "target")
    best = float(str(caught.value).partition("target is ")[2].partition(",")[0])
    assert await in_use(world, policy) == before
    assert await calibrations(world) == []
    assert (await calibrate(world, tenant, policy, best, write=False))["quality_ratio_low"] >= best


async def test_the_best_reachable_is_reported_of_free_models_too(world: World) -> None:
    tenant, policy = await specialists(world)
    await world.model("small", 0.0, 0.0)
    await world.model("large", 0.0, 0.0)
    with pytest.raises(asyncpg.PostgresError, match=r"target is 1\.\d+\nHINT"):
        await calibrate(world, tenant, policy, 2)


async def test_a_default_model_that_is_never_right_has_no_share_to_keep(world: World) -> None:
    tenant = await world.tenant()
    policy = await world.policy(tenant)
    await world.teach(tenant, *(Taught(f"{i}", {world.small: 1, world.large: 0}) for i in range(40)))
    with pytest.raises(asyncpg.PostgresError, match="all its labels are 0") as caught:
        await calibrate(world, tenant, policy, 0.9)
    assert caught.value.sqlstate == "RT008"


async def test_the_expectation_equals_the_backtest(world: World) -> None:
    tenant, policy = await specialists(world)
    row = await calibrate(world, tenant, policy, 0.9)
    rows = await backtest(world, tenant, policy, sample=1000)
    (mine,) = [found for found in ruled(rows, "policy") if found["in_use"]]
    for name in ("quality", "cost_usd", "quality_ratio", "cost_ratio", "shares"):
        assert mine[name] == pytest.approx(row[name])


async def test_it_reaches_its_target_on_prompts_it_has_not_seen(world: World) -> None:
    tenant, policy = await specialists(world, 600)
    await calibrate(world, tenant, policy, 0.95)
    unseen, policy_of_unseen = tenant, policy
    dice = random.Random(77)
    reached = by_default = 0.0
    for number in range(300):
        easy = number % 2 == 0
        embedding = vector([x + dice.gauss(0, 0.1) for x in ([1.0, 0.0] if easy else [0.0, 1.0])])
        first = (await world.decide(unseen, policy_of_unseen, embedding))[0]["model_id"]
        reached += (1.0 if easy else 0.2) if first == world.small else 0.9
        by_default += 0.9
    assert reached / by_default >= 0.94


@pytest.mark.parametrize("target", [0.0, -1.0, float("nan"), float("inf"), None])
async def test_a_target_is_a_share(world: World, target: Any) -> None:
    tenant, policy = await specialists(world, 30)
    with pytest.raises(asyncpg.PostgresError) as caught:
        await calibrate(world, tenant, policy, target)
    assert (caught.value.sqlstate, caught.value.column_name) == ("22023", "target")


async def test_it_refuses_what_backtest_refuses(world: World) -> None:
    tenant, policy = await specialists(world, 29)
    for code, number in (("RT010", policy), ("RT002", policy + 1)):
        with pytest.raises(asyncpg.PostgresError) as caught:
            await calibrate(world, tenant, number, 0.9)
        assert caught.value.sqlstate == code


async def test_the_proxy_calibrates_the_policies_of_the_tenant_that_it_names(world: World) -> None:
    tenant, policy = await specialists(world, 30)
    await world.app.fetch(
        "select router.calibrate($1, $2, $3, 0.9, p_tune => false, p_key => 7)", tenant, policy, world.space
    )
    assert len(await calibrations(world)) == 1
    other = await world.tenant("other")
    with pytest.raises(asyncpg.PostgresError) as caught:
        await world.app.fetch("select router.calibrate($1, $2, $3, 0.9)", other, policy, world.space)
    assert caught.value.sqlstate == "RT002"


async def test_noise_on_a_falling_curve_is_averaged_away(world: World) -> None:
    found = await world.owner.fetchval("select router_internal._antitonic_fit(array[1, 0.8, 0.9, 0.7, 0.2, 0.4, 0.3])")
    assert found == pytest.approx([1, 0.85, 0.85, 0.7, 0.3, 0.3, 0.3])
