"""Graduated tenants: moves between the tiers, and where memories are stored."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from math import pi
from typing import Any

import asyncpg

from scripts.support.connection import connect
from tests.support.sql_world import Taught, World, direction

Work = Callable[[asyncpg.Connection], Awaitable[None]]


def lessons(count: int, world: World, lead: str = "") -> list[Taught]:
    """Return examples whose embeddings point in `count` directions."""
    return [
        Taught(f"{lead}{i}", {world.small: (i % 3) / 2, world.large: 1.0}, direction(pi * i / count), task=f"t{i % 3}")
        for i in range(count)
    ]


async def graduate(world: World, tenant: int, space: int | None = None) -> int:
    """Move the tenant as the proxy does, and return how many memories moved."""
    moved: int = await world.app.fetchval("select router.graduate($1, $2)", tenant, space)
    return moved


async def shrink(world: World, tenant: int, space: int | None = None) -> int:
    """Move the tenant as the proxy does, and return how many memories moved."""
    moved: int = await world.app.fetchval("select router.shrink($1, $2)", tenant, space)
    return moved


async def let_a_minute_pass(world: World) -> None:
    """Set the time of every move back by more than a minute."""
    await world.owner.execute("update router.memory_counts set moved_at = moved_at - interval '1 minute'")


async def sweep(world: World, tenant: int, space: int | None = None) -> bool:
    """Drop the tenant's empty partition, if it was left long enough ago."""
    await let_a_minute_pass(world)
    gone: bool = await world.app.fetchval("select router.sweep($1, $2)", tenant, space or world.space)
    return gone


async def places(world: World, tenant: int) -> dict[str, int]:
    """Return the tables that hold memories of the tenant, with their number."""
    rows = await world.owner.fetch(
        "select tableoid::regclass::text as name, count(*) as held from router.memories where tenant_id = $1"
        " group by 1 order by 1",
        tenant,
    )
    return {row["name"].removeprefix("router."): row["held"] for row in rows}


async def partitions(world: World) -> set[str]:
    """Return every partition below memories_large."""
    rows = await world.owner.fetch(
        "select relid::regclass::text as name from pg_partition_tree('router.memories_large') where level > 0"
    )
    return {row["name"].removeprefix("router.") for row in rows}


async def similar(world: World, tenant: int, by: asyncpg.Connection | None = None) -> list[int]:
    """Return the numbers of the memories nearest to a direction, as the decision reads them."""
    connection = by or world.app
    async with connection.transaction():
        await connection.execute(f"select router_internal._enter({tenant})")
        rows = await connection.fetch(
            "select memory_id from router.neighbours($1, $2, $3, 10)", tenant, world.space, direction(0.5)
        )
    return [row["memory_id"] for row in rows]


@asynccontextmanager
async def in_transaction(world: World) -> AsyncIterator[Any]:
    """Open a connection of the owner with a transaction, and commit it at the end."""
    connection = await connect(world.dsn, None)
    try:
        async with connection.transaction():
            yield connection
    finally:
        await connection.close()
