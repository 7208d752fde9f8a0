"""The ledger: entries are written once, unchanged, on their day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from app.accounting.ledger import decision_id
from tests.support.ledger import CONVERSATION, routed
from tests.support.sql_world import START, World, uuid7


async def snapshot(world: World) -> list[list[tuple[Any, ...]]]:
    """Return everything that log_decisions writes."""
    return [
        [tuple(row) for row in await world.owner.fetch(f"select * from router.{table} order by 1, 2, 3")]
        for table in ("decisions", "conversations", "speeds")
    ]


async def test_an_entry_is_written_as_it_was(world: World) -> None:
    common = await routed(world)
    entry = {
        **common, "task": "sums", "candidates": [world.small, world.large], "quality": [0.5, None],
        "score": [0.25, None], "cost_usd": [0.125, 0.5], "confidence": 0.75, "attempts": 2, "streamed": True,
        "first_token_ms": 12.5, "status": 499, "reason": "fallback", "prior": [0.5, None], "confidences": [0.75, 0],
        "prompt_estimate": [9.5, 10], "completion_estimate": [20, 30], "input_price": [1, 10], "output_price": [2, 20],
        "cached_estimate": [4, 0], "cached_price": [0.5, 1], "penalty": [0, 0.125], "alpha": 0.25, "unit_usd": 2,
        "api": "responses", "usage_estimated": True, "usage_unexplained": "total", "tried": [world.large, world.small],
        "tried_why": ["chosen", "fallback"], "tried_outcome": ["503", "499"], "tried_ms": [7.5, 12.5],
    }  # fmt: skip
    assert await world.log(entry) == 1
    (row,) = await world.app.fetch("select * from router.decision($1, $2)", entry["tenant_id"], entry["decision_id"])
    assert dict(row) == {
        "decision_id": entry["decision_id"], "decided_at": START, "policy": "auto", "requested": "auto", "task": "sums",
        "reason": "fallback", "model": "small", "confidence": 0.75, "candidates": ["small", "large"],
        "quality": [0.5, None], "cost_usd": [0.125, 0.5], "score": [0.25, None], "attempts": 2, "status": 499,
        "streamed": True, "prompt_tokens": 1000, "cached_tokens": None, "completion_tokens": 100,
        "spent_usd": pytest.approx(0.0012), "default_usd": pytest.approx(0.012), "overhead_ms": 1.0,
        "first_token_ms": 12.5, "duration_ms": 50.0, "estimated_tokens": None, "reasoning_tokens": None,
        "why": "a better ranked model failed: small answered",
        "prior": [0.5, None], "confidences": [0.75, 0], "prompt_estimate": [9.5, 10], "completion_estimate": [20, 30],
        "input_price": [1, 10], "output_price": [2, 20], "cached_estimate": [4, 0], "cached_price": [0.5, 1],
        "penalty": [0, 0.125], "alpha": 0.25, "unit_usd": 2, "api": "responses", "usage_estimated": True,
        "usage_unexplained": "total", "tried": ["large", "small"],
        "tried_why": ["chosen", "fallback"], "tried_outcome": ["503", "499"],
        "tried_ms": [7.5, 12.5],
    }  # fmt: skip


async def test_writing_again_changes_nothing(world: World) -> None:
    common = await routed(world)
    batch = [
        {**common, "decision_id": uuid7(START, number), "conversation": CONVERSATION, "first_token_ms": 10.0 * number}
        for number in range(1, 4)
    ]
    assert await world.log(*batch) == 3
    before = await snapshot(world)
    assert all(before)
    assert await world.log(*batch) == 0
    assert await snapshot(world) == before
    assert await world.log(batch[0], {**batch[0], "decision_id": uuid7(START, 9)}) == 1


async def test_an_entry_twice_in_a_batch_is_written_once(world: World) -> None:
    common = await routed(world)
    assert await world.log(common, common) == 1


# Tenants and days.


async def test_one_batch_holds_entries_of_several_tenants(world: World) -> None:
    one, two = await routed(world, "one"), await routed(world, "two")
    gone = {**one, "tenant_id": 4711, "decision_id": uuid7(START, 3)}
    assert await world.log(one, gone, {**two, "decision_id": uuid7(START, 2)}) == 2
    rows = await world.owner.fetch("select tenant_id from router.decisions order by 1")
    assert [row["tenant_id"] for row in rows] == [one["tenant_id"], two["tenant_id"]]


async def test_an_entry_of_a_tenant_deleted_since_is_ignored(world: World) -> None:
    common = await routed(world)
    await world.owner.fetch("select router.delete_tenant($1)", common["tenant_id"])
    assert await world.log({**common, "conversation": CONVERSATION, "first_token_ms": 1.0}) == 0
    assert await snapshot(world) == [[], [], []]


async def test_an_entry_of_a_policy_deleted_since_is_kept(world: World) -> None:
    common = await routed(world)
    await world.owner.fetch("select router.delete_policy($1, 'auto')", common["tenant_id"])
    assert await world.log({**common, "conversation": CONVERSATION}) == 1


async def test_days_are_opened_as_they_come(world: World) -> None:
    common = await routed(world)
    midnight = datetime(2026, 7, 1, tzinfo=UTC)
    times = [midnight - timedelta(milliseconds=1), midnight, midnight + timedelta(days=40)]
    entries = [{**common, "decision_id": uuid7(time, number)} for number, time in enumerate(times)]
    # The proxy's role creates the partitions although it may not create tables.
    assert await world.log(*entries) == 3
    rows = await world.owner.fetch("select tableoid::regclass::text as day from router.decisions order by decided_at")
    assert [row["day"] for row in rows] == [f"router.decisions_{day}" for day in ("20260630", "20260701", "20260810")]
    assert await world.log({**common, "decision_id": uuid7(midnight, 77)}) == 1


async def test_a_day_is_utc_wherever_the_server_is(world: World) -> None:
    await world.owner.execute("set timezone to 'Pacific/Auckland'")
    entry = {**await routed(world), "decision_id": uuid7(datetime(2026, 7, 1, 23, 30, tzinfo=UTC))}
    assert await world.log(entry, by=world.owner) == 1
    assert await world.owner.fetchval("select to_regclass('router.decisions_20260701') is not null")
    assert await world.log({**entry, "decision_id": uuid7(datetime(2026, 7, 1, 0, 30, tzinfo=UTC))}) == 1


async def test_no_request_scans_other_days_for_a_decision(world: World) -> None:
    common = await routed(world)
    await world.log(*({**common, "decision_id": uuid7(START + timedelta(days=day))} for day in range(5)))
    plan = await world.owner.fetch(
        "explain (analyze, costs off, timing off) select * from router.decisions where decision_id = $1"
        " and decided_at = uuid_extract_timestamp($1)",
        uuid7(START),
    )
    scans = [row[0] for row in plan if "decisions_" in row[0] and "never executed" not in row[0]]
    assert len(scans) == 1
    assert "Index Scan using decisions_20260301_pkey" in scans[0]


async def test_the_proxys_decision_ids_carry_their_time(world: World) -> None:
    common = await routed(world)
    await world.log({**common, "decision_id": decision_id()})
    age = await world.owner.fetchval("select now() - decided_at from router.decisions")
    assert abs(age) < timedelta(minutes=1)


async def test_another_tenants_decision_is_no_row(world: World) -> None:
    one, two = await routed(world, "one"), await routed(world, "two")
    await world.log(one)
    question = "select count(*) from router.decision($1, $2)"
    assert await world.app.fetchval(question, one["tenant_id"], one["decision_id"]) == 1
    assert await world.app.fetchval(question, two["tenant_id"], one["decision_id"]) == 0
    assert await world.app.fetchval(question, one["tenant_id"], uuid7(START, 99)) == 0


async def test_an_unknown_reason_is_refused(world: World) -> None:
    with pytest.raises(asyncpg.InvalidTextRepresentationError):
        await world.log({**await routed(world), "reason": "a whim"})
