"""Setting, changing and removing limits, and their visibility."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import asyncpg
import pytest

from scripts.support.connection import connect
from tests.support.budget_world import (
    SECOND,
    admit,
    assert_reservations_are_what_meters_say,
    key_of,
    limit,
    meter,
    reserved,
    settle,
)
from tests.support.sql_world import START, World, uuid7


async def test_new_limits_know_what_the_month_has_spent(world: World) -> None:
    tenant, stranger = await world.tenant(), await world.tenant("stranger")
    key = await key_of(world, tenant)
    now = await world.owner.fetchval("select now()")
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    # Now, at the beginning of the month, before it, and by another tenant.
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
    waiting = "select count(*) from pg_locks where locktype in ('transactionid', 'tuple') and not granted"
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
            # An admission begins like this: it locks the limits, then the meters.
            for call in ("_enter($1)", "_lock_limits($1)", "_meters_now($1, '{}', now())"):
                await world.app.fetch(f"select count(*) from router_internal.{call}", tenant)
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
