"""Cost of admission, and concurrent admissions."""

from __future__ import annotations

import asyncio
import random
from decimal import Decimal

import asyncpg
import pytest

from scripts.support.connection import connect
from tests.support.budget_world import (
    admit,
    assert_reservations_are_what_meters_say,
    key_of,
    limit,
    meter,
    settle,
)
from tests.support.sql_world import World, uuid7


async def test_admission_does_not_wait_for_the_disk(world: World) -> None:
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
