"""Promises of the ledger: what is written down, what it costs, and what people read of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from app.ledger import decision_id
from tests.sql_world import START, Lesson, World, direction, uuid7

CONVERSATION = b"0123456789abcdef"


async def routed(world: World, name: str = "acme") -> dict[str, Any]:
    """What the entries of a new tenant with a policy have in common."""
    tenant = await world.tenant(name)
    return {"tenant_id": tenant, "policy_id": await world.policy(tenant), "decision_id": uuid7(START)}


async def snapshot(world: World) -> list[list[tuple[Any, ...]]]:
    """All that log_decisions writes."""
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
    }  # fmt: skip
    assert await world.log(entry) == 1
    (row,) = await world.app.fetch("select * from router.decision($1, $2)", entry["tenant_id"], entry["decision_id"])
    assert dict(row) == {
        "decision_id": entry["decision_id"], "decided_at": START, "policy": "auto", "requested": "auto", "task": "sums",
        "reason": "fallback", "model": "small", "confidence": 0.75, "candidates": ["small", "large"],
        "quality": [0.5, None], "cost_usd": [0.125, 0.5], "score": [0.25, None], "attempts": 2, "status": 499,
        "streamed": True, "prompt_tokens": 1000, "cached_tokens": None, "completion_tokens": 100,
        "spent_usd": pytest.approx(0.0012), "default_usd": pytest.approx(0.012), "overhead_ms": 1.0,
        "first_token_ms": 12.5, "duration_ms": 50.0, "why": "a better ranked model failed: small answered",
        "prior": [0.5, None], "confidences": [0.75, 0], "prompt_estimate": [9.5, 10], "completion_estimate": [20, 30],
        "input_price": [1, 10], "output_price": [2, 20], "cached_estimate": [4, 0], "cached_price": [0.5, 1],
        "penalty": [0, 0.125], "alpha": 0.25, "unit_usd": 2,
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


# Prices.


@pytest.mark.parametrize(
    ("model", "tokens", "usd"),
    [
        ("large", (1000, None, 100), 1000 * 10e-6 + 100 * 20e-6),
        ("large", (1000, 0, 0), 1000 * 10e-6),
        ("large", (1000, 400, 100), 600 * 10e-6 + 400 * 1e-6 + 100 * 20e-6),
        ("small", (1000, 400, 100), 1000 * 1e-6 + 100 * 2e-6),
        ("large", (100, 400, 0), 100 * 1e-6),
        ("large", (None, None, 100), None),
        ("large", (1000, None, None), None),
        ("large", (None, None, None), None),
        ("priceless", (1000, None, 100), None),
    ],
)
async def test_cost_is_known_or_null_and_never_zero_for_want_of_knowing(
    world: World, model: str, tokens: tuple[int | None, ...], usd: float | None
) -> None:
    await world.model("priceless", None, None)
    number = await world.owner.fetchval("select model_id from router.models where name = $1", model)
    usage = dict(zip(("prompt_tokens", "cached_tokens", "completion_tokens"), tokens, strict=True))
    entry = {**await routed(world), "model_id": number, **usage}
    await world.log(entry)
    spent, default = await world.owner.fetchrow("select spent_usd, default_usd from router.decisions")
    assert spent == (None if usd is None else pytest.approx(usd))
    assert (default is None) == (None in (tokens[0], tokens[2]))


async def test_without_a_policy_there_is_no_default_to_compare_with(world: World) -> None:
    await world.log({**await routed(world), "policy_id": None, "requested": "small", "reason": "off"})
    row = await world.owner.fetchrow("select spent_usd, default_usd from router.decisions")
    assert row["spent_usd"] > 0
    assert row["default_usd"] is None


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
    # The proxy's role makes the partitions although it may create no table.
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


# Conversations.


async def conversation(world: World) -> tuple[Any, ...]:
    """The one conversation: model, prompt tokens, when it was served last and until when it stays."""
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


# What people read.


async def test_the_overview_adds_up_the_last_day(world: World) -> None:
    common = await routed(world)
    now = await world.owner.fetchval("select now()")
    await world.teach(common["tenant_id"], Lesson("p", {world.small: 1.0}))
    await world.log(
        {**common, "decision_id": uuid7(now, 1), "model_id": world.small},
        {**common, "decision_id": uuid7(now, 2), "model_id": world.large, "cached_tokens": 500},
        {**common, "decision_id": uuid7(now, 3), "model_id": world.small, "completion_tokens": None},
        {**common, "decision_id": uuid7(now - timedelta(days=2), 4), "model_id": world.small},
        {**common, "decision_id": uuid7(now, 5), "model_id": world.small, "policy_id": None},
    )
    (row,) = await world.owner.fetch("select * from router.overview")
    spent, default = 0.0012 + 0.0075, 0.012 + 0.0075
    assert dict(row) == {
        "tenant": "acme", "policy": "auto", "backend": "knn", "default_model": "large", "memories": 1, "seed_count": 1,
        "ready": True, "graduated": False, "decisions": 3, "to_default": 1, "spent_usd": pytest.approx(spent),
        "default_usd": pytest.approx(default), "saved_percent": round(row["saved_percent"], 1),
    }  # fmt: skip
    assert float(row["saved_percent"]) == pytest.approx(100 * (1 - spent / default), abs=0.05)


async def test_the_overview_shows_a_tenant_that_has_done_nothing(world: World) -> None:
    await world.policy(await world.tenant(), seed_count=0)
    (row,) = await world.owner.fetch("select * from router.overview")
    assert (row["memories"], row["ready"], row["decisions"], row["saved_percent"]) == (0, False, 0, None)


async def test_recent_decisions_are_the_last_day_newest_first(world: World) -> None:
    common = await routed(world)
    now = await world.owner.fetchval("select now()")
    await world.log(
        {**common, "decision_id": uuid7(now - timedelta(days=2), 1)},
        {**common, "decision_id": uuid7(now - timedelta(hours=2), 2), "model_id": world.large},
        {**common, "decision_id": uuid7(now, 3), "requested": "small", "confidence": 0.123, "completion_tokens": None},
    )
    rows = await world.owner.fetch("select * from router.recent_decisions")
    names = ("tenant", "asked", "served_by", "reason", "spent_usd")
    assert [tuple(row[name] for name in names) for row in rows] == [
        ("acme", "small", "small", "learned", None),
        ("acme", "auto", "large", "learned", Decimal("0.012")),
    ]
    assert float(rows[0]["confidence"]) == 0.12
    assert rows[0]["decision_id"] == uuid7(now, 3)


async def test_the_memory_is_readable(world: World) -> None:
    tenant = await world.tenant()
    await world.teach(
        tenant, Lesson("two and two", {world.large: 0.5}, direction(1), task="sums", source="judge"), at=START
    )
    (row,) = await world.owner.fetch("select * from router.memory")
    assert dict(row) == {
        "tenant": "acme", "memory_id": row["memory_id"], "task": "sums", "source": "judge",
        "scores": '{"large": 0.500}', "taught_at": START, "space": "space", "prompt": "two and two",
    }  # fmt: skip


async def test_an_explanation_shows_what_speaks_for_the_decision(world: World) -> None:
    tenant = await world.tenant()
    policy = await world.policy(tenant, k=2, tau=0.5)
    lessons = [Lesson(f"{i}", {world.small: i / 4}, direction(i / 2), task="t" if i else None) for i in range(4)]
    await world.teach(tenant, *lessons)
    rows = await world.app.fetch(
        "select * from router.evidence($1, $2, $3, $4, 10)", tenant, policy, world.space, direction(0)
    )
    assert [(row["prompt"], row["task"], row["models"], row["scores"]) for row in rows] == [
        ("0", None, ["small"], [0.0]),
        ("1", "t", ["small"], [0.25]),
    ]
    assert rows[0]["similarity"] == pytest.approx(1, abs=1e-3)
    assert rows[1]["weight"] == pytest.approx(2.718281828 ** ((rows[1]["similarity"] - 1) / 0.5), rel=1e-4)


async def test_status_says_the_next_step(world: World) -> None:
    tenant = await world.tenant()
    await world.policy(tenant, seed_count=3)
    await world.policy(tenant, name="draw", backend="weighted")

    async def steps(space: int | None = None) -> dict[str, str]:
        rows = await world.app.fetch("select * from router.status($1, $2)", tenant, space or world.space)
        return {row["policy"]: row["next_step"] for row in rows}

    assert await steps() == {"auto": "teach 3 more examples", "draw": "policy draw needs no memory"}
    await world.teach(tenant, *(Lesson(f"{i}", {world.small: 1.0}) for i in range(3)))
    assert (await steps())["auto"] == "label model large: it has no labels and is never chosen"
    await world.teach(tenant, Lesson("labelled", {world.large: 1.0}, task="sums"))
    assert (await steps())["auto"] == "ready"
    other = await world.owner.fetchval("select router.register_space('other', 64)")
    assert (await steps(other))[
        "auto"
    ] == "4 memories are of another embedder: run pgrouter reembed --tenant 'acme' --to other"
