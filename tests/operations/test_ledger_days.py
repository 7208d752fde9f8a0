"""Maintenance of the ledger's days and of expired reservations and conversations."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta

import asyncpg
import pytest

from app.operations.maintenance import maintain
from app.store.database import Database
from tests.support.graduation import in_transaction
from tests.support.maintenance import kept, talk, told
from tests.support.sql_world import World


async def days(world: World) -> set[str]:
    """The ledger's partitions."""
    rows = await world.owner.fetch(
        "select inhrelid::regclass::text as name from pg_inherits where inhparent = 'router.decisions'::regclass"
    )
    return {row["name"].removeprefix("router.decisions_") for row in rows}


async def today(world: World) -> date:
    found: date = await world.owner.fetchval("select (now() at time zone 'UTC')::date")
    return found


async def test_days_are_opened_ahead(world: World, app: Database) -> None:
    now = await today(world)
    for day in (now, now + timedelta(days=1)):
        await world.owner.execute(f"drop table if exists router.decisions_{day:%Y%m%d}")
    steps = [step async for step in maintain(app, None, graduate_at=20, ledger_days=90)]
    assert [(step.job.name, step.job.day, step.outcome) for step in steps] == [
        ("open_day", now, "done"),
        ("open_day", now + timedelta(days=1), "done"),
    ]
    assert {f"{now:%Y%m%d}", f"{now + timedelta(days=1):%Y%m%d}"} <= await days(world)
    assert await kept(app) == []


async def test_days_past_retention_are_dropped_and_no_others(world: World, app: Database) -> None:
    now = await today(world)
    ages = (1, 2, 9, 10, 11, 400)
    for age in ages:
        await world.owner.execute("select router_internal._open_day($1)", now - timedelta(days=age))
    await world.owner.execute(
        """
        create table if not exists router.decisions_by_hand partition of router.decisions
            for values from ('1990-01-01') to ('1990-01-02');
        comment on table router.decisions_by_hand is 'Not part of maintenance.';
        """
    )
    steps = await kept(app, ledger_days=10)
    assert [(step.job.name, step.job.day) for step in steps] == [
        ("drop_day", now - timedelta(days=400)),
        ("drop_day", now - timedelta(days=11)),
    ]
    left = await days(world)
    assert {f"{now - timedelta(days=age):%Y%m%d}" for age in (1, 2, 9, 10)} <= left
    assert not {f"{now - timedelta(days=age):%Y%m%d}" for age in (11, 400)} & left
    assert "by_hand" in left
    await world.owner.execute("drop table router.decisions_by_hand")


@pytest.mark.parametrize("age", [-1, 0, 1])
async def test_the_days_of_now_cannot_be_dropped(world: World, age: int) -> None:
    day = await today(world) - timedelta(days=age)
    await world.owner.execute("select router_internal._open_day($1)", day)
    with pytest.raises(asyncpg.PostgresError) as caught:
        await world.app.fetchval("select router.drop_day($1)", day)
    assert caught.value.sqlstate == "RT006"
    assert f"{day:%Y%m%d}" in await days(world)


async def test_a_day_that_is_being_read_is_dropped_another_time(world: World, app: Database) -> None:
    day = await today(world) - timedelta(days=50)
    await world.owner.execute("select router_internal._open_day($1)", day)
    async with in_transaction(world) as busy:
        await busy.fetch("select count(*) from router.decisions")
        found = [step for step in await kept(app, ledger_days=49) if step.job.day == day]
        assert [step.outcome for step in found] == ["busy"]
    assert [step.outcome for step in await kept(app, ledger_days=49) if step.job.day == day] == ["done"]


async def test_a_day_is_opened_while_the_ledger_is_read(world: World) -> None:
    async with in_transaction(world) as busy:
        await busy.fetch("select count(*) from router.decisions")
        await asyncio.wait_for(world.app.execute("select router_internal._open_day('2031-05-06')"), 5)
    assert "20310506" in await days(world)
    await world.owner.execute("drop table router.decisions_20310506")


async def test_two_processes_open_a_day_at_the_same_time(world: World) -> None:
    open_day = "select router_internal._open_day('2031-05-07')"
    async with in_transaction(world) as first:
        await first.execute(open_day)
        second = asyncio.create_task(world.app.execute(open_day))
        await asyncio.sleep(0.2)
        assert not second.done(), "the second waits for the first"
    await asyncio.wait_for(second, 5)
    assert "20310507" in await days(world)
    await world.owner.execute("drop table router.decisions_20310507")


# Conversations.


async def test_what_dead_processes_reserved_is_given_back_of_each_tenant(world: World, app: Database) -> None:
    tenants = [await world.tenant(name) for name in ("one", "two")]
    for tenant in tenants:
        await world.owner.fetch("select router.put_limits($1, null, null, null, 1, null)", tenant)
        for hours in (2, 0):
            await world.app.fetch(
                "select admitted from"
                " router.admit($1, null, uuidv7(), 0, '{0.25}', now() - make_interval(hours => $2))",
                tenant, hours,
            )  # fmt: skip
    steps = await kept(app)
    assert told(steps) == [("expire_reservations", "done", 1)] * 2
    assert steps[0].line().startswith("expire_reservations: tenant one, 1 reservations in ")
    left = await world.owner.fetch("select tenant_id, reserved_usd::float8 from router.meters order by 1")
    assert [tuple(row) for row in left] == [(tenant, 0.25) for tenant in tenants]
    assert await kept(app) == []


async def test_conversations_that_ended_are_forgotten_of_all_tenants(world: World, app: Database) -> None:
    one, two = await world.tenant("one"), await world.tenant("two")
    await talk(world, one, 7, seconds=1)
    await talk(world, two, 3, seconds=1)
    other = await world.tenant("three")
    await talk(world, other, 2, seconds=3600)
    assert told(await kept(app)) == [("expire_conversations", "done", 10)]
    rows = await world.owner.fetch("select tenant_id, count(*) from router.conversations group by 1")
    assert [tuple(row) for row in rows] == [(other, 2)]
    assert await kept(app) == []


async def test_expired_conversations_are_deleted_in_bounded_batches(world: World) -> None:
    tenant = await world.tenant()
    await talk(world, tenant, 7, seconds=1)
    assert [await world.app.fetchval("select router.expire_conversations(3)") for _ in range(4)] == [3, 3, 1, 0]
