"""The memory: teaching, overwriting, storing and refusing examples."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from tests.support.recount import assert_every_sum_is_a_recount, prompts
from tests.support.sql_world import START, Taught, World, direction, vector


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


async def test_the_last_of_duplicates_in_a_batch_wins_and_is_the_one_that_is_new(world: World) -> None:
    tenant = await world.tenant()
    lessons = [Taught("p", {world.small: score}) for score in (0.1, 0.2, 0.7)]
    taught = await world.teach(tenant, lessons[0], Taught("q", {world.small: 0.0}), *lessons[1:])
    assert len({memory for memory, _ in taught}) == 2
    memory = taught[0][0]
    assert [taught[0], *taught[2:]] == [(memory, False), (memory, False), (memory, True)]
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


# A refused batch is not stored at all.


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
