"""Every sum that the memory keeps equals a recount, with concurrent writers."""

from __future__ import annotations

import asyncio
import math
import random

import pytest

from scripts.support.connection import connect
from tests.support.random_examples import random_lessons
from tests.support.randomness import seeds
from tests.support.recount import assert_every_sum_is_a_recount, prompts
from tests.support.sql_world import Taught, World


@pytest.mark.property
@pytest.mark.parametrize("seed", seeds(4))
async def test_every_sum_is_a_recount_after_any_changes(world: World, seed: int) -> None:
    dice = random.Random(seed)
    tenants = [await world.tenant(f"t{number}", memory_cap=dice.choice([10, 60, 5000])) for number in range(2)]
    spaces = [world.space, await world.owner.fetchval("select router.register_space('other', 64)")]
    for _ in range(40):
        tenant, space = dice.choice(tenants), dice.choice(spaces)
        match dice.choice(["teach", "teach", "teach", "forget", "delete", "update", "forget all"]):
            case "teach":
                await world.teach(tenant, *random_lessons(dice, [world.small, world.large], 40), space=space)
            case "forget":
                held = await world.owner.fetch("select memory_id from router.memories")
                some = [row["memory_id"] for row in held if dice.random() < 0.2]
                await world.app.fetch("select router.forget($1, $2)", tenant, some)
            case "delete":
                await world.owner.execute("delete from router.memories where memory_id % 7 = $1", dice.randrange(7))
            case "update":
                await world.owner.execute(
                    "update router.memories set quality = '{0.25}', task_id = null where memory_id % 5 = $1",
                    dice.randrange(5),
                )
            case "forget all" if dice.random() < 0.3:
                await world.app.fetch("select router.forget($1, null, true)", tenant)
        await assert_every_sum_is_a_recount(world)


async def test_writers_at_once_keep_the_sums_and_the_bound(world: World) -> None:
    cap = 60
    bound = cap + math.ceil(cap * 0.02)
    tenant = await world.tenant(memory_cap=cap)
    done = asyncio.Event()
    seen: list[int] = []

    async def write(seed: int) -> None:
        dice = random.Random(seed)
        connection = await connect(world.dsn)
        try:
            for turn in range(15):
                await world.teach(tenant, *random_lessons(dice, [world.small, world.large], 400), by=connection)
                if turn % 5 == 4:
                    held = await world.teach(tenant, *random_lessons(dice, [world.small], 400), by=connection)
                    await connection.fetch("select router.forget($1, $2)", tenant, [held[0][0]])
        finally:
            await connection.close()

    async def watch() -> None:
        while not done.is_set():
            seen.append(await world.owner.fetchval("select count(*) from router.memories"))
            await asyncio.sleep(0)

    watcher = asyncio.create_task(watch())
    async with asyncio.timeout(30):
        await asyncio.gather(*(write(seed) for seed in range(4)))
    done.set()
    await watcher
    assert cap <= max(seen) <= bound
    await assert_every_sum_is_a_recount(world)


async def test_a_prompt_taught_while_storing_is_forbidden_is_not_stored(world: World) -> None:
    tenant = await world.tenant()
    await world.teach(tenant, Taught("before", {world.small: 1.0}))
    admin = await connect(world.dsn, None)
    try:
        async with admin.transaction():
            await admin.fetch("select router.change_tenant($1, null, false)", tenant)
            waiting = asyncio.create_task(world.teach(tenant, Taught("meanwhile", {world.small: 1.0})))
            await asyncio.sleep(0.1)
            assert not waiting.done()
        await asyncio.wait_for(waiting, 10)
    finally:
        await admin.close()
    found = await world.owner.fetch("select prompt from router.memory_texts where tenant_id = $1", tenant)
    assert [row["prompt"] for row in found] == [None, None]


async def test_the_first_to_teach_a_tenant_in_two_spaces_at_once_take_turns(world: World) -> None:
    other = await world.owner.fetchval("select router.register_space('other', 64)")
    connections = [await connect(world.dsn) for _ in range(4)]
    try:
        for turn in range(10):
            tenant = await world.tenant(f"t{turn}", memory_cap=10)
            await asyncio.gather(
                *(
                    world.teach(
                        tenant,
                        *(Taught(f"{i} {n}", {world.small: 1.0}, task=f"{i} {n}") for n in range(10)),
                        space=(world.space, other)[i % 2],
                        by=connection,
                    )
                    for i, connection in enumerate(connections)
                )
            )
            assert len(await prompts(world, tenant)) == 10
    finally:
        for connection in connections:
            await connection.close()
    await assert_every_sum_is_a_recount(world)
