"""Limits, admissions and settlements in SQL, called as the proxy calls them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg

from tests.support.sql_world import START, World, uuid7


async def key_of(world: World, tenant: int, name: str = "key") -> int:
    """Create a key of the tenant and return its number."""
    found: int = await world.owner.fetchval(
        "select router.create_key($1, sha256($2), 'rk-123456', $3)", tenant, f"{tenant} {name}".encode(), name
    )
    return found


async def limit(
    world: World,
    tenant: int,
    key: int | None = None,
    *,
    requests: int | None = None,
    tokens: int | None = None,
    day: float | None = None,
    month: float | None = None,
    since: datetime = START,
) -> bool:
    """Set limits whose buckets were full at `since`, and return whether there were any before."""
    had: bool = await world.owner.fetchval(
        "select router.put_limits($1, $2, $3, $4, $5, $6)", tenant, key, requests, tokens, day, month
    )
    # The clock of the tests stands still, and is long past.
    await world.owner.execute(
        "update router.meters set refilled_at = $2, day = $3 from router_internal._enter($1) where tenant_id = $1",
        tenant, since, since.date(),
    )  # fmt: skip
    return had


async def admit(
    world: World,
    tenant: int,
    key: int | None,
    number: int,
    costs: Sequence[float | None] = (0.1,),
    *,
    tokens: int = 0,
    now: datetime = START,
    by: asyncpg.Connection | None = None,
) -> asyncpg.Record:
    """Return the row of `router.admit` for the request of that number and time."""
    (row,) = await (by or world.app).fetch(
        "select * from router.admit($1, $2, $3, $4, $5, $6)", tenant, key, uuid7(now, number), tokens, costs, now
    )
    return row


async def settle(
    world: World,
    tenant: int,
    *entries: tuple[UUID, int | None, float | None, int | None],
    now: datetime = START,
    by: asyncpg.Connection | None = None,
) -> None:
    """Settle requests, each given by its number, key, USD and tokens."""
    connection = by or world.app
    async with connection.transaction():
        await connection.execute("select router_internal._enter($1)", tenant)
        usages = [(tenant, *entry) for entry in entries]
        await connection.execute("select router_internal._settle($1, $2, $3)", tenant, usages, now)


async def meter(world: World, tenant: int, key: int | None = None) -> dict[str, Any]:
    """Return the stored meter of a tenant, or of its key."""
    (row,) = await world.owner.fetch(
        "select m.* from router.meters as m join router.limits as l using (limit_id)"
        " where l.tenant_id = $1 and l.key_id is not distinct from $2",
        tenant, key,
    )  # fmt: skip
    return dict(row)


async def assert_reservations_are_what_meters_say(world: World) -> None:
    """Assert that the reserved sum of each meter equals a recount."""
    rows = await world.owner.fetch(
        """
        select l.tenant_id, l.key_id, m.reserved_usd, coalesce(sum(r.usd), 0) as recounted
        from router.limits as l
        join router.meters as m using (limit_id)
        left join router.reservations as r
            on r.tenant_id = l.tenant_id and (l.key_id is null or r.key_id = l.key_id)
        group by l.tenant_id, l.key_id, m.reserved_usd
        """
    )
    assert [row for row in rows if row["reserved_usd"] != row["recounted"]] == []


async def reserved(world: World, tenant: int) -> list[tuple[Decimal, int]]:
    """Return USD and tokens of each reservation of the tenant, the oldest first."""
    rows = await world.owner.fetch(
        "select usd, tokens from router.reservations where tenant_id = $1 order by decision_id", tenant
    )
    return [tuple(row) for row in rows]


SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
