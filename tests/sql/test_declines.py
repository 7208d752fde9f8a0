"""Declined decisions: the default serves, with a reason."""

from __future__ import annotations

import asyncpg
import pytest

from tests.support.decisions import assert_declines, order, reason, taught
from tests.support.sql_world import Taught, World, direction


async def test_fewer_memories_than_seed_count_are_cold(world: World) -> None:
    tenant, policy = await taught(world, seed_count=11)
    await assert_declines(world, tenant, policy, "cold", direction(0))
    await world.teach(tenant, Taught("eleventh", {world.small: 1.0, world.large: 0.0}))
    assert reason(await world.decide(tenant, policy, direction(0))) == "learned"


async def test_an_empty_tenant_is_cold_whatever_its_seed_count(world: World) -> None:
    tenant, policy = await taught(world, seed_count=0)
    assert reason(await world.decide(tenant, policy, direction(0))) == "learned"
    await world.app.fetch("select router.forget($1, null, true)", tenant)
    await assert_declines(world, tenant, policy, "cold", direction(0))
    fresh = await world.tenant("fresh")
    await assert_declines(world, fresh, await world.policy(fresh, seed_count=0), "cold", direction(0))


async def test_memories_of_another_space_leave_a_tenant_cold(world: World) -> None:
    tenant = await world.tenant()
    policy = await world.policy(tenant)
    other = await world.owner.fetchval("select router.register_space('other', 64)")
    await world.teach(tenant, Taught("one", {world.small: 1, world.large: 0}), space=other)
    await assert_declines(world, tenant, policy, "cold", direction(0))


async def test_without_an_embedding_there_is_no_signal(world: World) -> None:
    await assert_declines(world, *await taught(world), "no_signal", None)


async def test_too_little_confidence_is_low_support(world: World) -> None:
    tenant, policy = await taught(world, confidence_floor=0.9)
    await assert_declines(world, tenant, policy, "low_support", direction(0))
    await world.policy(tenant, confidence_floor=0.8)
    assert order(await world.decide(tenant, policy, direction(0))) == [world.small, world.large]


async def test_a_winner_without_labels_among_the_neighbours_wins_by_its_mean(world: World) -> None:
    """To decline would be worse than the static choice by the same labels; a confidence_floor asks for neighbours."""
    tenant = await world.tenant()
    policy = await world.policy(tenant, k=2)
    await world.teach(
        tenant,
        Taught("a", {world.large: 0.1}, direction(0)),
        Taught("b", {world.large: 0.1}, direction(0.01)),
        Taught("c", {world.small: 1.0}, direction(3)),
    )
    rows = await world.decide(tenant, policy, direction(0))
    assert (order(rows)[0], reason(rows), rows[0]["labels"], rows[0]["confidence"]) == (world.small, "learned", 0, 0)
    await world.policy(tenant, k=2, confidence_floor=0.01)
    await assert_declines(world, tenant, policy, "low_support", direction(0))


async def test_a_default_without_labels_is_low_support(world: World) -> None:
    tenant = await world.tenant()
    policy = await world.policy(tenant)
    await world.teach(tenant, Taught("one", {world.small: 1.0}))
    await assert_declines(world, tenant, policy, "low_support", direction(0))


async def test_a_candidate_without_labels_is_never_first(world: World) -> None:
    tenant = await world.tenant()
    new = await world.model("new", 0.0, 0.0)
    policy = await world.policy(tenant, ["small", "large", "new"])
    await world.teach(tenant, Taught("one", {world.small: 0.0, world.large: 0.0}))
    rows = await world.decide(tenant, policy, direction(0))
    assert (reason(rows), order(rows)) == ("learned", [world.small, world.large, new])
    assert rows[2]["quality"] is None


@pytest.mark.parametrize("backend", ["knn", "cheapest"])
async def test_a_candidate_without_a_price_is_unpriced(world: World, backend: str) -> None:
    tenant, policy = await taught(world, backend=backend)
    await world.owner.execute("update router.models set output_price = null where name = 'small'")
    await assert_declines(world, tenant, policy, "unpriced", direction(0))


async def test_backend_none_is_the_default(world: World) -> None:
    await assert_declines(world, *await taught(world, backend="none"), "default", direction(0))


async def test_one_candidate_is_no_choice(world: World) -> None:
    tenant, policy = await taught(world)
    rows = await world.decide(tenant, policy, direction(0), models=[])
    assert (reason(rows), order(rows)) == ("single_candidate", [world.large])


async def test_an_unknown_policy_is_an_error_with_its_own_code(world: World) -> None:
    tenant, policy = await taught(world)
    other = await world.tenant("other")
    for asked in ((tenant, policy + 1), (other, policy)):
        with pytest.raises(asyncpg.PostgresError) as caught:
            await world.decide(*asked, direction(0))
        assert caught.value.sqlstate == "RT002"
