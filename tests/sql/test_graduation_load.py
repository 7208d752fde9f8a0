"""A tenant moves between the tiers while it is read and taught."""

from __future__ import annotations

import asyncio
import itertools

import asyncpg
import pytest

from scripts.support.connection import connect
from tests.support.graduation import Work, graduate, in_transaction, lessons, let_a_minute_pass, places, similar
from tests.support.recount import assert_every_sum_is_a_recount, prompts
from tests.support.sql_world import Taught, World, direction


async def test_readers_wait_for_no_move(world: World) -> None:
    tenant = await world.tenant()
    await world.teach(tenant, *lessons(20, world))
    near = await similar(world, tenant)
    async with in_transaction(world) as busy:
        await busy.fetch("select router.shrink($1)", tenant)
        assert await asyncio.wait_for(similar(world, tenant), 5) == near
    await graduate(world, tenant)
    async with in_transaction(world) as busy:
        await busy.fetch("select router.shrink($1)", tenant)
        assert await asyncio.wait_for(similar(world, tenant), 5) == near


async def test_an_example_that_waited_for_the_move_is_kept(world: World) -> None:
    tenant, other = await world.tenant(), await world.tenant("other")
    await world.teach(tenant, *lessons(20, world))
    for move, target in (("graduate", f"memories_large_{tenant}_{world.space}"), ("shrink", "memories_small")):
        async with in_transaction(world) as busy:
            await busy.execute(f"select router_internal._enter({tenant}), router_internal._lock_memory({tenant})")
            waiting = asyncio.create_task(world.teach(tenant, Taught(f"late for {move}", {world.small: 1.0})))
            await asyncio.sleep(0.1)
            assert not waiting.done()
            async with in_transaction(world) as free:
                await world.teach(other, Taught(move, {world.small: 1.0}), by=free)
            await busy.fetch(f"select router.{move}($1)", tenant)
        ((_, created),) = await asyncio.wait_for(waiting, 10)
        assert created
        assert set(await places(world, tenant)) == {target}
    assert len(await prompts(world, tenant)) == 22
    await assert_every_sum_is_a_recount(world)


async def test_what_is_taught_and_forgotten_while_the_partition_is_built_is_kept(world: World) -> None:
    for count, new in ((40, 3), (10, 20)):
        tenant = await world.tenant(f"of {count}")
        taught = await world.teach(tenant, *lessons(count, world))
        late = [Taught("1", {world.small: 0.125}), *lessons(new, world, "late ")]
        async with in_transaction(world) as building:
            await building.execute(f"select router_internal._enter({tenant})")
            await building.fetch("select router_internal._build_partition($1, $2)", tenant, world.space)
            # No call waits for the move.
            await asyncio.wait_for(world.teach(tenant, *late), 5)
            assert await world.app.fetchval("select router.forget($1, $2)", tenant, [taught[2][0]]) == 1
            before = await world.app.fetch("select * from router.recall($1)", tenant)
            await building.fetch("select router_internal._catch_up($1, $2)", tenant, world.space)
            await building.execute("delete from router.memories_small where tenant_id = $1", tenant)
            await building.fetch("update router.memory_counts set tier = 1 where tenant_id = $1", tenant)
            await building.fetch("select router_internal._attach_partition($1, $2)", tenant, world.space)
        assert await world.app.fetch("select * from router.recall($1)", tenant) == before
        assert await places(world, tenant) == {f"memories_large_{tenant}_{world.space}": count + new - 1}
        assert len(await similar(world, tenant)) == 10
        await assert_every_sum_is_a_recount(world)


@pytest.mark.slow
async def test_a_move_under_load_delays_and_changes_no_call(world: World) -> None:
    tenant, other = await world.tenant(memory_cap=100_000), await world.tenant("other")
    policies = {each: await world.policy(each, k=10) for each in (tenant, other)}
    fixed = 600
    for start in range(0, fixed, 200):
        await world.teach(tenant, *lessons(fixed, world)[start : start + 200])
    await world.teach(other, *lessons(100, world))
    done = asyncio.Event()
    numbers = itertools.count()
    seen: list[tuple[int, int]] = []
    reasons: set[tuple[str, int]] = set()
    taught: list[int] = []
    forgotten: list[int] = []

    async def read(connection: asyncpg.Connection) -> None:
        rows = await connection.fetch(
            "select count(*) filter (where prompt not like 'w%'), count(distinct memory_id) - count(*)"
            " from router.recall($1, null, 0, 100000)",
            tenant,
        )
        seen.append(tuple(rows[0]))
        for each, policy in policies.items():
            assert len(await similar(world, each, connection)) == 10
            (first, _) = await world.decide(each, policy, direction(0.5), by=connection)
            reasons.add((first["reason"], first["labels"]))

    async def write(connection: asyncpg.Connection) -> None:
        turn = next(numbers)
        new = [Taught(f"w{turn} {i}", {world.small: i / 3, world.large: 1.0}, direction(turn + i)) for i in range(3)]
        held = await world.teach(tenant, *new, by=connection)
        taught.extend(memory for memory, _ in held)
        await connection.fetch("select router.forget($1, $2)", tenant, [held[0][0]])
        forgotten.append(held[0][0])
        await world.teach(other, Taught(f"{turn}", {world.small: 1.0, world.large: 1.0}, direction(1)), by=connection)

    async def until_done(work: Work) -> int:
        connection = await connect(world.dsn)
        turns = 0
        try:
            while not done.is_set():
                await work(connection)
                turns += 1
        finally:
            await connection.close()
        return turns

    crew = [asyncio.create_task(until_done(work)) for work in (read, read, read, write, write)]
    mover = await connect(world.dsn)
    try:
        async with asyncio.timeout(40):
            for _ in range(4):
                assert await mover.fetchval("select router.graduate($1)", tenant) >= fixed
                await asyncio.sleep(0.3)
                assert await mover.fetchval("select router.shrink($1)", tenant) >= fixed
                await asyncio.sleep(0.3)
                await let_a_minute_pass(world)
                for _ in range(50):
                    try:
                        await mover.fetchval("select router.sweep($1, $2)", tenant, world.space)
                        break
                    except asyncpg.LockNotAvailableError:
                        await asyncio.sleep(0.05)
    finally:
        done.set()
        turns = await asyncio.gather(*crew)
        await mover.close()
    assert all(turn > 3 for turn in turns)
    assert set(seen) == {(fixed, 0)}
    assert reasons == {("learned", 10)}
    left = {
        row["memory_id"] for row in await world.app.fetch("select * from router.recall($1, null, 0, 100000)", tenant)
    }
    assert set(taught) - set(forgotten) <= left
    assert len(left) == fixed + len(taught) - len(forgotten)
    await assert_every_sum_is_a_recount(world)
