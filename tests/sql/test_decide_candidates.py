"""The candidates of a decision, and the backends that need no memory."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest

from tests.support.decisions import assert_declines, order, reason, taught
from tests.support.sql_world import START, Taught, World, direction, uuid7


async def test_p_models_narrows_and_keeps_the_default(world: World) -> None:
    tenant = await world.tenant()
    third = await world.model("third", 0.1, 0.1)
    policy = await world.policy(tenant, ["small", "large", "third"])
    labels = {world.small: 1.0, world.large: 0.5, third: 1.0}
    await world.teach(tenant, Taught("one", labels))
    assert set(order(await world.decide(tenant, policy, direction(0)))) == set(labels)
    narrowed = await world.decide(tenant, policy, direction(0), models=[world.small, 999])
    assert set(order(narrowed)) == {world.small, world.large}


async def test_the_default_is_ranked_though_it_is_no_candidate(world: World) -> None:
    tenant = await world.tenant()
    policy = await world.policy(tenant, ["small"])
    await world.teach(tenant, Taught("one", {world.small: 0.1, world.large: 1.0}))
    assert set(order(await world.decide(tenant, policy, direction(0)))) == {world.small, world.large}


async def test_a_disabled_model_is_no_candidate(world: World) -> None:
    tenant = await world.tenant()
    policy = await world.policy(tenant)
    await world.model("small", None, None, enabled=False)
    await world.teach(tenant, Taught("one", {world.small: 1.0, world.large: 0.0}))
    assert order(await world.decide(tenant, policy, direction(0))) == [world.large]


async def test_another_tenants_memory_does_not_count(world: World) -> None:
    mine, policy = await taught(world)
    before = await world.decide(mine, policy, direction(0))
    theirs = await world.tenant("theirs")
    await world.teach(theirs, *(Taught(f"{i}", {world.small: 0.0, world.large: 1.0}) for i in range(50)))
    space = await world.owner.fetchval("select router.register_space('other', 384)")
    await world.teach(mine, *(Taught(f"{i}", {world.small: 0.0, world.large: 1.0}) for i in range(50)), space=space)
    assert await world.decide(mine, policy, direction(0)) == before


# Backends without a memory.


async def test_cheapest_is_by_cost(world: World) -> None:
    tenant = await world.tenant()
    policy = await world.policy(tenant, backend="cheapest")
    rows = await world.decide(tenant, policy)
    assert (reason(rows), order(rows)) == ("cheapest", [world.small, world.large])


async def test_fastest_is_by_the_ledger_and_cold_without_one(world: World) -> None:
    tenant = await world.tenant()
    policy = await world.policy(tenant, backend="fastest")
    await assert_declines(world, tenant, policy, "cold")
    for number, (model, speed) in enumerate([(world.small, 90.0), (world.large, 40.0)]):
        entry = {"tenant_id": tenant, "decision_id": uuid7(START, number), "model_id": model, "first_token_ms": speed}
        await world.log(entry)
    rows = await world.decide(tenant, policy, default=world.small)
    assert (reason(rows), order(rows)) == ("fastest", [world.large, world.small])


async def test_weighted_serves_by_shares(world: World) -> None:
    tenant = await world.tenant()
    never = await world.model("never", 0.0, 0.0)
    policy = await world.policy(tenant, ["small", "large", "never"], backend="weighted", weights=[3, 1, 0])
    dice, first, draws = random.Random(3), Counter[int](), 2000
    for _ in range(draws):
        rows = await world.decide(tenant, policy, random=dice.random())
        first[rows[0]["model_id"]] += 1
        assert (reason(rows), len(rows), rows[-1]["model_id"]) == ("weighted", 3, never)
    # Five standard deviations of a binomial share.
    assert first[world.small] / draws == pytest.approx(0.75, abs=5 * math.sqrt(0.75 * 0.25 / draws))


async def test_shares_may_be_tiny(world: World) -> None:
    tenant = await world.tenant()
    policy = await world.policy(tenant, backend="weighted", weights=[0.001, 0.0001])
    dice = random.Random(5)
    first = Counter([order(await world.decide(tenant, policy, random=dice.random()))[0] for _ in range(300)])
    assert first[world.small] / 300 == pytest.approx(10 / 11, abs=5 * math.sqrt(10 / 121 / 300))
