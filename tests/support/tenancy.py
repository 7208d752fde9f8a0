"""Tenants with a row in every table, and the roles that read them."""

from __future__ import annotations

import asyncpg

from app.store.database import APP_ROLE
from tests.support.sql_world import START, Taught, World, uuid7

READER = "router_reader"
NOTHING = "jsonb_populate_record(null::router.policy_settings, '{}')"
#: Tenant tables that a role may not select from; of the keys a reader has the columns without the hash.
UNREAD = {APP_ROLE: {"router.api_keys", "router.reader_grants"}, READER: {"router.api_keys", "router.tenant_locks"}}
FUNCTIONS = "pg_proc as p where p.pronamespace::regnamespace::text like 'router%'"
TABLES = """
    select c.oid::regclass::text as name, c.oid
    from pg_class as c
    where c.relnamespace = 'router'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
        and exists (select from pg_attribute as a where a.attrelid = c.oid and a.attname = 'tenant_id')
    order by 1
"""


async def inhabit(world: World, name: str) -> int:
    """Make a tenant with a row in every table."""
    tenant = await world.tenant(name)
    policy = await world.policy(tenant)
    await world.owner.fetch("select router.create_key($1, sha256($2), 'rk-12345')", tenant, name.encode())
    await world.owner.execute(
        f"set router.tenant_id = {tenant};"
        f" insert into router.tenant_prices values ({tenant}, {world.small}, 1, null, 2, '2026-01-01');"
        f" insert into router.limits (tenant_id, day_usd) values ({tenant}, 1);"
        f" insert into router.calibrations values ({tenant}, {policy}, now(), 0.98, 0.9, {world.space}, {NOTHING},"
        f" {NOTHING}, false, 30, 30, {world.large}, 0.5, 0.4, 0.5, 1, 0.98, 0.001, 0.002, 0.5,"
        f" '{{{world.large}}}', '{{1}}', null, null, null);"
        f" insert into router.fits values ({tenant}, {policy}, {world.space}, now(), 200, 200, 200,"
        f" '{{{world.large}}}', 100, 0.2, 2, false, 1, '{{0.5}}');"
        " reset router.tenant_id"
    )
    await world.app.fetch("select admitted from router.admit($1, null, uuidv7(), 1, '{0.1}')", tenant)
    await world.teach(tenant, Taught(f"secret of {name}", {world.small: 1.0, world.large: 0.5}, task="tag"))
    await world.log(
        {
            "tenant_id": tenant, "policy_id": policy, "decision_id": uuid7(START, tenant), "conversation": b"c" * 16,
            "first_token_ms": 1.0, "response": b"r" * 16,
        }
    )  # fmt: skip
    return tenant


async def tenant_tables(world: World) -> list[str]:
    """Return every table with a tenant_id, from the catalogue, so that new ones are tested too."""
    return [row["name"] for row in await world.owner.fetch(TABLES)]


async def readable(world: World, role: str) -> list[str]:
    """Return the tenant tables that a role may select from."""
    tables = await tenant_tables(world)
    found = [t for t in tables if await world.owner.fetchval("select has_table_privilege($1, $2, 'select')", role, t)]
    assert set(tables) - set(found) == UNREAD[role]
    return found


async def enter(connection: asyncpg.Connection, tenant: int | None) -> None:
    """Set the session's tenant; None: as after a transaction that had one."""
    await connection.execute(f"select set_config('router.tenant_id', '{tenant or ''}', false)")
