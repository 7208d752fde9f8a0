"""Sums and priors, as a property: they equal a recount after any calls in any order."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scripts.support.connection import connect
from tests.support.graduation import let_a_minute_pass
from tests.support.random_examples import random_lessons
from tests.support.randomness import examples
from tests.support.recount import assert_every_sum_is_a_recount
from tests.support.sql_world import Taught, World, direction

TENANTS = SPACES = (0, 1)
Move = tuple[Any, ...]

tenants, spaces = st.sampled_from(TENANTS), st.sampled_from(SPACES)
shares = st.floats(0, 1, width=32)
lessons = st.builds(
    lambda prompt, quality, tokens, task, source, size, angle: (prompt, quality, tokens, task, source, size, angle),
    st.integers(0, 25),
    st.dictionaries(st.sampled_from((1, 2)), shares, min_size=1, max_size=2),
    st.dictionaries(st.sampled_from((1, 2)), st.integers(0, 5000).map(float), max_size=2),
    st.sampled_from((None, "a", "b")),
    st.sampled_from(("human", "judge")),
    st.integers(0, 1000),
    st.floats(0, 3),
)
moves = st.one_of(
    st.tuples(st.just("teach"), tenants, spaces, st.lists(lessons, min_size=1, max_size=15)),
    st.tuples(st.just("teach"), tenants, spaces, st.lists(lessons, min_size=1, max_size=15)),
    st.tuples(st.just("forget"), tenants, st.integers(2, 5)),
    st.tuples(st.just("forget all"), tenants),
    st.tuples(st.just("delete by hand"), st.integers(2, 5)),
    st.tuples(st.just("cap"), tenants, st.integers(1, 40)),
    st.tuples(st.just("graduate"), tenants, st.one_of(st.none(), spaces)),
    st.tuples(st.just("graduate"), tenants, st.one_of(st.none(), spaces)),
    st.tuples(st.just("shrink"), tenants, st.one_of(st.none(), spaces)),
    st.tuples(st.just("sweep"), tenants, spaces),
)


async def inhabited(world: World) -> tuple[list[int], list[int]]:
    """The numbers of two tenants and of two spaces, in an empty world."""
    await world.reset()
    other = await world.owner.fetchval("select router.register_space('other', 64)")
    return [await world.tenant(f"t{i}", memory_cap=1000) for i in TENANTS], [world.space, other]


async def taught(world: World, tenant: int) -> list[tuple[Any, ...]]:
    """Return everything in the tenant's memory."""
    return [tuple(row) for row in await world.app.fetch("select * from router.recall($1, null, 0, 100000)", tenant)]


async def assert_each_row_is_where_its_tier_says(world: World) -> None:
    wrong = await world.owner.fetchval(
        "select count(*) from router.memories as m left join router.memory_counts as c using (tenant_id, space_id)"
        " where c.tier is distinct from m.tier"
    )
    assert wrong == 0


async def make(world: World, numbers: list[int], spaces: list[int], move: Move, caps: dict[int, int]) -> None:
    """Make one random call, and check its own postconditions."""
    match move:
        case ("teach", tenant, space, given):
            batch = [
                Taught(f"{prompt}", scores, direction(angle), tokens, task, source, size)
                for prompt, scores, tokens, task, source, size, angle in given
            ]
            await world.teach(numbers[tenant], *batch, space=spaces[space])
            cap = caps.get(tenant, 1000)
            assert len(await taught(world, numbers[tenant])) <= cap + math.ceil(cap * 0.02)
        case ("forget", tenant, share):
            some = [row[0] for row in await taught(world, numbers[tenant]) if row[0] % share == 0]
            # A prompt taught in both spaces counts once.
            prompts = await world.owner.fetchval(
                "select count(distinct (prompt_hash, source)) from router.memory_texts where memory_id = any($1)", some
            )
            assert await world.app.fetchval("select router.forget($1, $2)", numbers[tenant], some) == prompts
        case ("forget all", tenant):
            await world.app.fetch("select router.forget($1, null, true)", numbers[tenant])
            assert await taught(world, numbers[tenant]) == []
        case ("delete by hand", share):
            await world.owner.execute("delete from router.memories where memory_id % $1 = 0", share)
        case ("cap", tenant, cap):
            caps[tenant] = cap
            await world.owner.fetch("select router.change_tenant($1, $2)", numbers[tenant], cap)
        case ("graduate" | "shrink" as name, tenant, space):
            before = await taught(world, numbers[tenant])
            chosen = None if space is None else spaces[space]
            await world.app.fetch(f"select router.{name}($1, $2)", numbers[tenant], chosen)
            assert await taught(world, numbers[tenant]) == before
        case ("sweep", tenant, space):
            await let_a_minute_pass(world)
            await world.app.fetch("select router.sweep($1, $2)", numbers[tenant], spaces[space])
    await assert_every_sum_is_a_recount(world)
    await assert_each_row_is_where_its_tier_says(world)


@pytest.mark.slow
@settings(max_examples=examples(60), suppress_health_check=list(HealthCheck))
@given(st.lists(moves, min_size=4, max_size=20))
async def test_every_sum_is_a_recount_after_anything_in_any_order(shared_world: World, order: list[Move]) -> None:
    numbers, spaces = await inhabited(shared_world)
    caps: dict[int, int] = {}
    for move in order:
        await make(shared_world, numbers, spaces, move, caps)


@pytest.mark.slow
async def test_every_sum_is_a_recount_after_all_of_it_at_once(shared_world: World) -> None:
    world = shared_world
    numbers, spaces = await inhabited(world)
    await world.owner.execute("update router.tenants set memory_cap = 60")
    moved = 0

    async def meddle(seed: int) -> None:
        nonlocal moved
        dice = random.Random(seed)
        connection = await connect(world.dsn)
        try:
            for _ in range(30):
                tenant, space = dice.choice(numbers), dice.choice(spaces)
                match dice.choice(["teach", "teach", "teach", "forget", "graduate", "shrink", "sweep"]):
                    case "teach":
                        batch = random_lessons(dice, [world.small, world.large], 100)
                        await world.teach(tenant, *batch, space=space, by=connection)
                    case "forget":
                        rows = await connection.fetch("select memory_id from router.recall($1)", tenant)
                        some = [row[0] for row in rows if dice.random() < 0.2]
                        await connection.fetch("select router.forget($1, $2)", tenant, some)
                    case "sweep":
                        async with connection.transaction():
                            await connection.execute(f"select router_internal._enter({tenant})")
                            await connection.execute(
                                "update router.memory_counts set moved_at = null where space_id = $1", space
                            )
                        with contextlib.suppress(asyncpg.LockNotAvailableError):
                            await connection.fetch("select router.sweep($1, $2)", tenant, space)
                    case move:
                        try:
                            moved += await connection.fetchval(f"select router.{move}($1, $2)", tenant, space)
                        except asyncpg.PostgresError as error:
                            if error.sqlstate != "RT006":
                                raise
        finally:
            await connection.close()

    async with asyncio.timeout(60):
        await asyncio.gather(*(meddle(seed) for seed in range(5)))
    assert moved > 0
    assert await world.owner.fetchval("select max(memories) from router.memory_counts") > 0
    for tenant in numbers:
        assert len(await taught(world, tenant)) <= 62
    await assert_every_sum_is_a_recount(world)
    await assert_each_row_is_where_its_tier_says(world)
