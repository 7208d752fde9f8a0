"""Conversations, speeds, answer lengths and token ratios in the ledger."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from tests.support.ledger import CONVERSATION, routed
from tests.support.sql_world import START, World, uuid7


async def conversation(world: World) -> tuple[Any, ...]:
    """Return the only conversation: model, prompt tokens, time of the last request and of expiry."""
    row = await world.owner.fetchrow("select model_id, prompt_tokens, updated_at, expires_at from router.conversations")
    return tuple(row)


async def test_a_conversation_is_with_the_newest_model(world: World) -> None:
    common = {**await routed(world), "conversation": CONVERSATION}
    entries = [
        {**common, "decision_id": uuid7(START + timedelta(minutes=minute)), "model_id": model, "prompt_tokens": minute}
        for minute, model in ((5, world.large), (9, world.small), (7, world.large))
    ]
    newest = (world.small, 9, START + timedelta(minutes=9), START + timedelta(minutes=9, days=1))
    await world.log(*entries)
    assert await conversation(world) == newest
    late = {**common, "decision_id": uuid7(START + timedelta(minutes=8)), "model_id": world.large}
    await world.log(late)
    assert await conversation(world) == newest
    later = {**common, "decision_id": uuid7(START + timedelta(minutes=10)), "model_id": world.large}
    await world.log(later)
    assert (await conversation(world))[0] == world.large


@pytest.mark.parametrize(
    ("entry", "stays"),
    [
        ({"reason": "learned"}, True),
        ({"reason": "sticky"}, True),
        ({"reason": "weighted"}, True),
        ({"reason": "fallback"}, True),
        ({"reason": "cold"}, False),
        ({"reason": "low_support"}, False),
        ({"reason": "default"}, False),
        ({"reason": "memory_unavailable"}, False),
        ({"reason": "off"}, False),
        ({"status": 499}, False),
        ({"status": 500}, False),
        ({"conversation": None}, False),
        ({"policy_id": None}, False),
    ],
    ids=str,
)
async def test_only_a_served_choice_is_a_reason_to_stay(world: World, entry: dict[str, Any], stays: bool) -> None:
    await world.log({**await routed(world), "conversation": CONVERSATION, **entry})
    assert await world.owner.fetchval("select count(*) from router.conversations") == stays


async def test_a_policy_may_have_no_stickiness(world: World) -> None:
    common = await routed(world)
    await world.policy(common["tenant_id"], sticky_seconds=0)
    await world.log({**common, "conversation": CONVERSATION})
    assert await world.owner.fetchval("select count(*) from router.conversations") == 0


# Speeds.


async def test_speeds_are_moving_averages(world: World) -> None:
    common = await routed(world)

    async def measure(*times: float | None, **entry: Any) -> None:
        start = await world.owner.fetchval("select count(*) from router.decisions")
        await world.log(
            *(
                {**common, "decision_id": uuid7(START, start + number), "first_token_ms": time, **entry}
                for number, time in enumerate(times)
            )
        )

    await measure(100.0, 300.0)
    await measure(1200.0)
    await measure(None)
    await measure(9000.0, status=500)
    await measure(50.0, model_id=world.large)
    rows = await world.owner.fetch("select model_id, first_token_ms, samples from router.speeds order by model_id")
    assert [tuple(row) for row in rows] == [(world.small, pytest.approx(400.0), 3), (world.large, 50.0, 1)]


async def speeds(world: World) -> asyncpg.Record:
    return await world.owner.fetchrow("select * from router.speeds where model_id = $1", world.small)


async def test_answer_lengths_are_a_mean_of_what_was_answered(world: World) -> None:
    common = await routed(world)
    lengths: tuple[tuple[int | None, int], ...] = ((100, 200), (300, 200), (None, 200), (9000, 500))
    await world.log(
        *(
            {**common, "decision_id": uuid7(START, number), "completion_tokens": length, "status": status}
            for number, (length, status) in enumerate(lengths)
        )
    )
    await world.log({**common, "decision_id": uuid7(START, 9), "completion_tokens": 500})
    row = await speeds(world)
    assert (row["completion_tokens"], row["completions"], row["first_token_ms"], row["samples"]) == (300.0, 3, None, 0)


async def test_answers_that_grew_longer_are_noticed_after_any_number(world: World) -> None:
    common = await routed(world)
    many = [{**common, "decision_id": uuid7(START, n), "completion_tokens": 100} for n in range(5000)]
    await world.log(*many)
    later = [{**entry, "decision_id": uuid7(START, 9000 + n)} for n, entry in enumerate(many[:300])]
    await world.log(*({**entry, "completion_tokens": 500} for entry in later))
    assert 450 < (await speeds(world))["completion_tokens"] < 500


async def test_the_ratio_of_tokens_approaches_what_providers_report(world: World) -> None:
    common = await routed(world)
    assert (await world.log({**common, "decision_id": uuid7(START, 0), "estimated_tokens": None})) == 1
    assert (await speeds(world))["token_ratio"] is None
    for number in range(1, 60):
        await world.log(
            {**common, "decision_id": uuid7(START, number), "prompt_tokens": 1500, "estimated_tokens": 1000},
        )
    assert (await speeds(world))["token_ratio"] == pytest.approx(1.5, abs=0.03)


async def test_one_odd_request_hardly_moves_the_ratio_of_tokens(world: World) -> None:
    common = await routed(world)
    for number in range(30):
        await world.log({**common, "decision_id": uuid7(START, number), "prompt_tokens": 10, "estimated_tokens": 10})
    await world.log({**common, "decision_id": uuid7(START, 99), "prompt_tokens": 10**6, "estimated_tokens": 10})
    assert 1 < (await speeds(world))["token_ratio"] < 1.25


@pytest.mark.parametrize(("reported", "estimated"), [(None, 10), (0, 10), (10, 0), (10, None)])
async def test_an_unknown_estimate_does_not_change_the_ratio(
    world: World, reported: int | None, estimated: int | None
) -> None:
    common = await routed(world)
    await world.log({**common, "prompt_tokens": reported, "estimated_tokens": estimated})
    assert (await speeds(world))["token_ratio"] is None
