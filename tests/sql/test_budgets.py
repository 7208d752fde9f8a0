"""Promises of limits in SQL: what is spent and reserved stays within them, whoever asks at the same time."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import asyncpg
import pytest

from tests.support.budget_world import (
    admit,
    assert_reservations_are_what_meters_say,
    key_of,
    limit,
    meter,
    reserved,
    settle,
)
from tests.support.sql_world import START, World, connect, uuid7

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)


# Rates.


async def test_without_limits_everything_is_admitted_and_nothing_kept(world: World) -> None:
    tenant = await world.tenant()
    row = await admit(world, tenant, await key_of(world, tenant), 1, [1e6, None], tokens=10**9)
    assert (row["admitted"], row["affordable"]) == (True, [True, True])
    assert [row[f"{kind}_{what}"] for kind in ("requests", "tokens") for what in ("limit", "remaining", "reset")] == (
        [None] * 6
    )
    assert await reserved(world, tenant) == []


async def test_a_minutes_requests_may_come_at_once_and_then_as_they_refill(world: World) -> None:
    tenant = await world.tenant()
    await limit(world, tenant, requests=30)
    rows = [await admit(world, tenant, None, n) for n in range(31)]
    assert [row["admitted"] for row in rows] == [True] * 30 + [False]
    assert [row["requests_remaining"] for row in rows[:3]] == [29, 28, 27]
    assert rows[9]["requests_reset"] == pytest.approx(20)
    assert (rows[30]["refused"], rows[30]["whose"], rows[30]["bound"]) == ("requests", "tenant", 30)
    assert (rows[30]["retry_after"], rows[30]["requests_remaining"]) == (pytest.approx(2), 0)
    later = START + timedelta(seconds=rows[30]["retry_after"])
    assert (await admit(world, tenant, None, 40, now=later))["admitted"]
    assert not (await admit(world, tenant, None, 41, now=later))["admitted"]
    assert (await admit(world, tenant, None, 42, now=later + timedelta(hours=1)))["requests_remaining"] == 29


async def test_tokens_are_taken_by_what_was_reserved_and_then_by_what_was_used(world: World) -> None:
    tenant = await world.tenant()
    key = await key_of(world, tenant)
    await limit(world, tenant, key, tokens=1000)
    assert (await admit(world, tenant, key, 1, tokens=600))["tokens_remaining"] == 400
    refused = await admit(world, tenant, key, 2, tokens=500)
    assert (refused["refused"], refused["whose"], refused["retry_after"]) == ("tokens", "key", pytest.approx(6))
    await settle(world, tenant, (uuid7(START, 1), key, 0.0, 100))
    assert (await admit(world, tenant, key, 3, tokens=500))["tokens_remaining"] == 400
    await settle(world, tenant, (uuid7(START, 3), key, 0.0, 1500))
    row = await admit(world, tenant, key, 4, tokens=100)
    assert (row["admitted"], row["remaining"], row["retry_after"]) == (False, -600, pytest.approx(42))
    assert row["tokens_remaining"] == 0


async def test_more_tokens_than_a_minute_has_are_never_admitted(world: World) -> None:
    tenant = await world.tenant()
    await limit(world, tenant, tokens=1000, day=0)
    row = await admit(world, tenant, None, 1, tokens=1001)
    assert (row["refused"], row["bound"], row["retry_after"]) == ("tokens", 1000, None)


async def test_buckets_never_hold_more_than_a_minute(world: World) -> None:
    tenant = await world.tenant()
    await limit(world, tenant, tokens=1000)
    await admit(world, tenant, None, 1, tokens=600)
    later = START + timedelta(minutes=5)
    await settle(world, tenant, (uuid7(START, 1), None, 0.0, 0), now=later)
    assert (await meter(world, tenant))["tokens_left"] == 1000


async def test_a_clock_that_runs_behind_refills_nothing_twice(world: World) -> None:
    tenant = await world.tenant()
    await limit(world, tenant, requests=60, day=1)
    await admit(world, tenant, None, 1, now=START + DAY)
    before = await meter(world, tenant)
    await admit(world, tenant, None, 2, [0.2], now=START + DAY - 10 * SECOND)
    after = await meter(world, tenant)
    assert (after["refilled_at"], after["day"]) == (before["refilled_at"], before["day"])
    assert after["requests_left"] == before["requests_left"] - 1
    assert after["reserved_usd"] == Decimal("0.3")


async def test_headers_tell_of_the_tighter_of_key_and_tenant(world: World) -> None:
    tenant = await world.tenant()
    key = await key_of(world, tenant)
    await limit(world, tenant, requests=100, tokens=50)
    await limit(world, tenant, key, requests=10, tokens=500)
    row = await admit(world, tenant, key, 1, tokens=5)
    assert (row["requests_limit"], row["requests_remaining"]) == (10, 9)
    assert (row["tokens_limit"], row["tokens_remaining"]) == (50, 45)


# Money.


async def test_the_dearest_that_fits_is_reserved_and_the_rest_is_not_affordable(world: World) -> None:
    tenant = await world.tenant()
    key = await key_of(world, tenant)
    await limit(world, tenant, day=1, month=20)
    await limit(world, tenant, key, day=0.5)
    row = await admit(world, tenant, key, 1, [0.6, 0.1, 0.4, None], tokens=7)
    assert (row["admitted"], row["affordable"]) == (True, [False, True, True, False])
    assert await reserved(world, tenant) == [(Decimal("0.4"), 7)]
    assert [(await meter(world, tenant, whose))["reserved_usd"] for whose in (None, key)] == [Decimal("0.4")] * 2
    row = await admit(world, tenant, None, 2, [0.6, 0.1, 0.61])
    assert row["affordable"] == [True, True, False]


async def test_what_is_left_has_to_be_enough_for_the_cheapest(world: World) -> None:
    tenant = await world.tenant()
    key = await key_of(world, tenant)
    await limit(world, tenant, key, day=0.25)
    assert (await admit(world, tenant, key, 1, [0.2]))["admitted"]
    row = await admit(world, tenant, key, 2, [0.2, 0.06])
    assert (row["admitted"], row["affordable"]) == (False, [False, False])
    assert (row["refused"], row["whose"], row["bound"], row["remaining"]) == ("day", "key", 0.25, pytest.approx(0.05))
    assert row["retry_after"] == 12 * 3600
    assert await reserved(world, tenant) == [(Decimal("0.2"), 0)]


async def test_nothing_unpriced_is_affordable_under_a_budget_alone(world: World) -> None:
    tenant = await world.tenant()
    await limit(world, tenant, requests=10)
    row = await admit(world, tenant, None, 1, [None, 0.5])
    assert row["affordable"] == [True, True]
    assert await reserved(world, tenant) == [(Decimal("0.5"), 0)]
    await limit(world, tenant, month=5)
    row = await admit(world, tenant, None, 2, [None, float("nan"), float("inf"), -1.0])
    assert (row["admitted"], row["affordable"], row["refused"]) == (False, [False] * 4, "month")


async def test_a_path_without_a_model_needs_a_budget_that_is_not_spent(world: World) -> None:
    tenant = await world.tenant()
    await limit(world, tenant, day=0.5)
    row = await admit(world, tenant, None, 1, [])
    assert (row["admitted"], row["affordable"]) == (True, [])
    assert await reserved(world, tenant) == []
    await settle(world, tenant, (uuid7(START, 1), None, 0.5, None))
    row = await admit(world, tenant, None, 2, [])
    assert (row["admitted"], row["refused"], row["remaining"]) == (False, "day", 0)


async def test_what_is_free_is_affordable_when_all_is_spent(world: World) -> None:
    tenant = await world.tenant()
    await limit(world, tenant, day=0.5)
    await settle(world, tenant, (uuid7(START, 1), None, 0.9, None))
    row = await admit(world, tenant, None, 2, [0.1, 0.0])
    assert (row["admitted"], row["affordable"]) == (True, [False, True])


async def test_budgets_renew_with_the_utc_day_and_month(world: World) -> None:
    tenant = await world.tenant()
    await limit(world, tenant, day=1, month=2)
    night = datetime(2026, 3, 1, 23, 59, 59, tzinfo=UTC)
    for day in range(2):
        at = night + day * DAY
        assert (await admit(world, tenant, None, day, [1.0], now=at))["admitted"]
        await settle(world, tenant, (uuid7(at, day), None, 1.0, None), now=at)
    row = await admit(world, tenant, None, 7, [1.0], now=night)
    assert (row["refused"], row["retry_after"]) == ("month", pytest.approx(30 * 86400 + 1))
    row = await admit(world, tenant, None, 8, [1.0], now=night + 2 * DAY)
    assert (row["refused"], row["whose"]) == ("month", "tenant")
    april = datetime(2026, 4, 1, tzinfo=UTC)
    assert (await admit(world, tenant, None, 9, [1.0], now=april))["admitted"]
    assert (await meter(world, tenant))["month_usd"] == 0


async def test_of_several_limits_the_longest_in_the_way_is_named(world: World) -> None:
    tenant = await world.tenant()
    key = await key_of(world, tenant)
    await limit(world, tenant, requests=1, day=0)
    await limit(world, tenant, key, requests=1, month=0)
    row = await admit(world, tenant, key, 1)
    assert (row["refused"], row["whose"]) == ("month", "key")


async def test_refused_is_as_if_never_asked(world: World) -> None:
    tenant = await world.tenant()
    key = await key_of(world, tenant)
    await limit(world, tenant, requests=10, tokens=100)
    await limit(world, tenant, key, day=0.1)
    before = [await meter(world, tenant, whose) for whose in (None, key)]
    assert not (await admit(world, tenant, key, 1, [0.2], tokens=50))["admitted"]
    assert [await meter(world, tenant, whose) for whose in (None, key)] == before
    assert await reserved(world, tenant) == []


async def test_admitting_a_decision_twice_is_an_error_that_changes_nothing(world: World) -> None:
    tenant = await world.tenant()
    await limit(world, tenant, day=1)
    await admit(world, tenant, None, 1)
    with pytest.raises(asyncpg.UniqueViolationError, match="reservations_pkey"):
        await admit(world, tenant, None, 1)
    assert (await meter(world, tenant))["reserved_usd"] == Decimal("0.1")


# Settling.


@pytest.mark.parametrize(("usd", "booked"), [(0.04, "0.04"), (0.3, "0.3"), (None, "0.1"), (0.0, "0")])
async def test_a_reservation_becomes_what_was_spent(world: World, usd: float | None, booked: str) -> None:
    tenant = await world.tenant()
    key = await key_of(world, tenant)
    await limit(world, tenant, day=1)
    await limit(world, tenant, key, month=1)
    await admit(world, tenant, key, 1)
    await settle(world, tenant, (uuid7(START, 1), key, usd, None))
    for whose in (None, key):
        found = await meter(world, tenant, whose)
        assert (found["reserved_usd"], found["day_usd"], found["month_usd"]) == (0, Decimal(booked), Decimal(booked))
    assert await reserved(world, tenant) == []


async def test_a_reservation_is_released_once(world: World) -> None:
    tenant = await world.tenant()
    await limit(world, tenant, day=1)
    await admit(world, tenant, None, 1)
    await admit(world, tenant, None, 2)
    one = (uuid7(START, 1), None, None, None)
    await settle(world, tenant, one, one)
    await settle(world, tenant, one)
    found = await meter(world, tenant)
    assert (found["reserved_usd"], found["day_usd"]) == (Decimal("0.1"), Decimal("0.1"))


async def test_what_was_never_admitted_counts_when_it_is_in_the_ledger(world: World) -> None:
    tenant = await world.tenant()
    key, other = await key_of(world, tenant), await key_of(world, tenant, "other")
    await limit(world, tenant, key, day=1, tokens=1000)
    await limit(world, tenant, month=1)
    entries = [(uuid7(START, 1), key, 0.2, 300), (uuid7(START, 2), other, 0.3, 5), (uuid7(START, 3), None, None, None)]
    await settle(world, tenant, *entries)
    mine, all_of_it = await meter(world, tenant, key), await meter(world, tenant)
    assert (mine["day_usd"], mine["tokens_left"]) == (Decimal("0.2"), 700)
    assert all_of_it["month_usd"] == Decimal("0.5")


async def test_what_is_settled_late_counts_on_its_own_day(world: World) -> None:
    tenant = await world.tenant()
    await limit(world, tenant, day=1, month=5)
    await admit(world, tenant, None, 1, [0.5])
    row = await admit(world, tenant, None, 2, [0.6], now=START + DAY)
    assert not row["admitted"], "until it is known what the first has cost"
    await settle(world, tenant, (uuid7(START, 1), None, 0.5, None), now=START + DAY)
    found = await meter(world, tenant)
    assert (found["day_usd"], found["month_usd"], found["reserved_usd"]) == (0, Decimal("0.5"), 0)


async def test_what_a_dead_process_reserved_is_given_back_after_an_hour(world: World) -> None:
    tenant = await world.tenant()
    key = await key_of(world, tenant)
    await limit(world, tenant, day=1)
    await limit(world, tenant, key, day=1)
    await admit(world, tenant, key, 1, [0.7])
    await admit(world, tenant, None, 2, [0.2], now=START + SECOND)
    later = START + timedelta(hours=1)
    due = "select tenant, amount from router.chores(6000, 90, $1) where chore = 'expire_reservations'"
    assert await world.app.fetch(due, later - SECOND) == []
    assert [tuple(row) for row in await world.app.fetch(due, later)] == [("acme", 1)]
    gone = "select router.expire_reservations($1, $2)"
    assert await world.app.fetchval(gone, tenant, later) == 1
    assert await world.app.fetchval(gone, tenant, later) == 0
    assert [(await meter(world, tenant, whose))["reserved_usd"] for whose in (None, key)] == [Decimal("0.2"), 0]
    await settle(world, tenant, (uuid7(START, 1), key, 0.6, None), now=later)
    assert (await meter(world, tenant, key))["day_usd"] == Decimal("0.6")


# Setting limits.


async def test_new_limits_know_what_the_month_has_spent(world: World) -> None:
    tenant, stranger = await world.tenant(), await world.tenant("stranger")
    key = await key_of(world, tenant)
    now = await world.owner.fetchval("select now()")
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    # Now, at the month's beginning, before it, and a stranger's.
    for n, (who, whose, at) in enumerate(
        [(tenant, key, now), (tenant, None, month), (tenant, key, month - SECOND), (stranger, None, now)]
    ):
        await world.log({"tenant_id": who, "key_id": whose, "decision_id": uuid7(at, n)})
    for whose in (None, key):
        await world.owner.fetchval("select router.put_limits($1, $2, null, null, 1, 1)", tenant, whose)
    cost, first = Decimal("0.0012"), month == today
    found = await meter(world, tenant)
    assert (found["day_usd"], found["month_usd"]) == (2 * cost if first else cost, 2 * cost)
    found = await meter(world, tenant, key)
    assert (found["day_usd"], found["month_usd"], found["requests_left"]) == (cost, cost, None)


async def test_new_limits_know_what_is_under_way(world: World) -> None:
    tenant = await world.tenant()
    key, other = await key_of(world, tenant), await key_of(world, tenant, "other")
    await limit(world, tenant, requests=10)
    await admit(world, tenant, key, 1, [0.25])
    await admit(world, tenant, other, 2, [0.5])
    await limit(world, tenant, key, day=1)
    assert (await meter(world, tenant, key))["reserved_usd"] == Decimal("0.25")
    await assert_reservations_are_what_meters_say(world)


async def test_a_new_limit_waits_for_what_is_being_admitted(world: World) -> None:
    tenant = await world.tenant()
    key = await key_of(world, tenant)
    await limit(world, tenant, key, day=1)
    waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
    watcher = await connect(world.dsn, None)
    try:
        async with world.app.transaction():
            await admit(world, tenant, key, 1, [0.25])
            setting = asyncio.create_task(
                world.owner.execute("select router.put_limits($1, null, null, null, 1, null)", tenant)
            )
            while not setting.done() and not await watcher.fetchval(waiting):
                await asyncio.sleep(0.01)
        await setting
    finally:
        await watcher.close()
    assert (await meter(world, tenant))["reserved_usd"] == Decimal("0.25")


async def test_changed_limits_keep_what_was_counted(world: World) -> None:
    tenant = await world.tenant()
    assert not await limit(world, tenant, day=1, tokens=100)
    await admit(world, tenant, None, 1, [0.5], tokens=60)
    assert await limit(world, tenant, day=0.75, requests=5)
    row = await admit(world, tenant, None, 2, [0.3])
    assert (row["refused"], row["bound"], row["remaining"]) == ("day", 0.75, 0.25)


async def test_limits_that_are_taken_away_leave_nothing(world: World) -> None:
    tenant = await world.tenant()
    await limit(world, tenant, day=1)
    await admit(world, tenant, None, 1)
    drop = "select router.put_limits($1, null, null, null, null, null)"
    assert await world.owner.fetchval(drop, tenant)
    assert not await world.owner.fetchval(drop, tenant)
    assert await world.owner.fetchval("select count(*) from router.meters") == 0
    assert (await admit(world, tenant, None, 2, [1e6]))["admitted"]
    await settle(world, tenant, (uuid7(START, 1), None, 0.1, None))
    assert await reserved(world, tenant) == []


async def test_a_deleted_tenant_leaves_nothing(world: World) -> None:
    tenant = await world.tenant()
    key = await key_of(world, tenant)
    await limit(world, tenant, day=1)
    await limit(world, tenant, key, day=1)
    await admit(world, tenant, key, 1)
    await world.owner.fetch("select router.delete_tenant($1)", tenant)
    for table in ("limits", "meters", "reservations"):
        assert await world.owner.fetchval(f"select count(*) from router.{table}") == 0, table


async def test_a_tenant_is_deleted_while_its_requests_are_settled(world: World) -> None:
    tenant = await world.tenant()
    await limit(world, tenant, day=1)
    await admit(world, tenant, None, 1)
    waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like '%delete_tenant%'"
    watcher = await connect(world.dsn, None)
    try:
        async with world.app.transaction():
            # Where it begins: with the meters, and their locks.
            await world.app.fetch(
                "select count(*) from router_internal._enter($1), router_internal._meters_now($1, '{}', now())", tenant
            )
            deleting = asyncio.create_task(world.owner.fetchval("select router.delete_tenant($1)", tenant))
            while not deleting.done() and not await watcher.fetchval(waiting):
                await asyncio.sleep(0.01)
            await settle(world, tenant, (uuid7(START, 1), None, 0.1, None))
        assert await deleting
    finally:
        await watcher.close()
    assert await reserved(world, tenant) == []


async def test_limits_are_for_what_there_is(world: World) -> None:
    tenant, other = await world.tenant(), await world.tenant("other")
    theirs = await key_of(world, other)
    for whom, key, state in ((tenant, theirs, "RT013"), (tenant, 10**6, "RT013"), (10**6, None, "RT001")):
        with pytest.raises(asyncpg.PostgresError) as caught:
            await limit(world, whom, key, day=1)
        assert caught.value.sqlstate == state
    for wrong in ({"requests": 0}, {"tokens": -1}, {"day": -0.01}, {"month": float("inf")}, {"day": float("nan")}):
        with pytest.raises(asyncpg.CheckViolationError):
            await limit(world, tenant, **wrong)
    assert await world.owner.fetchval("select count(*) from router.limits") == 0


async def test_a_reader_sees_the_budgets_of_its_tenants(world: World) -> None:
    tenant, other = await world.tenant(), await world.tenant("other")
    key = await key_of(world, tenant, "batch")
    now = await world.owner.fetchval("select now()")
    await limit(world, tenant, requests=10, day=1, since=now)
    await limit(world, tenant, key, tokens=1000, month=2, since=now)
    await limit(world, other, day=1, since=now)
    await admit(world, tenant, key, 1, [0.25], tokens=100, now=now)
    await settle(world, tenant, (uuid7(now, 2), key, 0.5, None), now=now)
    await world.owner.execute("select router.grant_tenant('router_reader', $1)", tenant)
    reader = await connect(world.dsn, "router_reader")
    try:
        (whole, part) = await reader.fetch("select * from router.budgets")
        assert (whole["tenant"], whole["key"], whole["requests_left"]) == ("acme", None, 9)
        assert (whole["day_spent_usd"], whole["reserved_usd"], whole["day_left_usd"]) == (0.5, 0.25, 0.25)
        assert (part["key"], part["month_left_usd"], part["day_left_usd"], part["requests_left"]) == (
            "batch", 1.25, None, None,
        )  # fmt: skip
        assert 900 <= part["tokens_left"] < 1000
        rows = await world.owner.fetch("select * from router.list_limits($1)", tenant)
        assert [(row["key_id"], row["day_usd"]) for row in rows] == [(None, 1), (key, None)]
    finally:
        await reader.close()
        await world.owner.execute("select router.revoke_tenant('router_reader', null)")


# What it costs.


async def test_nobody_waits_for_the_disk_to_be_admitted(world: World) -> None:
    tenant = await world.tenant()
    await limit(world, tenant, day=1)
    async with world.app.transaction():
        await admit(world, tenant, None, 1)
        assert await world.app.fetchval("select current_setting('synchronous_commit')") == "off"
    assert await world.app.fetchval("select current_setting('synchronous_commit')") == "on"


async def test_counting_touches_no_index(world: World) -> None:
    tenant = await world.tenant()
    await limit(world, tenant, requests=1000)
    counts = (
        "select n_tup_upd as updates, n_tup_upd - n_tup_hot_upd as cold from pg_stat_xact_user_tables"
        " where relid = 'router.meters'::regclass"
    )
    async with world.app.transaction():
        (before,) = await world.app.fetch(counts)
        for n in range(300):
            await admit(world, tenant, None, n)
        (after,) = await world.app.fetch(counts)
    assert after["updates"] - before["updates"] == 300
    assert after["cold"] - before["cold"] < 10


async def test_a_request_looks_at_its_own_limits_alone(world: World) -> None:
    tenant = await world.tenant()
    keys = [await key_of(world, tenant, f"{n}") for n in range(40)]
    for key in (None, *keys):
        await limit(world, tenant, key, day=1)
    looked_at = "select idx_tup_fetch from pg_stat_xact_user_tables where relid = $1::regclass"
    async with world.app.transaction():
        for number, table in enumerate(("router.limits", "router.meters")):
            before = await world.app.fetchval(looked_at, table)
            await admit(world, tenant, keys[20], number, [0.01])
            # Twice at most: to be read, and to be changed.
            assert 2 <= await world.app.fetchval(looked_at, table) - before <= 4, table


# At the same time.


@pytest.mark.parametrize("whose", ["tenant", "key", "both"])
async def test_forty_at_once_get_the_ten_that_the_budget_holds(world: World, whose: str) -> None:
    tenant = await world.tenant()
    key = await key_of(world, tenant)
    if whose != "key":
        await limit(world, tenant, day=0.7)
    if whose != "tenant":
        await limit(world, tenant, key, month=0.7)
    connections = [await connect(world.dsn) for _ in range(8)]

    async def ask(connection: asyncpg.Connection, first: int) -> list[bool]:
        return [
            (await admit(world, tenant, key, first + n, [0.07], by=connection))["admitted"] for n in range(5)
        ]  # fmt: skip

    try:
        answers = await asyncio.gather(*(ask(each, 10 * n) for n, each in enumerate(connections)))
    finally:
        for connection in connections:
            await connection.close()
    assert sum(sum(each) for each in answers) == 10
    await assert_reservations_are_what_meters_say(world)


async def test_meters_are_a_recount_after_all_of_it_at_once(world: World) -> None:
    tenants = [await world.tenant(name) for name in ("one", "two")]
    keys = {tenant: [await key_of(world, tenant, name) for name in "ab"] for tenant in tenants}
    now = await world.owner.fetchval("select now()")
    spent = dict.fromkeys(tenants, Decimal(0))
    for tenant in tenants:
        await limit(world, tenant, day=1000, since=now)

    async def work(seed: int) -> None:
        dice = random.Random(seed)
        connection = await connect(world.dsn)
        owner = await connect(world.dsn, None)
        under_way: list[tuple[int, int, int]] = []
        try:
            for n in range(60):
                tenant = dice.choice(tenants)
                key = dice.choice(keys[tenant])
                match dice.choice(["admit", "admit", "settle", "limit", "expire"]):
                    case "admit":
                        number = seed * 1000 + n
                        row = await admit(world, tenant, key, number, [0.01], tokens=5, now=now, by=connection)
                        if row["admitted"]:
                            under_way.append((tenant, key, number))
                    case "settle" if under_way:
                        whose = under_way[0][0]
                        batch = [each for each in under_way if each[0] == whose]
                        under_way = [each for each in under_way if each[0] != whose]
                        entries = [(uuid7(now, number), k, 0.02, 3) for _, k, number in batch]
                        await settle(world, whose, *entries, now=now, by=connection)
                        spent[whose] += Decimal("0.02") * len(batch)
                    case "limit":
                        day = dice.choice([None, 100.0])
                        await owner.execute("select router.put_limits($1, $2, null, null, $3, null)", tenant, key, day)
                    case "expire":
                        await connection.execute("select router.expire_reservations($1, $2)", tenant, now)
        finally:
            await connection.close()
            await owner.close()

    await asyncio.gather(*(work(seed) for seed in range(1, 7)))
    await assert_reservations_are_what_meters_say(world)
    for tenant in tenants:
        assert (await meter(world, tenant))["day_usd"] == spent[tenant]
