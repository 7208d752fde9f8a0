"""Promises of graduation: a tenant moves between the tiers while it is read and taught, and nobody notices."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from math import pi
from typing import Any

import asyncpg
import pytest

from tests.sql.test_memory import assert_every_sum_is_a_recount, prompts
from tests.support.sql_world import START, Taught, World, connect, direction

Work = Callable[[asyncpg.Connection], Awaitable[None]]


def lessons(count: int, world: World, lead: str = "") -> list[Taught]:
    """Lessons whose embeddings point in so many directions."""
    return [
        Taught(f"{lead}{i}", {world.small: (i % 3) / 2, world.large: 1.0}, direction(pi * i / count), task=f"t{i % 3}")
        for i in range(count)
    ]


async def graduate(world: World, tenant: int, space: int | None = None) -> int:
    """As the proxy does it; how many memories moved."""
    moved: int = await world.app.fetchval("select router.graduate($1, $2)", tenant, space)
    return moved


async def shrink(world: World, tenant: int, space: int | None = None) -> int:
    """As the proxy does it; how many memories moved."""
    moved: int = await world.app.fetchval("select router.shrink($1, $2)", tenant, space)
    return moved


async def let_a_minute_pass(world: World) -> None:
    """As if every move was that long ago."""
    await world.owner.execute("update router.memory_counts set moved_at = moved_at - interval '1 minute'")


async def sweep(world: World, tenant: int, space: int | None = None) -> bool:
    """Drop an empty partition that was left long enough ago."""
    await let_a_minute_pass(world)
    gone: bool = await world.app.fetchval("select router.sweep($1, $2)", tenant, space or world.space)
    return gone


async def places(world: World, tenant: int) -> dict[str, int]:
    """The tables that hold memories of the tenant, and how many."""
    rows = await world.owner.fetch(
        "select tableoid::regclass::text as name, count(*) as held from router.memories where tenant_id = $1"
        " group by 1 order by 1",
        tenant,
    )
    return {row["name"].removeprefix("router."): row["held"] for row in rows}


async def partitions(world: World) -> set[str]:
    """Every partition below memories_large."""
    rows = await world.owner.fetch(
        "select relid::regclass::text as name from pg_partition_tree('router.memories_large') where level > 0"
    )
    return {row["name"].removeprefix("router.") for row in rows}


async def similar(world: World, tenant: int, by: asyncpg.Connection | None = None) -> list[int]:
    """The numbers of the memories nearest to a direction, as the decision reads them."""
    connection = by or world.app
    async with connection.transaction():
        await connection.execute(f"select router_internal._enter({tenant})")
        rows = await connection.fetch(
            "select memory_id from router.neighbours($1, $2, $3, 10)", tenant, world.space, direction(0.5)
        )
    return [row["memory_id"] for row in rows]


# One after the other.


async def test_a_graduated_tenant_has_a_partition_of_its_own(world: World) -> None:
    tenant, other = await world.tenant(), await world.tenant("other")
    for each in (tenant, other):
        await world.teach(each, *lessons(30, world))
    assert await graduate(world, tenant) == 30
    assert await places(world, tenant) == {f"memories_large_{tenant}_{world.space}": 30}
    assert await places(world, other) == {"memories_small": 30}
    await assert_every_sum_is_a_recount(world)


async def test_its_partition_has_the_vector_index_and_nothing_on_the_tenant(world: World) -> None:
    tenant = await world.tenant()
    await world.teach(tenant, *lessons(5, world))
    await graduate(world, tenant)
    leaf = f"memories_large_{tenant}_{world.space}"
    rows = await world.owner.fetch(
        "select regexp_replace(indexdef, '.* USING ', '') as key from pg_indexes where tablename = $1 order by 1", leaf
    )
    assert [row["key"] for row in rows] == [
        "btree (created_at, memory_id)", "btree (memory_id)",
        "hnsw (embedding halfvec_cosine_ops) WITH (ef_construction='128')",
    ]  # fmt: skip
    storage = await world.owner.fetchval(
        "select attstorage from pg_attribute where attrelid = ('router.' || $1)::regclass and attname = 'embedding'",
        leaf,
    )
    assert storage == b"p"


async def test_there_and_back_changes_nothing_that_is_read(world: World) -> None:
    tenant = await world.tenant()
    policy = await world.policy(tenant, k=10)
    await world.teach(tenant, *lessons(40, world), at=START)
    before = await world.app.fetch("select * from router.recall($1)", tenant)
    near = await similar(world, tenant)
    decided = await world.decide(tenant, policy, direction(0.5), task="t1")
    for move in (graduate, shrink, graduate):
        assert await move(world, tenant) == 40
        assert await world.app.fetch("select * from router.recall($1)", tenant) == before
        assert await similar(world, tenant) == near
        again = await world.decide(tenant, policy, direction(0.5), task="t1")
        assert [tuple(row)[:2] for row in again] == [tuple(row)[:2] for row in decided]
        await assert_every_sum_is_a_recount(world)


async def test_in_psql_a_graduated_tenant_has_as_many_neighbours(world: World) -> None:
    tenant = await world.tenant()
    await world.teach(tenant, *lessons(300, world))
    await graduate(world, tenant)
    psql = await connect(world.dsn, None, **{"hnsw.ef_search": "40", "hnsw.iterative_scan": "off"})
    try:
        async with psql.transaction():
            await psql.execute("select router_internal._enter($1)", tenant)
            found = await psql.fetchval(
                "select count(*) from router.neighbours($1, $2, $3, 100)", tenant, world.space, direction(0)
            )
    finally:
        await psql.close()
    assert found == 100


async def test_moving_what_is_there_already_does_nothing(world: World) -> None:
    tenant = await world.tenant()
    assert await graduate(world, tenant) == 0
    await world.teach(tenant, *lessons(3, world))
    assert await shrink(world, tenant) == 0
    assert await graduate(world, tenant) == 3
    assert await graduate(world, tenant) == 0
    assert await graduate(world, tenant, world.space) == 0
    assert await shrink(world, tenant, 9999) == 0


async def test_each_space_is_moved_by_itself(world: World) -> None:
    tenant = await world.tenant()
    other = await world.owner.fetchval("select router.register_space('other', 64)")
    await world.teach(tenant, *lessons(20, world))
    await world.teach(tenant, *lessons(10, world), space=other)
    assert await graduate(world, tenant) == 20
    assert await places(world, tenant) == {"memories_small": 10, f"memories_large_{tenant}_{world.space}": 20}
    assert await graduate(world, tenant, other) == 10
    assert await shrink(world, tenant, world.space) == 20
    assert await places(world, tenant) == {"memories_small": 20, f"memories_large_{tenant}_{other}": 10}
    await assert_every_sum_is_a_recount(world)


async def test_an_unknown_tenant_is_an_error_with_its_own_code(world: World) -> None:
    for move in (graduate, shrink):
        with pytest.raises(asyncpg.PostgresError) as caught:
            await move(world, 12345)
        assert caught.value.sqlstate == "RT001"


async def test_one_move_at_a_time(world: World) -> None:
    one, two = await world.tenant("one"), await world.tenant("two")
    for each in (one, two):
        await world.teach(each, *lessons(3, world))
    async with in_transaction(world) as busy:
        await busy.fetch("select router.graduate($1)", one)
        with pytest.raises(asyncpg.PostgresError) as caught:
            await graduate(world, two)
        assert caught.value.sqlstate == "RT006"
    assert await graduate(world, two) == 3


async def test_a_graduated_tenant_is_taught_overwritten_and_forgotten(world: World) -> None:
    tenant = await world.tenant()
    taught = await world.teach(tenant, *lessons(10, world))
    await graduate(world, tenant)
    assert await world.teach(tenant, Taught("3", {world.small: 0.25}, direction(2))) == [(taught[3][0], False)]
    await world.teach(tenant, *lessons(5, world, "new "))
    assert await world.app.fetchval("select router.forget($1, $2)", tenant, [taught[0][0], taught[1][0]]) == 2
    assert await places(world, tenant) == {f"memories_large_{tenant}_{world.space}": 13}
    await assert_every_sum_is_a_recount(world)
    assert await world.app.fetchval("select router.forget($1, null, true)", tenant) == 13
    assert await prompts(world, tenant) == []
    await assert_every_sum_is_a_recount(world)


async def test_the_oldest_of_a_graduated_tenant_are_forgotten_past_its_cap(world: World) -> None:
    tenant = await world.tenant(memory_cap=50)
    for day in range(5):
        await world.teach(tenant, *lessons(10, world, f"{day} "), at=START.replace(day=day + 1))
    await graduate(world, tenant)
    for day in range(5, 8):
        for lesson in lessons(10, world, f"{day} "):
            await world.teach(tenant, lesson, at=START.replace(day=day + 1))
            assert sum((await places(world, tenant)).values()) <= 51
    kept = await prompts(world, tenant)
    assert {prompt.split()[0] for prompt in kept} >= {"4", "5", "6", "7"}
    assert not [prompt for prompt in kept if prompt.startswith(("0", "1"))]
    await assert_every_sum_is_a_recount(world)


async def test_what_is_replaced_is_counted_until_the_index_is_built_anew(world: World) -> None:
    tenant = await world.tenant()
    churn = f"select churn from router.memory_counts where tenant_id = {tenant}"
    await world.teach(tenant, *lessons(10, world))
    await world.teach(tenant, *lessons(10, world))
    await graduate(world, tenant)
    assert await world.owner.fetchval(churn) == 0
    await world.teach(tenant, *lessons(4, world))
    await world.app.fetch(
        "select router.forget($1, (select array_agg(memory_id) from router.recall($1, null, 0, 2)))", tenant
    )
    assert await world.owner.fetchval(churn) == 6
    settle = "select router.settle_churn($1, $2, $3)"
    assert await world.owner.fetchval(settle, tenant, world.space, 6)
    assert not await world.owner.fetchval(settle, tenant, world.space, 6)
    assert await world.owner.fetchval(settle, tenant, world.space, -6)
    assert await world.owner.fetchval(churn) == 6


# The partition that is left.


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


async def test_a_partition_is_left_for_those_who_began_to_read_before_the_shrink(world: World) -> None:
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
    # As no function of ours leaves it.
    await world.owner.execute("update router.memory_counts set tier = 0 where tenant_id = $1", tenant)
    assert not await sweep(world, tenant)
    assert await places(world, tenant) == {f"memories_large_{tenant}_{world.space}": 3}


# While it is read and taught.


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


async def test_a_lesson_that_waited_for_the_move_is_kept(world: World) -> None:
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
            # Nobody waits for it.
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
async def test_nobody_notices_a_move_under_load(world: World) -> None:
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


@asynccontextmanager
async def in_transaction(world: World) -> AsyncIterator[Any]:
    """A connection like the owner's with a transaction open; committed at the end."""
    connection = await connect(world.dsn, None)
    try:
        async with connection.transaction():
            yield connection
    finally:
        await connection.close()
