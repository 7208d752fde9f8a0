"""Budgets in SQL: reservations and refusals."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import asyncpg
import pytest

from tests.support.budget_world import (
    DAY,
    admit,
    key_of,
    limit,
    meter,
    reserved,
    settle,
)
from tests.support.sql_world import START, World, uuid7


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
