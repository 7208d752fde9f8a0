"""No tenant sees another's rows, with any role."""

from __future__ import annotations

import asyncpg
import pytest

from app.store.database import APP_ROLE
from scripts.support.connection import connect
from tests.support.sql_world import World, direction
from tests.support.tenancy import READER, TABLES, enter, inhabit, readable, tenant_tables


async def test_without_a_tenant_there_are_no_rows(world: World) -> None:
    await inhabit(world, "a")
    fresh = await connect(world.dsn)
    try:
        for table in await readable(world, APP_ROLE):
            assert await world.owner.fetchval(f"select count(*) from {table}") > 0, table
            assert await fresh.fetchval(f"select count(*) from {table}") == 0, table
        await enter(fresh, None)
        for table in await readable(world, APP_ROLE):
            assert await fresh.fetchval(f"select count(*) from {table}") == 0, table
    finally:
        await fresh.close()


async def test_a_call_leaves_no_tenant_behind(world: World) -> None:
    tenant = await inhabit(world, "a")
    await world.decide(tenant, await world.policy(tenant), direction(0))
    for table in await readable(world, APP_ROLE):
        assert await world.app.fetchval(f"select count(*) from {table}") == 0, table


async def test_a_tenant_sees_its_own_rows_only(world: World) -> None:
    tenants = {await inhabit(world, "a"), await inhabit(world, "b")}
    for tenant in tenants:
        await enter(world.app, tenant)
        for table in await readable(world, APP_ROLE):
            rows = await world.app.fetch(f"select distinct tenant_id from {table}")
            assert [row["tenant_id"] for row in rows] == [tenant], table


async def test_nothing_is_written_for_another_tenant(world: World) -> None:
    mine, theirs = await inhabit(world, "a"), await inhabit(world, "b")
    await enter(world.app, mine)
    tried = 0
    for table in await tenant_tables(world):
        columns = ", ".join(
            row[0]
            for row in await world.owner.fetch(
                "select attname from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped"
                " order by attnum",
                table,
            )
        )
        if await world.owner.fetchval("select has_table_privilege($1, $2, 'insert')", APP_ROLE, table):
            values = columns.replace("tenant_id", str(theirs))
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
                await world.app.execute(f"insert into {table} ({columns}) select {values} from {table} limit 1")
            tried += 1
        if await world.owner.fetchval("select has_table_privilege($1, $2, 'update')", APP_ROLE, table):
            assert (
                await world.app.execute(f"update {table} set tenant_id = {mine} where tenant_id = {theirs}")
                == "UPDATE 0"
            )
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
                await world.app.execute(f"update {table} set tenant_id = {theirs}")
            tried += 1
        if await world.owner.fetchval("select has_table_privilege($1, $2, 'delete')", APP_ROLE, table):
            assert await world.app.execute(f"delete from {table} where tenant_id = {theirs}") == "DELETE 0"
            tried += 1
    assert tried == 29


async def test_no_tenant_table_is_without_row_level_security(world: World) -> None:
    rows = await world.owner.fetch(
        f"select t.name, c.relrowsecurity and c.relforcerowsecurity as forced from ({TABLES}) as t"
        " join pg_class as c on c.oid = t.oid"
    )
    assert len(rows) >= 12
    assert [row["name"] for row in rows if not row["forced"]] == []


async def test_a_partition_is_closed_or_has_policies_of_its_own(world: World) -> None:
    await inhabit(world, "a")
    rows = await world.owner.fetch(
        """
        select c.oid::regclass::text as name, r.role,
            has_any_column_privilege(r.role, c.oid, 'select, insert, update, references')
                or has_table_privilege(r.role, c.oid, 'delete, truncate, trigger, maintain') as open,
            c.relrowsecurity and c.relforcerowsecurity as forced
        from pg_class as c cross join unnest($1::text[]) as r (role)
        where c.relnamespace = 'router'::regnamespace and c.relispartition and c.relkind in ('r', 'p')
        """,
        [APP_ROLE, READER],
    )
    assert {"router.decisions_20260301", "router.memories_small"} <= {row["name"] for row in rows}
    assert [(row["name"], row["role"]) for row in rows if row["open"] and not row["forced"]] == []


async def test_each_policy_is_for_one_kind_of_role(world: World) -> None:
    owner = await world.owner.fetchval("select current_user")
    rows = await world.owner.fetch("select tablename, policyname, roles, cmd, qual, with_check from pg_policies")
    assert len(rows) >= 3 * len(await tenant_tables(world)) - 1
    for row in rows:
        name, roles = row["policyname"], set(row["roles"])
        assert row["with_check"] is None, name
        if name.endswith("_of_tenant"):
            assert roles == {APP_ROLE, owner}, name
            assert "current_setting('router.tenant_id'" in row["qual"], name
        elif name.endswith("_of_reader"):
            assert (roles, row["cmd"]) == ({READER}, "SELECT"), name
            assert row["qual"] != "true", name
        elif name == "conversations_expired":
            # Maintenance deletes expired rows of all tenants.
            assert (roles, row["cmd"]) == ({owner}, "DELETE")
            assert "expires_at <= now()" in row["qual"]
        else:
            assert name.endswith("_of_owner"), name
            assert roles == {owner}, name


async def test_views_show_what_the_asker_may_see(world: World) -> None:
    rows = await world.owner.fetch(
        "select relname, reloptions from pg_class where relnamespace = 'router'::regnamespace and relkind in ('v', 'm')"
    )
    assert {row["relname"] for row in rows} >= {"overview", "recent_decisions", "memory"}
    assert [row["relname"] for row in rows if "security_invoker=true" not in (row["reloptions"] or [])] == []


async def test_the_roles_have_no_other_rights(world: World) -> None:
    rows = await world.owner.fetch(
        "select rolname, rolsuper or rolbypassrls or rolcanlogin or rolcreaterole or rolcreatedb as more,"
        " exists (select from pg_auth_members as m where m.member = r.oid) as member"
        " from pg_roles as r where rolname = any($1)",
        [APP_ROLE, READER],
    )
    assert [tuple(row)[1:] for row in rows] == [(False, False)] * 2
