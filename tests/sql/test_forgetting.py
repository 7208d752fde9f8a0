"""Memories are forgotten, evicted beyond the cap, and deleted with their tenant."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.support.recount import assert_every_sum_is_a_recount, prompts
from tests.support.sql_world import START, Taught, World
from tests.support.tenancy import inhabit


async def test_one_memory_is_forgotten(world: World) -> None:
    tenant = await world.tenant()
    taught = await world.teach(tenant, *(Taught(f"{i}", {world.small: i / 4}) for i in range(4)))
    assert await world.app.fetchval("select router.forget($1, $2)", tenant, [taught[1][0], 10**12]) == 1
    assert await prompts(world, tenant) == ["0", "2", "3"]
    await assert_every_sum_is_a_recount(world)


async def test_all_memories_are_forgotten(world: World) -> None:
    tenant, other = await world.tenant(), await world.tenant("other")
    for owner in (tenant, other):
        await world.teach(owner, *(Taught(f"{i}", {world.small: i / 4}, task="t") for i in range(4)))
    assert await world.app.fetchval("select router.forget($1, null, true)", tenant) == 4
    assert await prompts(world, tenant) == []
    assert len(await prompts(world, other)) == 4
    await assert_every_sum_is_a_recount(world)


async def test_a_query_that_finds_nothing_forgets_nothing(world: World) -> None:
    tenant = await world.tenant()
    await world.teach(tenant, Taught("kept", {world.small: 1}))
    nothing = "(select array_agg(memory_id) from router.memories where false)"
    assert await world.app.fetchval(f"select router.forget($1, {nothing})", tenant) == 0
    assert await prompts(world, tenant) == ["kept"]


async def test_another_tenants_memory_cannot_be_forgotten(world: World) -> None:
    tenant, other = await world.tenant(), await world.tenant("other")
    ((memory, _),) = await world.teach(other, Taught("p", {world.small: 1.0}))
    assert await world.app.fetchval("select router.forget($1, $2)", tenant, [memory]) == 0
    assert await prompts(world, other) == ["p"]


async def test_what_was_deleted_by_hand_can_be_taught_again(world: World) -> None:
    tenant = await world.tenant()
    await world.teach(tenant, Taught("p", {world.small: 1.0}))
    await world.owner.execute("delete from router.memories")
    ((_, created),) = await world.teach(tenant, Taught("p", {world.small: 1.0}))
    assert created
    await assert_every_sum_is_a_recount(world)


# The cap.


async def test_the_oldest_are_forgotten_past_the_cap(world: World) -> None:
    tenant = await world.tenant(memory_cap=10)
    for day in range(14):
        await world.teach(tenant, Taught(f"{day}", {world.small: 1.0}), at=START + timedelta(days=day))
        assert len(await prompts(world, tenant)) <= 11
    assert (await prompts(world, tenant))[-1] == "13"
    assert "0" not in await prompts(world, tenant)
    await assert_every_sum_is_a_recount(world)


async def test_a_memory_taught_again_is_young_again(world: World) -> None:
    tenant = await world.tenant(memory_cap=3)
    for day, prompt in enumerate(["old", "x", "y", "old", "z", "w"]):
        await world.teach(tenant, Taught(prompt, {world.small: 1.0}), at=START + timedelta(days=day))
    kept = set(await prompts(world, tenant))
    assert "old" in kept
    assert "x" not in kept


@pytest.mark.parametrize("older", [True, False])
async def test_stale_spaces_are_forgotten_first(world: World, older: bool) -> None:
    tenant = await world.tenant(memory_cap=10)
    other = await world.owner.fetchval("select router.register_space('other', 64)")
    stale, used = (world.space, other) if older else (other, world.space)
    await world.teach(tenant, *(Taught(f"used {i}", {world.small: 1.0}) for i in range(5)), space=used, at=START)
    later = START + timedelta(days=1)
    await world.teach(tenant, *(Taught(f"stale {i}", {world.small: 1.0}) for i in range(5)), space=stale, at=later)
    await world.teach(tenant, *(Taught(f"more {i}", {world.small: 1.0}) for i in range(4)), space=used, at=later)
    kept = await prompts(world, tenant)
    assert sorted(kept) == sorted([*(f"used {i}" for i in range(5)), *(f"more {i}" for i in range(4)), "stale 4"])


async def test_a_batch_larger_than_the_cap_ends_at_the_cap(world: World) -> None:
    tenant = await world.tenant(memory_cap=20)
    taught = await world.teach(tenant, *(Taught(f"{i}", {world.small: 1.0}) for i in range(500)))
    assert len(taught) == 500
    assert len(await prompts(world, tenant)) == 20
    await assert_every_sum_is_a_recount(world)


# Deleted tenants.


async def test_a_deleted_tenant_leaves_nothing(world: World) -> None:
    tenant, other = await inhabit(world, "acme"), await inhabit(world, "other")
    for owner in (tenant, other):
        await world.owner.execute("insert into router.reader_grants values ('router_reader', $1)", owner)
    tables = [
        row[0]
        for row in await world.owner.fetch(
            "select c.oid::regclass::text from pg_class as c join pg_attribute as a on a.attrelid = c.oid"
            " where c.relnamespace = 'router'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition"
            " and a.attname = 'tenant_id' order by 1"
        )
    ]
    assert len(tables) == 22
    for table in tables:
        assert await world.owner.fetchval(f"select count(*) from {table} where tenant_id = $1", tenant) > 0, table
    assert await world.owner.fetchval("select router.delete_tenant($1)", tenant)
    for table in tables:
        assert await world.owner.fetchval(f"select count(*) from {table} where tenant_id = $1", tenant) == 0, table
        assert await world.owner.fetchval(f"select count(*) from {table} where tenant_id = $1", other) > 0, table
    assert not await world.owner.fetchval("select router.delete_tenant($1)", tenant)
