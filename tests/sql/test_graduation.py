"""Graduation: a tenant moves between the tiers without a change in what is read."""

from __future__ import annotations

import asyncpg
import pytest

from scripts.support.connection import connect
from tests.support.graduation import graduate, in_transaction, lessons, places, shrink, similar
from tests.support.recount import assert_every_sum_is_a_recount, prompts
from tests.support.sql_world import START, Taught, World, direction


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
