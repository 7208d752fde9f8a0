"""Maintenance graduates and shrinks tenants once, with any number of processes."""

from __future__ import annotations

import asyncio

from app.operations.maintenance import Step, opened
from app.store.database import Database
from tests.support.graduation import graduate, in_transaction, lessons, let_a_minute_pass, partitions, places
from tests.support.maintenance import kept, told
from tests.support.recount import assert_every_sum_is_a_recount
from tests.support.sql_world import Taught, World


async def test_a_tenant_graduates_at_the_threshold_and_shrinks_below_half_of_it(world: World, app: Database) -> None:
    tenant = await world.tenant()
    leaf = f"memories_large_{tenant}_{world.space}"
    taught = await world.teach(tenant, *lessons(19, world))
    assert told(await kept(app)) == []
    await world.teach(tenant, Taught("20th", {world.small: 1.0}))
    assert told(await kept(app)) == [("graduate", "done", 20)]
    assert await places(world, tenant) == {leaf: 20}
    await world.app.fetch("select router.forget($1, $2)", tenant, [memory for memory, _ in taught[:10]])
    assert {step.job.name for step in await kept(app)} <= {"reindex"}
    assert await places(world, tenant) == {leaf: 10}
    await world.app.fetch("select router.forget($1, $2)", tenant, [taught[10][0]])
    assert told(await kept(app)) == [("shrink", "done", 9)]
    assert await kept(app) == []
    await let_a_minute_pass(world)
    assert told(await kept(app)) == [("sweep", "done", 1)]
    assert await places(world, tenant) == {"memories_small": 9}
    assert leaf not in await partitions(world)
    assert await kept(app) == []
    await assert_every_sum_is_a_recount(world)


async def test_the_partition_of_a_deleted_tenant_is_swept(world: World, app: Database) -> None:
    tenant = await world.tenant()
    await world.teach(tenant, *lessons(3, world))
    await graduate(world, tenant)
    await world.owner.execute("select router.delete_tenant($1)", tenant)
    assert told(await kept(app)) == [("sweep", "done", 1)]
    assert f"memories_large_{tenant}" not in await partitions(world)


async def test_a_second_process_leaves_a_job_to_the_first(world: World, app: Database) -> None:
    one, two = await world.tenant("one"), await world.tenant("two")
    for each in (one, two):
        await world.teach(each, *lessons(25, world))
    async with in_transaction(world) as busy:
        await busy.fetch("select router.graduate($1)", one)
        assert told(await kept(app)) == [("graduate", "busy", 0)] * 2
    assert told(await kept(app)) == [("graduate", "done", 25)]


async def test_many_rounds_at_once_do_everything_once(world: World) -> None:
    tenants = [await world.tenant(f"t{i}") for i in range(4)]
    for tenant in tenants:
        await world.teach(tenant, *lessons(25, world))

    async def turn() -> list[Step]:
        async with opened(world.dsn) as db:
            return await kept(db)

    rounds = await asyncio.wait_for(asyncio.gather(*(turn() for _ in range(4))), 60)
    done = [step.job.tenant_id for steps in rounds for step in steps if (step.outcome, step.count) == ("done", 25)]
    assert len(done) == len(set(done)) >= 1
    async with opened(world.dsn) as db:
        await kept(db)
    for tenant in tenants:
        assert await places(world, tenant) == {f"memories_large_{tenant}_{world.space}": 25}
