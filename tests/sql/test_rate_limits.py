"""Rate limits in SQL: buckets of requests and tokens a minute."""

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
