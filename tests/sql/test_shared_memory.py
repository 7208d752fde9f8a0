"""Shared memories: when they are used, their weight, and that they reveal no rows."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from scripts.support.connection import connect
from tests.support.sql_world import START, Taught, World, direction, uuid7

READER = "router_reader"


async def shared(world: World, *lessons: Taught, name: str = "common") -> int:
    """A tenant that shares what it was taught."""
    tenant = await world.tenant(name)
    await world.teach(tenant, *lessons)
    await change(world, tenant, shared=True)
    return tenant


async def leaning(world: World, base: int, name: str = "acme") -> int:
    """Make a tenant with the base `base`."""
    tenant = await world.tenant(name)
    await change(world, tenant, base=base)
    return tenant


async def change(world: World, tenant: int, *, shared: bool | None = None, base: int | None = None) -> None:
    await world.owner.fetchval("select router.change_tenant($1, null, null, null, $2, $3)", tenant, shared, base)


async def test_a_tenant_without_a_memory_is_routed_by_the_shared_one(world: World) -> None:
    lessons = (
        Taught("easy", {world.small: 1.0, world.large: 1.0}, embedding=direction(0)),
        Taught("hard", {world.small: 0.0, world.large: 1.0}, embedding=direction(1)),
    )
    base = await shared(world, *lessons)
    tenant = await leaning(world, base)
    policy = await world.policy(tenant, seed_count=2, alpha=0.3, n0=0.1)
    easy = await world.decide(tenant, policy, direction(0))
    hard = await world.decide(tenant, policy, direction(1))
    assert [(row["model_id"], row["reason"]) for row in (easy[0], hard[0])] == [
        (world.small, "learned"), (world.large, "learned")
    ]  # fmt: skip


async def test_a_memory_that_is_shared_no_more_leaves_its_leaners_cold(world: World) -> None:
    base = await shared(world, Taught("p", {world.small: 1.0, world.large: 0.5}, embedding=direction(0)))
    tenant = await leaning(world, base)
    await world.policy(tenant, seed_count=1)
    ready = "select ready from router.status($1, $2)"
    assert await world.app.fetchval(ready, tenant, world.space) is True
    await change(world, base, shared=False)
    assert await world.app.fetchval(ready, tenant, world.space) is False
    assert await world.owner.fetchval("select ready from router.overview where tenant = 'acme'") is False


async def test_a_shared_neighbour_weighs_base_weight_over_base_weight_and_own_memories(world: World) -> None:
    base = await shared(world, Taught("p", {world.small: 1.0, world.large: 0.5}, embedding=direction(0)))
    tenant = await leaning(world, base)
    policy = await world.policy(tenant, base_weight=6, n0=2, n2=5, tau=0.2, ease=math.inf)
    await world.teach(
        tenant,
        Taught("p", {world.small: 0.0, world.large: 0.5}, embedding=direction(0)),
        Taught("q", {world.large: 0.5}, embedding=direction(1)),
    )
    rows = {row["model_id"]: row for row in await world.decide(tenant, policy, direction(0))}
    share = 6 / (6 + 2)
    far = math.exp((math.cos(1) - 1) / 0.2)
    assert rows[world.small]["base_support"] == pytest.approx(share, rel=1e-6)
    assert rows[world.small]["support"] == pytest.approx(1 + share, rel=1e-6)
    assert rows[world.large]["support"] == pytest.approx(1 + far + share, rel=1e-3)
    prior = (0.0 + 5 * 1.0) / (1 + 5)
    assert rows[world.small]["prior"] == pytest.approx(prior, rel=1e-6)
    assert rows[world.small]["quality"] == pytest.approx((share * 1.0 + 2 * prior) / (1 + share + 2), rel=1e-6)


async def test_a_shared_memory_weighs_less_the_more_labels_a_tenant_has(world: World) -> None:
    base = await shared(
        world,
        *(Taught(f"b{n}", {world.small: 1.0, world.large: 1.0}, embedding=direction(n % 4)) for n in range(20)),
    )
    tenant = await leaning(world, base)
    policy = await world.policy(tenant, base_weight=5)
    found = []
    for n in range(5):
        lessons = [
            Taught(f"{n} {i}", {world.small: 0.0, world.large: 1.0}, embedding=direction(i % 4)) for i in range(10)
        ]
        await world.teach(tenant, *lessons)
        rows = {row["model_id"]: row for row in await world.decide(tenant, policy, direction(0))}
        found.append(rows[world.small]["quality"])
    assert found == sorted(found, reverse=True)
    assert found[-1] < 0.1


async def test_a_shared_memory_below_the_seed_count_leaves_a_tenant_cold(world: World) -> None:
    base = await shared(world, Taught("p", {world.small: 1.0, world.large: 1.0}, embedding=direction(0)))
    tenant = await leaning(world, base)
    policy = await world.policy(tenant, seed_count=2)
    assert (await world.decide(tenant, policy, direction(0)))[0]["reason"] == "cold"


async def test_without_an_embedding_a_tenant_with_a_base_has_that_next_step(world: World) -> None:
    base = await shared(world, Taught("p", {world.small: 1.0, world.large: 1.0}, embedding=direction(0)))
    tenant = await leaning(world, base)
    policy = await world.policy(tenant)
    assert (await world.decide(tenant, policy))[0]["reason"] == "no_signal"


async def test_a_memory_that_is_no_longer_shared_contributes_nothing(world: World) -> None:
    base = await shared(world, Taught("p", {world.small: 1.0, world.large: 1.0}, embedding=direction(0)))
    tenant = await leaning(world, base)
    policy = await world.policy(tenant)
    assert (await world.decide(tenant, policy, direction(0)))[0]["reason"] == "learned"
    await change(world, base, shared=False)
    assert (await world.decide(tenant, policy, direction(0)))[0]["reason"] == "cold"
    await change(world, base, shared=True)
    await change(world, tenant, base=0)
    assert (await world.decide(tenant, policy, direction(0)))[0]["reason"] == "cold"


async def test_a_tenant_whose_base_is_deleted_has_no_base(world: World) -> None:
    base = await shared(world, Taught("p", {world.small: 1.0, world.large: 1.0}, embedding=direction(0)))
    tenant = await leaning(world, base)
    policy = await world.policy(tenant)
    await world.owner.fetchval("select router.delete_tenant($1)", base)
    assert (await world.decide(tenant, policy, direction(0)))[0]["reason"] == "cold"


async def test_a_tenant_that_shares_nothing_is_no_base(world: World) -> None:
    private, tenant = await world.tenant("private"), await world.tenant()
    with pytest.raises(asyncpg.PostgresError) as refused:
        await change(world, tenant, base=private)
    assert refused.value.sqlstate == "RT012"
    # Nor by a row with its number.
    await world.teach(private, Taught("p", {world.small: 1.0, world.large: 1.0}, embedding=direction(0)))
    await world.owner.execute("update router.tenants set base_id = $1 where tenant_id = $2", private, tenant)
    assert (await world.decide(tenant, await world.policy(tenant), direction(0)))[0]["reason"] == "cold"


async def test_a_leaning_tenant_sees_no_row_of_the_shared_memory(world: World) -> None:
    base = await shared(world, Taught("secret", {world.small: 1.0, world.large: 1.0}, embedding=direction(0)))
    tenant = await leaning(world, base)
    policy = await world.policy(tenant)
    async with world.app.transaction():
        await world.decide(tenant, policy, direction(0))
        # After the decision the session is in no tenant, not in the shared one.
        assert await world.app.fetchval("select current_setting('router.tenant_id')") == str(tenant)
        assert await world.app.fetchval("select count(*) from router.memories") == 0
        assert await world.app.fetchval("select count(*) from router.memory_texts") == 0
    assert not await world.app.fetch(
        "select * from router.evidence($1, $2, $3, $4, 10)", tenant, policy, world.space, direction(0)
    )


async def test_a_reader_without_a_grant_on_the_shared_memory_decides_without_it(world: World) -> None:
    base = await shared(world, Taught("p", {world.small: 1.0, world.large: 1.0}, embedding=direction(0)))
    tenant = await leaning(world, base)
    policy = await world.policy(tenant)
    await world.owner.execute("insert into router.reader_grants values ($1::regrole, $2)", READER, tenant)
    reader = await connect(world.dsn, READER)
    try:
        assert (await world.decide(tenant, policy, direction(0), by=reader))[0]["reason"] == "cold"
        await world.owner.execute("insert into router.reader_grants values ($1::regrole, $2)", READER, base)
        assert (await world.decide(tenant, policy, direction(0), by=reader))[0]["reason"] == "learned"
    finally:
        await reader.close()


async def test_a_conversation_stays_with_its_model_though_the_shared_memory_is_gone(world: World) -> None:
    base = await shared(world, Taught("p", {world.small: 1.0, world.large: 1.0}, embedding=direction(0)))
    tenant = await leaning(world, base)
    policy = await world.policy(tenant)
    key = b"0" * 16
    served = {"policy_id": policy, "model_id": world.small, "conversation": key}
    await world.log({"tenant_id": tenant, "decision_id": uuid7(START), **served})
    later: dict[str, Any] = {"conversation": key, "now": START + timedelta(minutes=1)}
    assert (await world.decide(tenant, policy, direction(0), **later))[0]["reason"] == "learned"
    await change(world, base, shared=False)
    (first, _) = await world.decide(tenant, policy, direction(0), continues=True, **later)
    assert (first["reason"], first["model_id"]) == ("sticky", world.small)


async def test_status_names_the_memory_that_routes_and_what_is_missing(world: World) -> None:
    base = await shared(world, *(Taught(f"p{n}", {world.small: 1.0, world.large: 1.0}) for n in range(3)))
    tenant = await leaning(world, base)
    await world.policy(tenant, seed_count=3)
    (row,) = await world.app.fetch("select * from router.status($1, $2)", tenant, world.space)
    assert (row["ready"], row["base"], row["needed"]) == (True, "common", 3)
    assert row["next_step"] == "routed by the shared memory of common; teach 3 more examples of its own"
    assert await world.owner.fetchval("select ready from router.overview where tenant = 'acme'")
    await world.policy(tenant, seed_count=4)
    (row,) = await world.app.fetch("select * from router.status($1, $2)", tenant, world.space)
    assert (row["ready"], row["next_step"]) == (False, "teach 4 more examples")
    assert not await world.owner.fetchval("select ready from router.overview where tenant = 'acme'")


async def test_a_policy_that_gives_the_shared_memory_no_weight_does_not_lean_on_it(world: World) -> None:
    base = await shared(world, *(Taught(f"p{n}", {world.small: 1.0, world.large: 1.0}) for n in range(3)))
    tenant = await leaning(world, base)
    policy = await world.policy(tenant, base_weight=0)
    assert (await world.decide(tenant, policy, direction(0)))[0]["reason"] == "cold"
    (row,) = await world.app.fetch("select * from router.status($1, $2)", tenant, world.space)
    assert (row["ready"], row["base"]) == (False, None)
    assert not await world.owner.fetchval("select ready from router.overview where tenant = 'acme'")
    await world.teach(tenant, Taught("mine", {world.large: 1.0}))
    rows = await world.decide(tenant, policy, direction(0))
    assert {row["model_id"]: row["labels"] for row in rows} == {world.small: 0, world.large: 1}
