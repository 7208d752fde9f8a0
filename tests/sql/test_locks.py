"""Locks are rows that a login with fewer rights cannot take."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import asyncpg
import pytest

from scripts.support.connection import connect
from tests.support.sql_world import Taught, World
from tests.support.tenancy import READER

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("folder", ["sql", "app", "migrations"])
def test_no_lock_has_a_public_number(folder: str) -> None:
    for path in (ROOT / folder).rglob("*"):
        if path.suffix in (".sql", ".py"):
            assert not re.search(r"pg_(try_)?advisory", path.read_text()), path


@pytest.mark.parametrize(
    "statement",
    [
        "select * from router.tenant_locks for update", "select * from router.tenant_locks for share",
        "select * from router.tenant_locks", "lock table router.tenant_locks in access share mode",
        "select * from router_internal.job_locks for update", "lock table router_internal.job_locks",
        "select router_internal._lock_memory(1)", "select router_internal._lock_limits(1)",
        "lock table router.meters in row share mode", "select * from router.meters for update",
        "lock table router.alembic_version in share mode",
    ],
)  # fmt: skip
async def test_a_reader_takes_no_lock(world: World, statement: str) -> None:
    await world.tenant()
    reader = await connect(world.dsn, READER)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with reader.transaction():
                await reader.execute(statement)
    finally:
        await reader.close()


async def test_what_a_reader_can_lock_holds_nothing_up(world: World) -> None:
    tenant = await world.tenant()
    await world.owner.execute("select router.put_limits($1, null, 5, null, 1, null)", tenant)
    reader = await connect(world.dsn, READER)
    try:
        async with reader.transaction():
            for table in ("tenants", "limits", "meters", "reservations", "decisions", "memories", "memory_counts"):
                await reader.execute(f"lock table router.{table} in access share mode")
            await reader.execute(
                "select pg_advisory_xact_lock(hashtextextended(name, $1))"
                " from unnest(array['router.limits', 'router.memory']) as name",
                tenant,
            )
            async with asyncio.timeout(20):
                await world.app.fetch("select admitted from router.admit($1, null, uuidv7(), 1, '{0.1}')", tenant)
                await world.teach(tenant, Taught("p", {world.small: 1.0}))
                await world.app.fetch("select router.expire_reservations($1)", tenant)
                await world.owner.execute("select router.put_limits($1, null, 6, null, 1, null)", tenant)
    finally:
        await reader.close()


async def test_a_new_tenant_has_its_locks_and_a_deleted_one_has_none(world: World) -> None:
    tenant = await world.tenant()
    found = "select array_agg(purpose order by purpose) from router.tenant_locks where tenant_id = $1"
    assert await world.owner.fetchval(found, tenant) == ["limits", "memory"]
    await world.owner.fetch("select router.delete_tenant($1)", tenant)
    assert await world.owner.fetchval(found, tenant) is None
