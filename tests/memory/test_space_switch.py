"""The switch from one space to another: its conditions, and the memories it may lose."""

from __future__ import annotations

import asyncio
import random

import asyncpg
import pytest

from app.memory.embedders import setting_of
from scripts.support.connection import connect
from tests.support.recount import assert_every_sum_is_a_recount
from tests.support.spaces import REMOTE, REMOTE_SPACE, STATIC_SPACE, Spaces


async def test_a_space_that_was_never_chosen_is_written_down_when_another_is_built(two: Spaces) -> None:
    await two.teach("a", space=two.new)
    await two.teach("b", "c")
    assert await two.build() == two.old
    row = await two.world.owner.fetchrow("select space_id, next_space_id from router.tenants")
    assert tuple(row) == (two.old, two.new)


async def test_a_tenant_without_memories_is_in_the_new_space_at_once(two: Spaces) -> None:
    assert await two.build() == two.new
    row = await two.world.owner.fetchrow("select space_id, next_space_id from router.tenants")
    assert tuple(row) == (two.new, None)


async def test_the_switch_waits_for_what_is_outdated(two: Spaces) -> None:
    await two.teach("a", "b")
    await two.build()
    await two.copy((await two.outdated())[:1])
    assert await two.switch() == (1, 0)
    assert await two.world.owner.fetchval("select space_id from router.tenants") == two.old
    await two.copy()
    assert await two.switch() == (0, 0)
    assert await two.world.owner.fetchval("select space_id from router.tenants") == two.new


async def test_no_more_is_lost_than_was_agreed_to(two: Spaces) -> None:
    unfit, _, other = await two.teach("a", "b", "c")
    await two.world.owner.execute("update router.memory_texts set prompt = null where prompt = 'b'")
    await two.build()
    await two.copy([other])
    assert await two.switch() == (1, 1)
    assert await two.switch(1) == (1, 1)
    assert await two.switch(1, (unfit,)) == (0, 2)
    assert await two.world.owner.fetchval("select space_id from router.tenants") == two.old
    assert await two.switch(2, (unfit,)) == (0, 2)
    assert await two.world.owner.fetchval("select space_id from router.tenants") == two.new


async def test_teaching_for_a_space_that_does_not_serve_is_refused(two: Spaces) -> None:
    await two.teach("a")
    await two.build()
    await two.copy()
    for serving, other in ((two.old, two.new), (two.new, two.old)):
        with pytest.raises(asyncpg.PostgresError) as caught:
            await two.teach("b", space=other)
        assert caught.value.sqlstate == "RT007"
        await two.teach("c", space=serving, at=1)
        await two.copy() if serving == two.old else None
        await two.switch() if serving == two.old else None


async def test_a_third_space_is_refused_until_the_second_is_given_up(two: Spaces) -> None:
    third = await two.world.owner.fetchval("select router.register_space('third', 384)")
    await two.teach("a")
    await two.build()
    await two.copy()
    with pytest.raises(asyncpg.PostgresError, match="is being rewritten for other already") as caught:
        await two.call("build_space", third)
    assert caught.value.sqlstate == "RT007"
    for space in (two.old, two.new):
        with pytest.raises(asyncpg.PostgresError, match="is in use"):
            await two.drop(space)
    await two.call("build_space", None)
    with pytest.raises(asyncpg.PostgresError, match="is not being rewritten"):
        await two.switch()
    with pytest.raises(asyncpg.PostgresError, match="is not being rewritten"):
        await two.copy()
    assert await two.drop(two.new) == 1
    assert await two.call("build_space", third) == two.old


async def test_status_is_of_the_space_that_serves(two: Spaces) -> None:
    await two.world.policy(two.tenant)
    await two.teach("a", "b")
    await two.build()
    await two.copy((await two.outdated())[:1])
    columns = ("space", "memories", "building", "built", "other_spaces")
    for asked in (two.old, two.new):
        (row,) = await two.world.app.fetch("select * from router.status($1, $2)", two.tenant, asked)
        assert tuple(row[column] for column in columns) == ("space", 2, "other", 1, 0)
    await two.copy()
    await two.switch()
    (row,) = await two.world.app.fetch("select * from router.status($1, $2)", two.tenant, two.old)
    assert tuple(row[column] for column in columns) == ("other", 2, None, 0, 2)


async def test_nothing_taught_or_forgotten_during_a_move_is_lost(two: Spaces) -> None:
    """Teach and forget while another connection copies and switches; acknowledged calls are exactly the result."""
    pick = random.Random(7)
    await two.teach(*(f"p{number}" for number in range(60)))
    expected: dict[str, float | None] = {f"p{number}": 1.0 for number in range(60)}
    done = asyncio.Event()
    serving = two.old

    async def write(worker: int) -> None:
        nonlocal serving
        connection = await connect(two.world.dsn)
        try:
            minute = 1
            while not done.is_set():
                # Time for a switch, which three writers without a pause might never leave.
                await asyncio.sleep(pick.random() * 0.02)
                # Each writer has separate prompts, so that the order of its calls is known.
                prompt = f"p{worker + 3 * pick.randrange(25)}"
                minute += 1
                if pick.random() < 0.3:
                    found = await connection.fetch("select * from router.recall($1, $2)", two.tenant, prompt)
                    ids = [row["memory_id"] for row in found if row["prompt"] == prompt]
                    await connection.fetchval("select router.forget($1, $2)", two.tenant, ids)
                    expected[prompt] = None
                    continue
                score = pick.choice((0.0, 0.25, 0.5))
                try:
                    await two.teach(prompt, at=minute, score=score, by=connection, space=serving)
                except asyncpg.PostgresError as error:
                    if error.sqlstate != "RT007":
                        raise
                    serving = two.new
                    continue
                expected[prompt] = score
        finally:
            await connection.close()

    writers = [asyncio.create_task(write(worker)) for worker in range(3)]
    try:
        await two.build()
        for _ in range(1000):
            outdated = await two.outdated()
            await asyncio.sleep(0.01)  # The time of embedding.
            await two.copy(outdated)
            if await two.switch() == (0, 0):
                break
        else:
            raise AssertionError("it was never switched")
        await asyncio.sleep(0.3)
        await two.drop(two.old)
    finally:
        done.set()
        await asyncio.gather(*writers)
    assert serving == two.new
    rows = await two.world.app.fetch("select prompt, space, models, scores from router.recall($1)", two.tenant)
    assert {row["space"] for row in rows} == {"other"}
    found = {row["prompt"]: dict(zip(row["models"], row["scores"], strict=True))["small"] for row in rows}
    assert found == {prompt: score for prompt, score in expected.items() if score is not None}
    await assert_every_sum_is_a_recount(two.world)


@pytest.mark.parametrize(
    ("space", "setting"),
    [
        (STATIC_SPACE, "static"),
        ("minilm-l6-v2-int8-384", "minilm"),
        (REMOTE_SPACE, REMOTE),
        ("openai:a@b@256", "openai:a@b"),
        (REMOTE, None),
        ("onnx-0123456789ab-384", None),
        ("static", None),
    ],
)
def test_the_name_of_a_space_names_its_embedder(space: str, setting: str | None) -> None:
    assert setting_of(space) == setting
