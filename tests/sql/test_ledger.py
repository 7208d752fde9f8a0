"""Promises of the ledger: what is written down, what it costs, and what people read of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from app.accounting.ledger import decision_id
from tests.support.sql_world import START, Taught, World, direction, uuid7

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
        "api": "responses", "usage_estimated": True, "tried": [world.large, world.small],
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
        "tried": ["large", "small"], "tried_why": ["chosen", "fallback"], "tried_outcome": ["503", "499"],
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
async def test_what_is_not_known_of_a_prompt_says_nothing_of_the_ratio(
    world: World, reported: int | None, estimated: int | None
) -> None:
    common = await routed(world)
    await world.log({**common, "prompt_tokens": reported, "estimated_tokens": estimated})
    assert (await speeds(world))["token_ratio"] is None


# Prices of a tenant's own.


async def put_price(world: World, tenant: int, model: str, *prices: float | None) -> bool:
    found: bool = await world.owner.fetchval(
        "select router.put_price($1, $2, $3, $4, $5, '2026-01-02')", tenant, model, *prices
    )
    return found


async def test_the_ledger_counts_what_the_tenant_pays(world: World) -> None:
    common = await routed(world)
    other = {**await routed(world, "other"), "decision_id": uuid7(START, 7)}
    await put_price(world, common["tenant_id"], "small", 4.0, 0.5, 8.0)
    used = {"prompt_tokens": 1000, "cached_tokens": 400, "completion_tokens": 100, "reasoning_tokens": 60}
    await world.log({**common, **used}, {**other, **used})
    rows = await world.owner.fetch(
        "select spent_usd, default_usd, reasoning_tokens from router.decisions order by tenant_id"
    )
    assert rows[0]["spent_usd"] == pytest.approx((600 * 4 + 400 * 0.5 + 100 * 8) / 1e6)
    assert rows[1]["spent_usd"] == pytest.approx((1000 * 1 + 100 * 2) / 1e6)
    assert rows[0]["default_usd"] == rows[1]["default_usd"] == pytest.approx((600 * 10 + 400 * 1 + 100 * 20) / 1e6)
    assert rows[0]["reasoning_tokens"] == 60


async def test_the_default_is_counted_at_what_the_tenant_would_pay(world: World) -> None:
    common = await routed(world)
    await put_price(world, common["tenant_id"], "large", 5.0, None, 5.0)
    await world.log({**common, "prompt_tokens": 1000, "cached_tokens": 500, "completion_tokens": 100})
    # Nothing of the model's own price is left, its price of cached tokens neither.
    assert await world.owner.fetchval("select default_usd from router.decisions") == pytest.approx(1100 * 5 / 1e6)


async def test_prices_say_whose_they_are_and_of_when(world: World) -> None:
    tenant = await world.tenant()
    await world.model("half", 1.0, None)
    assert await put_price(world, tenant, "small", 4.0, None, 8.0)
    assert not await put_price(world, tenant, "small", 4.0, 0.5, 9.0)
    rows = await world.app.fetch("select * from router.prices($1)", tenant)
    assert {row["model"]: (row["origin"], row["output_price"], str(row["priced_on"])) for row in rows} == {
        "half": ("unpriced", None, "None"), "large": ("model", 20.0, "None"), "small": ("tenant", 9.0, "2026-01-02"),
    }  # fmt: skip
    assert await world.owner.fetchval("select router.drop_price($1, 'small')", tenant)
    assert not await world.owner.fetchval("select router.drop_price($1, 'small')", tenant)
    rows = await world.app.fetch("select * from router.prices($1)", tenant)
    assert {row["model"]: row["origin"] for row in rows}["small"] == "model"


async def test_a_price_of_its_own_lets_a_tenant_weigh_a_model_that_has_none(world: World) -> None:
    tenant = await world.tenant()
    await world.model("priceless", None, None)
    with pytest.raises(asyncpg.PostgresError, match="priceless has no price"):
        await world.policy(tenant, ["small", "priceless"])
    await put_price(world, tenant, "priceless", 1.0, None, 1.0)
    await world.policy(tenant, ["small", "priceless"])


async def test_a_price_that_a_policy_needs_is_kept(world: World) -> None:
    tenant = await world.tenant()
    await world.model("priceless", None, None)
    await put_price(world, tenant, "priceless", 1.0, None, 1.0)
    await world.policy(tenant, ["small", "priceless"])
    with pytest.raises(asyncpg.PostgresError, match="policy auto weighs its cost") as caught:
        await world.owner.fetchval("select router.drop_price($1, 'priceless')", tenant)
    assert caught.value.sqlstate == "RT011"
    await world.policy(tenant, ["small"])
    assert await world.owner.fetchval("select router.drop_price($1, 'priceless')", tenant)


@pytest.mark.parametrize(
    ("tenant", "model", "prices", "sqlstate"),
    [
        (None, "small", (1.0, None, 1.0), "RT001"), (0, "absent", (1.0, None, 1.0), "RT003"),
        (0, "small", (-1.0, None, 1.0), "23514"), (0, "small", (1.0, None, None), "23502"),
        (0, "small", (1.0, float("nan"), 1.0), "23514"),
    ],
)  # fmt: skip
async def test_a_bad_price_is_refused(
    world: World, tenant: int | None, model: str, prices: tuple[float | None, ...], sqlstate: str
) -> None:
    number = 10**6 if tenant is None else await world.tenant()
    with pytest.raises(asyncpg.PostgresError) as caught:
        await put_price(world, number, model, *prices)
    assert caught.value.sqlstate == sqlstate


async def test_a_new_input_price_ends_the_price_of_cached_tokens_that_belonged_to_the_old(world: World) -> None:
    await world.model("large", None, 30.0)
    assert await world.owner.fetchval("select cached_input_price from router.models where name = 'large'") == 1.0
    await world.model("large", 5.0, None)
    row = await world.owner.fetchrow("select * from router.models where name = 'large'")
    assert (row["input_price"], row["cached_input_price"], row["output_price"]) == (5.0, None, 30.0)


# What people read.


async def test_the_overview_adds_up_the_last_day(world: World) -> None:
    common = await routed(world)
    now = await world.owner.fetchval("select now()")
    await world.teach(common["tenant_id"], Taught("p", {world.small: 1.0}))
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
        tenant, Taught("two and two", {world.large: 0.5}, direction(1), task="sums", source="judge"), at=START
    )
    (row,) = await world.owner.fetch("select * from router.memory")
    assert dict(row) == {
        "tenant": "acme", "memory_id": row["memory_id"], "task": "sums", "source": "judge",
        "scores": '{"large": 0.500}', "taught_at": START, "space": "space", "prompt": "two and two",
    }  # fmt: skip


async def test_an_explanation_shows_what_speaks_for_the_decision(world: World) -> None:
    tenant = await world.tenant()
    policy = await world.policy(tenant, k=2, tau=0.5)
    lessons = [Taught(f"{i}", {world.small: i / 4}, direction(i / 2), task="t" if i else None) for i in range(4)]
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


async def test_status_knows_who_is_only_explored(world: World) -> None:
    tenant = await world.tenant()
    await world.policy(tenant, name="still", seed_count=1)
    await world.policy(tenant, name="curious", seed_count=1, explore_share=0.1)
    await world.teach(tenant, Taught("labelled", {world.large: 1.0}))
    rows = await world.app.fetch("select * from router.status($1, $2)", tenant, world.space)
    assert {row["policy"]: row["next_step"] for row in rows} == {
        "still": "label model small: it has no labels and is never chosen",
        "curious": "label model small: it has no labels and is chosen to explore alone",
    }


async def test_status_says_the_next_step(world: World) -> None:
    tenant = await world.tenant()
    await world.policy(tenant, seed_count=3)
    await world.policy(tenant, name="draw", backend="weighted")

    async def steps(space: int | None = None) -> dict[str, str]:
        rows = await world.app.fetch("select * from router.status($1, $2)", tenant, space or world.space)
        return {row["policy"]: row["next_step"] for row in rows}

    assert await steps() == {"auto": "teach 3 more examples", "draw": "policy draw needs no memory"}
    await world.teach(tenant, *(Taught(f"{i}", {world.small: 1.0}) for i in range(3)))
    assert (await steps())["auto"] == "label model large: it has no labels and serves, as nothing compares with it"
    await world.teach(tenant, Taught("labelled", {world.large: 1.0}, task="sums"))
    assert (await steps())["auto"] == "ready"
    other = await world.owner.fetchval("select router.register_space('other', 64)")
    assert (await steps(other))[
        "auto"
    ] == "4 memories are of another embedder: run pgrouter reembed --tenant 'acme' --to other"


async def test_status_says_what_is_missing(world: World) -> None:
    await world.model("new", 0.1, 0.1)
    tenant = await world.tenant()
    policy = await world.policy(tenant, ["small", "large", "new"], seed_count=40)
    await world.policy(tenant, name="draw", backend="weighted")
    await world.teach(tenant, Taught("one", {world.small: 1.0}, task="jokes"), Taught("two", {world.large: 1.0}))
    asked = {"tenant_id": tenant, "policy_id": policy, "task": "sql"}
    await world.log(
        {**asked, "decision_id": uuid7(datetime.now(UTC))},
        {**asked, "decision_id": uuid7(datetime.now(UTC) - timedelta(days=2), 2), "task": "long ago"},
    )
    rows = await world.app.fetch("select * from router.status($1, $2)", tenant, world.space)
    found = {(row["policy"], row["task"]): (row["task_memories"], row["unlabelled"], row["missing"]) for row in rows}
    examples, labels = "38 more examples", "no labels of new"
    assert found == {
        ("auto", "jokes"): (1, ["new"], [examples, labels]),
        ("auto", "sql"): (0, ["new"], [examples, "none yet for task sql", labels]),
        ("draw", "jokes"): (1, [], []),
    }
