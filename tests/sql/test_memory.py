"""Promises of the memory: what is taught, overwritten, forgotten, evicted, and that every sum stays a recount."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from tests.sql.test_isolation import inhabit
from tests.support.sql_world import START, Taught, World, connect, direction, vector

RECOUNT = """
    select tenant_id, space_id, count(*) as memories, sum(prompt_tokens) as prompt_tokens
    from router.memories group by tenant_id, space_id order by 1, 2
"""
COUNTS = """
    select tenant_id, space_id, memories, prompt_tokens from router.memory_counts
    where memories > 0 or prompt_tokens <> 0 order by 1, 2
"""
RECOUNT_PRIORS = """
    select m.tenant_id, m.space_id, t.task_id, l.model_id::smallint, count(l.quality) as labels,
        coalesce(sum(l.quality::float8), 0) as quality_sum, count(l.tokens) as completions,
        coalesce(sum(l.tokens::float8), 0) as completion_sum
    from router.memories as m
    cross join lateral (values (0::smallint), (m.task_id)) as t (task_id)
    cross join lateral unnest(m.quality, m.completion_tokens) with ordinality as l (quality, tokens, model_id)
    where t.task_id is not null and (l.quality is not null or l.tokens is not null)
    group by 1, 2, 3, 4 order by 1, 2, 3, 4
"""
PRIORS = """
    select tenant_id, space_id, task_id, model_id, labels, quality_sum, completions, completion_sum
    from router.priors where labels > 0 or completions > 0 order by 1, 2, 3, 4
"""


async def assert_every_sum_is_a_recount(world: World) -> None:
    counts, recount = await world.owner.fetch(COUNTS), await world.owner.fetch(RECOUNT)
    assert [tuple(row) for row in counts] == [tuple(row) for row in recount]
    priors, again = await world.owner.fetch(PRIORS), await world.owner.fetch(RECOUNT_PRIORS)
    assert [tuple(row)[:4] for row in priors] == [tuple(row)[:4] for row in again]
    for row, other in zip(priors, again, strict=True):
        assert tuple(row)[4:] == pytest.approx(tuple(other)[4:], abs=1e-9)
    emptied = await world.owner.fetch(
        "select quality_sum, completion_sum from router.priors where labels = 0 and completions = 0"
    )
    assert all(abs(value) < 1e-6 for row in emptied for value in row)
    loose = await world.owner.fetchval(
        "select count(*) from router.memories as m"
        " full join router.memory_texts as x using (tenant_id, memory_id, space_id)"
        " where m.created_at is null or x.prompt_hash is null"
    )
    assert loose == 0


async def prompts(world: World, tenant: int) -> list[str]:
    """What the tenant's memory holds, by number."""
    return [row["prompt"] for row in await world.app.fetch("select * from router.recall($1)", tenant)]


async def test_what_is_taught_is_remembered(world: World) -> None:
    tenant = await world.tenant()
    lesson = Taught("two and two", {world.large: 0.5}, direction(1), {world.large: 12}, "sums", "judge", 7)
    ((memory, created),) = await world.teach(tenant, lesson, at=START)
    assert created
    (row,) = await world.app.fetch("select * from router.recall($1)", tenant)
    assert dict(row) == {
        "memory_id": memory, "space": "space", "source": "judge", "task": "sums", "prompt": "two and two",
        "models": ["large"], "scores": [0.5], "completion_tokens": [12.0], "taught_at": START,
    }  # fmt: skip
    await assert_every_sum_is_a_recount(world)


async def test_teaching_again_by_the_same_source_overwrites(world: World) -> None:
    tenant = await world.tenant()
    lesson = Taught("p", {world.small: 0.0}, task="a", source="human")
    ((memory, _),) = await world.teach(tenant, lesson, at=START)
    again = replace(lesson, scores={world.large: 1.0}, task="b", embedding=direction(1))
    assert await world.teach(tenant, again, at=START + timedelta(days=1)) == [(memory, False)]
    (row,) = await world.app.fetch("select * from router.recall($1)", tenant)
    assert (row["models"], row["scores"], row["task"]) == (["large"], [1.0], "b")
    assert row["taught_at"] == START + timedelta(days=1)
    await assert_every_sum_is_a_recount(world)


async def test_another_source_is_another_memory(world: World) -> None:
    tenant = await world.tenant()
    sources = ("human", "judge", "import", "feedback")
    for source in sources:
        ((_, created),) = await world.teach(tenant, Taught("p", {world.small: 0.0}, source=source))
        assert created
    rows = await world.app.fetch("select * from router.recall($1)", tenant)
    assert [row["source"] for row in rows] == list(sources)


async def test_another_tenant_and_another_space_are_other_memories(world: World) -> None:
    one, two = await world.tenant("one"), await world.tenant("two")
    other = await world.owner.fetchval("select router.register_space('other', 64)")
    lesson = Taught("p", {world.small: 0.0})
    taught = [
        await world.teach(one, lesson),
        await world.teach(two, lesson),
        await world.teach(one, lesson, space=other),
    ]
    assert all(created for ((_, created),) in taught)
    await assert_every_sum_is_a_recount(world)


async def test_the_last_of_duplicates_in_a_batch_wins(world: World) -> None:
    tenant = await world.tenant()
    lessons = [Taught("p", {world.small: score}) for score in (0.1, 0.2, 0.7)]
    taught = await world.teach(tenant, lessons[0], Taught("q", {world.small: 0.0}), *lessons[1:])
    assert len({memory for memory, _ in taught}) == 2
    assert taught[0] == taught[2] == taught[3]
    rows = await world.app.fetch("select * from router.recall($1)", tenant)
    assert {row["prompt"]: row["scores"] for row in rows} == {"p": [pytest.approx(0.7)], "q": [0.0]}
    await assert_every_sum_is_a_recount(world)


async def test_no_text_is_stored_where_the_tenant_wants_none(world: World) -> None:
    tenant = await world.tenant(store_prompts=False)
    await world.teach(tenant, Taught("secret", {world.small: 1.0}))
    assert await prompts(world, tenant) == [None]
    ((_, created),) = await world.teach(tenant, Taught("secret", {world.small: 0.0}))
    assert not created


async def test_a_tenant_that_stops_storing_prompts_loses_the_text_it_teaches_again(world: World) -> None:
    tenant = await world.tenant()
    await world.teach(tenant, Taught("secret", {world.small: 1.0}))
    await world.owner.execute("update router.tenants set store_prompts = false")
    await world.teach(tenant, Taught("secret", {world.small: 1.0}))
    assert await prompts(world, tenant) == [None]


async def test_memories_are_found_by_their_text(world: World) -> None:
    tenant = await world.tenant()
    texts = ["100% sure", "100 sure", "a_b", "acb", "back\\slash", "Übung"]
    await world.teach(tenant, *(Taught(text, {world.small: 1.0}) for text in texts))

    async def found(search: str) -> list[str]:
        return [row["prompt"] for row in await world.app.fetch("select * from router.recall($1, $2)", tenant, search)]

    assert await found("0%") == ["100% sure"]
    assert await found("A_B") == ["a_b"]
    assert await found("k\\s") == ["back\\slash"]
    assert len(await found("sure")) == 2


async def test_memories_are_listed_in_pages(world: World) -> None:
    tenant = await world.tenant()
    await world.teach(tenant, *(Taught(f"{i}", {world.small: 1.0}) for i in range(7)))
    seen: list[str] = []
    after = 0
    while rows := await world.app.fetch("select * from router.recall($1, null, $2, 3)", tenant, after):
        seen += [row["prompt"] for row in rows]
        after = rows[-1]["memory_id"]
    assert seen == [f"{i}" for i in range(7)]


# Refused, and then nothing of the batch is kept.


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"embedding": vector([1.0], 64)}, id="narrow embedding"),
        pytest.param({"embedding": vector([0.0])}, id="embedding without direction"),
        pytest.param({"scores": {1: 1.5}}, id="score over 1"),
        pytest.param({"scores": {1: -0.1}}, id="score under 0"),
        pytest.param({"scores": {1: math.nan}}, id="score NaN"),
        pytest.param({"tokens": {1: -1.0}}, id="tokens under 0"),
        pytest.param({"tokens": {1: math.inf}}, id="tokens infinite"),
        pytest.param({"tokens": {1: math.nan}}, id="tokens NaN"),
        pytest.param({"prompt_tokens": -1}, id="prompt tokens under 0"),
        pytest.param({"source": "rumour"}, id="source"),
        pytest.param({"task": ""}, id="empty task"),
        pytest.param({"task": "x" * 101}, id="long task"),
    ],
)
async def test_a_batch_with_a_wrong_example_leaves_nothing(world: World, wrong: dict[str, Any]) -> None:
    tenant = await world.tenant()
    good = [Taught(f"{i}", {world.small: 1.0}, task="fine") for i in range(3)]
    with pytest.raises((asyncpg.DataError, asyncpg.IntegrityConstraintViolationError)):
        await world.teach(tenant, *good, replace(good[0], prompt="wrong", **wrong))
    for table in ("memories", "memory_texts", "memory_counts", "priors", "tasks"):
        assert await world.owner.fetchval(f"select count(*) from router.{table}") == 0, table


async def test_an_unknown_tenant_is_an_error_with_its_own_code(world: World) -> None:
    with pytest.raises(asyncpg.PostgresError) as caught:
        await world.teach(12345, Taught("p", {world.small: 1.0}))
    assert caught.value.sqlstate == "RT001"


async def test_a_tenant_has_a_thousand_task_tags_and_no_more(world: World) -> None:
    tenant = await world.tenant()
    await world.teach(tenant, *(Taught(f"{i}", {world.small: 1.0}, task=f"task {i}") for i in range(1000)))
    with pytest.raises(asyncpg.PostgresError) as caught:
        await world.teach(tenant, Taught("one more", {world.small: 1.0}, task="task 1000"))
    assert (caught.value.sqlstate, caught.value.column_name) == ("RT005", "task")
    await world.teach(tenant, Taught("known tag", {world.small: 1.0}, task="task 7"))
    assert await world.owner.fetchval("select count(*) from router.tasks") == 1000


# Forgetting.


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


# Sums.


def random_lessons(dice: random.Random, models: Sequence[int], prompts: int) -> list[Taught]:
    """A batch of 1 to 12 lessons over few prompts, so that many overwrite."""
    return [
        Taught(
            f"{dice.randrange(prompts)}",
            {model: dice.random() for model in models if dice.random() < 0.6},
            direction(dice.random()),
            {model: float(dice.randint(0, 500)) for model in models if dice.random() < 0.4},
            dice.choice([None, "a", "b", "c"]),
            dice.choice(["human", "judge"]),
            dice.randint(0, 100),
        )
        for _ in range(dice.randint(1, 12))
    ]


@pytest.mark.parametrize("seed", range(4))
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


# Tenants that go.


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
    assert len(tables) == 19
    for table in tables:
        assert await world.owner.fetchval(f"select count(*) from {table} where tenant_id = $1", tenant) > 0, table
    assert await world.owner.fetchval("select router.delete_tenant($1)", tenant)
    for table in tables:
        assert await world.owner.fetchval(f"select count(*) from {table} where tenant_id = $1", tenant) == 0, table
        assert await world.owner.fetchval(f"select count(*) from {table} where tenant_id = $1", other) > 0, table
    assert not await world.owner.fetchval("select router.delete_tenant($1)", tenant)


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
