"""Settlement: real costs replace reservations."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from tests.support.budget_world import (
    DAY,
    SECOND,
    admit,
    key_of,
    limit,
    meter,
    reserved,
    settle,
)
from tests.support.sql_world import START, World, uuid7


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
    assert not row["admitted"], "until the cost of the first is known"
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
