"""Empty partitions are swept, and only those."""

from __future__ import annotations

import asyncio
import contextlib

import asyncpg
import pytest

from scripts.support.connection import connect
from tests.support.graduation import (
    graduate,
    in_transaction,
    lessons,
    let_a_minute_pass,
    partitions,
    places,
    shrink,
    similar,
    sweep,
)
from tests.support.recount import assert_every_sum_is_a_recount
from tests.support.sql_world import World, direction


async def test_an_empty_partition_is_swept(world: World) -> None:
    tenant = await world.tenant()
    other = await world.owner.fetchval("select router.register_space('other', 64)")
    for space in (world.space, other):
        await world.teach(tenant, *lessons(3, world), space=space)
        await graduate(world, tenant, space)
    assert not await sweep(world, tenant)
    await shrink(world, tenant, world.space)
    assert await sweep(world, tenant)
    assert not await sweep(world, tenant)
    mine = {name for name in await partitions(world) if name.startswith(f"memories_large_{tenant}")}
    assert mine == {f"memories_large_{tenant}", f"memories_large_{tenant}_{other}"}
    await shrink(world, tenant, other)
    assert await sweep(world, tenant, other)
    assert not {name for name in await partitions(world) if name.startswith(f"memories_large_{tenant}")}


async def test_a_partition_stays_for_readers_that_began_before_the_shrink(world: World) -> None:
    tenant = await world.tenant()
    await world.teach(tenant, *lessons(20, world))
    await graduate(world, tenant)
    reader = await connect(world.dsn, None)
    try:
        async with reader.transaction(isolation="repeatable_read"):
            assert await reader.fetchval("select count(*) from router.tenants") > 0
            await shrink(world, tenant)
            assert not await world.app.fetchval("select router.sweep($1, $2)", tenant, world.space)
            await reader.execute(f"select router_internal._enter({tenant})")
            near = "select count(*) from router.neighbours($1, $2, $3, 10)"
            assert await reader.fetchval(near, tenant, world.space, direction(0.5)) == 10
    finally:
        await reader.close()
    assert await sweep(world, tenant)


async def test_a_partition_that_is_read_is_left_for_later(world: World) -> None:
    tenant = await world.tenant()
    await world.teach(tenant, *lessons(3, world))
    await graduate(world, tenant)
    await shrink(world, tenant)
    async with in_transaction(world) as busy:
        await busy.fetch("select * from router.recall($1)", tenant)
        with pytest.raises(asyncpg.LockNotAvailableError):
            await sweep(world, tenant)
    assert await sweep(world, tenant)


async def test_a_tenant_graduates_again_into_the_partition_it_left(world: World) -> None:
    tenant = await world.tenant()
    await world.teach(tenant, *lessons(10, world))
    for move in (graduate, shrink, graduate):
        assert await move(world, tenant) == 10
    assert await places(world, tenant) == {f"memories_large_{tenant}_{world.space}": 10}
    assert len(await similar(world, tenant)) == 10
    await assert_every_sum_is_a_recount(world)


async def test_a_graduated_tenant_can_be_deleted_and_swept(world: World) -> None:
    tenant, other = await world.tenant(), await world.tenant("other")
    for each in (tenant, other):
        await world.teach(each, *lessons(10, world))
        await graduate(world, each)
    await world.teach(
        tenant, *lessons(3, world), space=await world.owner.fetchval("select router.register_space('o', 9)")
    )
    assert await world.owner.fetchval("select router.delete_tenant($1)", tenant)
    assert await places(world, tenant) == {}
    for table in ("memory_texts", "memory_counts", "priors"):
        assert await world.owner.fetchval(f"select count(*) from router.{table} where tenant_id = $1", tenant) == 0
    assert len(await similar(world, other)) == 10
    assert await sweep(world, tenant)
    assert not {name for name in await partitions(world) if name.startswith(f"memories_large_{tenant}")}
    await assert_every_sum_is_a_recount(world)


async def test_a_partition_with_memories_is_never_swept(world: World) -> None:
    tenant = await world.tenant()
    await world.teach(tenant, *lessons(3, world))
    await graduate(world, tenant)
    # A state that no function of the schema creates.
    await world.owner.execute("update router.memory_counts set tier = 0 where tenant_id = $1", tenant)
    assert not await sweep(world, tenant)
    assert await places(world, tenant) == {f"memories_large_{tenant}_{world.space}": 3}


async def test_a_sweep_locks_no_table_that_other_tenants_use_before_it_drops(world: World) -> None:
    """A graduation of another tenant strengthens its lock on that table: two that do so are a deadlock."""
    tenant = await world.tenant()
    await world.teach(tenant, *lessons(3, world))
    await graduate(world, tenant)
    # A state that no function of the schema creates: the sweep looks into the partition, and keeps it.
    await world.owner.execute("update router.memory_counts set tier = 0 where tenant_id = $1", tenant)
    await let_a_minute_pass(world)
    async with in_transaction(world) as sweeping:
        assert not await sweeping.fetchval("select router.sweep($1, $2)", tenant, world.space)
        rows = await sweeping.fetch(
            "select relation::regclass::text as name from pg_locks"
            " where pid = pg_backend_pid() and locktype = 'relation'"
        )
        locked = {row["name"].removeprefix("router.") for row in rows}
    assert f"memories_large_{tenant}_{world.space}" in locked
    assert not locked & {"memories", "memories_large", f"memories_large_{tenant}"}


@pytest.mark.slow
async def test_a_sweep_beside_graduations_of_another_tenant_ends_or_is_left_for_later(world: World) -> None:
    swept, graduated = await world.tenant(), await world.tenant("other")
    for tenant in (swept, graduated):
        await world.teach(tenant, *lessons(5, world))
    connection = await connect(world.dsn)

    async def leave(tenant: int, by: asyncpg.Connection) -> None:
        await by.fetch("select router.graduate($1)", tenant)
        await by.fetch("select router.shrink($1)", tenant)
        await let_a_minute_pass(world)

    async def sweep_it(tenant: int, by: asyncpg.Connection) -> None:
        while True:
            with contextlib.suppress(asyncpg.LockNotAvailableError):
                assert await by.fetchval("select router.sweep($1, $2)", tenant, world.space)
                return

    try:
        for _ in range(20):
            await leave(swept, world.app)
            await asyncio.gather(sweep_it(swept, world.app), connection.fetch("select router.graduate($1)", graduated))
            await connection.fetch("select router.shrink($1)", graduated)
            await let_a_minute_pass(world)
            await sweep_it(graduated, connection)
    finally:
        await connection.close()
