"""Copies of memories in a new space: equal except for the embedding, listed once, forgotten with their original."""

from __future__ import annotations

from tests.support.recount import assert_every_sum_is_a_recount
from tests.support.spaces import Spaces
from tests.support.sql_world import START, Taught, direction


async def test_a_copy_differs_in_its_embedding_alone(two: Spaces) -> None:
    world = two.world
    lesson = Taught("p", {world.small: 0.25}, direction(0), {world.small: 7}, "tag", "judge", 12)
    await world.teach(two.tenant, lesson, at=START)
    await two.build()
    assert await two.copy() == 1
    columns = """
        m.created_at, m.tier, m.task_id, m.prompt_tokens, m.quality, m.completion_tokens, x.prompt_hash, x.source,
        x.prompt, x.key_id, x.first_taught_at
    """
    rows = await world.owner.fetch(
        f"select m.space_id, m.embedding, {columns} from router.memories as m"
        " join router.memory_texts as x using (tenant_id, memory_id, space_id) order by m.memory_id"
    )
    assert [row["space_id"] for row in rows] == [two.old, two.new]
    assert [row["embedding"] for row in rows] == [direction(0), direction(1)]
    assert tuple(rows[0])[2:] == tuple(rows[1])[2:]
    await assert_every_sum_is_a_recount(world)


async def test_memories_are_listed_once_while_they_are_copied_and_after_the_switch(two: Spaces) -> None:
    await two.teach("a", "b")
    for step in (two.build, two.copy, two.switch):
        await step()
        rows = await two.world.app.fetch("select prompt, space from router.recall($1)", two.tenant)
        assert [row["prompt"] for row in rows] == ["a", "b"]
    assert {row["space"] for row in rows} == {"other"}


async def test_an_export_has_every_memory_once_at_each_step_of_a_move(two: Spaces) -> None:
    await two.teach("a", "b")
    for step in (two.build, two.copy, two.switch):
        await step()
        rows = await two.world.owner.fetch("select prompt from router.export($1)", two.tenant)
        assert [row["prompt"] for row in rows] == ["a", "b"]


async def test_a_copy_is_taken_again_when_its_prompt_was_taught_again(two: Spaces) -> None:
    first, _ = await two.teach("a", "b")
    await two.build()
    assert await two.copy() == 2
    assert await two.outdated() == []
    await two.teach("a", at=1, score=0.0)
    assert await two.outdated() == [first]
    assert await two.switch() == (1, 0)
    assert await two.copy() == 1
    quality = await two.world.owner.fetchval(
        "select m.quality[$2] from router.memories as m join router.memory_texts as x using (tenant_id, memory_id)"
        " where m.space_id = $1 and x.prompt = 'a'", two.new, two.world.small,
    )  # fmt: skip
    assert quality == 0.0
    assert await two.count(two.new) == 2
    assert await two.switch() == (0, 0)
    await assert_every_sum_is_a_recount(two.world)


async def test_what_the_new_space_was_taught_later_is_not_overwritten(two: Spaces) -> None:
    await two.teach("a", space=two.new, at=5, score=0.5)
    old = await two.teach("a", "b", at=1)
    await two.build()
    assert await two.outdated() == old[1:]
    assert await two.copy(old) == 1
    assert await two.count(two.new) == 2


# Forgetting.


async def test_what_is_forgotten_between_reading_and_copying_stays_forgotten(two: Spaces) -> None:
    memories = await two.teach("a", "b")
    await two.build()
    outdated = await two.outdated()
    await two.world.app.fetchval("select router.forget($1, $2)", two.tenant, memories[:1])
    assert await two.copy(outdated) == 1
    assert await two.prompts(two.new) == ["b"]


async def test_forgetting_a_memory_forgets_its_copy(two: Spaces) -> None:
    memories = await two.teach("a", "b")
    await two.build()
    await two.copy()
    assert await two.world.app.fetchval("select router.forget($1, $2)", two.tenant, memories[:1]) == 1
    assert await two.prompts(two.old) == await two.prompts(two.new) == ["b"]
    await two.switch()
    (copy,) = [row[0] for row in await two.world.app.fetch("select memory_id from router.recall($1)", two.tenant)]
    assert await two.world.app.fetchval("select router.forget($1, $2)", two.tenant, [copy]) == 1
    assert await two.count(two.old) == await two.count(two.new) == 0
    await assert_every_sum_is_a_recount(two.world)


async def test_forgetting_everything_counts_no_copies(two: Spaces) -> None:
    await two.teach("a", "b")
    await two.build()
    await two.copy()
    assert await two.world.app.fetchval("select router.forget($1, null, true)", two.tenant) == 2
    assert await two.count(two.old) == await two.count(two.new) == 0
