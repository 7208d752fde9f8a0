"""Promises of the catalogue: no tenant sees another, no role may more than it needs, and everything is described."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from app.store.database import APP_ROLE
from tests.sql_world import START, Lesson, World, connect, direction, uuid7

READER = "router_reader"
# What the roles may call; the rest is for the owner alone. `_count_memories` and `_announce` are triggers.
FOR_THE_APP = {
    "_count_memories", "_enter", "_evict", "_open_day", "_price", "_task", "authenticate", "candidates", "catalogue",
    "decide", "decision", "embedding_width", "estimates", "explain", "forget", "log_decisions", "neighbours", "recall",
    "record", "register_space", "revision", "spaces_of", "status",
}  # fmt: skip
FOR_READERS = {
    "_enter", "catalogue", "decide", "decision", "embedding_width", "estimates", "explain", "neighbours", "recall",
    "revision", "spaces_of", "status",
}  # fmt: skip
WRITERS = {
    "_announce", "_count_memories", "_enter", "_evict", "_open_day", "_task", "build_space", "change_tenant",
    "create_key", "create_tenant", "delete_policy", "delete_tenant", "drop_space", "forget", "log_decisions",
    "put_model", "put_policy", "put_provider", "record", "reembed", "register_space", "revoke_key", "switch_space",
}  # fmt: skip
FUNCTIONS = "pg_proc as p where p.pronamespace = 'router'::regnamespace"
TABLES = """
    select c.oid::regclass::text as name, c.oid
    from pg_class as c
    where c.relnamespace = 'router'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
        and exists (select from pg_attribute as a where a.attrelid = c.oid and a.attname = 'tenant_id')
    order by 1
"""


@pytest.fixture
async def reader(world: World) -> AsyncIterator[asyncpg.Connection]:
    """A connection as the readers' role."""
    connection = await connect(world.dsn, READER)
    yield connection
    await connection.close()


async def inhabit(world: World, name: str) -> int:
    """A tenant with a row in every table."""
    tenant = await world.tenant(name)
    policy = await world.policy(tenant)
    await world.owner.fetch("select router.create_key($1, sha256($2), 'rk-12345')", tenant, name.encode())
    await world.teach(tenant, Lesson(f"secret of {name}", {world.small: 1.0, world.large: 0.5}, task="tag"))
    await world.log(
        {
            "tenant_id": tenant, "policy_id": policy, "decision_id": uuid7(START, tenant), "conversation": b"c" * 16,
            "first_token_ms": 1.0,
        }
    )  # fmt: skip
    return tenant


async def tenant_tables(world: World) -> list[str]:
    """Every table with a tenant_id, from the catalogue: a new one is tested by being there."""
    return [row["name"] for row in await world.owner.fetch(TABLES)]


async def readable(world: World, role: str) -> list[str]:
    """Those of them that a role may select from."""
    tables = await tenant_tables(world)
    found = [t for t in tables if await world.owner.fetchval("select has_table_privilege($1, $2, 'select')", role, t)]
    assert set(tables) - set(found) == {"router.api_keys"}
    return found


async def enter(connection: asyncpg.Connection, tenant: int | None) -> None:
    """Set the session's tenant; None: as after a transaction that had one."""
    await connection.execute(f"select set_config('router.tenant_id', '{tenant or ''}', false)")


# Rows.


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
    assert tried == 16


async def test_a_leaky_function_is_shown_own_rows_only(world: World) -> None:
    mine = await inhabit(world, "a")
    await inhabit(world, "b")
    await world.owner.execute(
        """
        create function public.leak(p_row anyelement) returns boolean language plpgsql cost 0.0000001 as
        $$ begin raise notice '%', p_row::text; return true; end $$;
        grant execute on function public.leak to router_app;
        """
    )
    heard: list[str] = []
    connection = await connect(world.dsn)
    try:
        connection.add_log_listener(lambda _, message: heard.append(message.message))
        await enter(connection, mine)
        tables = await readable(world, APP_ROLE)
        for table in tables:
            await connection.fetch(f"select from {table} as t where public.leak(t.tenant_id)")
        await connection.fetch("select from router.memory_texts as t where public.leak(t.prompt)")
    finally:
        await connection.close()
    assert set(heard) == {str(mine), "secret of a"}
    assert heard.count(str(mine)) >= len(tables)


async def test_no_tenant_table_is_without_row_level_security(world: World) -> None:
    rows = await world.owner.fetch(
        f"select t.name, c.relrowsecurity and c.relforcerowsecurity as forced from ({TABLES}) as t"
        " join pg_class as c on c.oid = t.oid"
    )
    assert len(rows) >= 12
    assert [row["name"] for row in rows if not row["forced"]] == []


async def test_partitions_are_reached_through_their_table_alone(world: World) -> None:
    await inhabit(world, "a")
    rows = await world.owner.fetch(
        "select oid::regclass::text as name, relacl::text as granted from pg_class"
        " where relnamespace = 'router'::regnamespace and relispartition and relkind in ('r', 'p')"
    )
    assert "router.decisions_20260301" in {row["name"] for row in rows}
    for row in rows:
        assert "router_" not in (row["granted"] or ""), row["name"]
        assert "{=" not in (row["granted"] or ""), row["name"]


# Roles.


async def test_the_proxy_cannot_read_keys(world: World) -> None:
    await inhabit(world, "a")
    for column in ("*", "hint", "key_hash"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await world.app.fetch(f"select {column} from router.api_keys")


async def test_the_proxy_makes_no_tables(world: World) -> None:
    for statement in (
        "create table router.mine (id int)",
        "create table router.mine partition of router.decisions for values from ('2030-01-01') to ('2030-01-02')",
        "create function router.mine() returns int language sql as 'select 1'",
        "drop table router.tenants",
        "alter table router.tenants disable row level security",
        "truncate router.memories",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await world.app.execute(statement)


async def test_each_role_may_call_what_it_needs(world: World) -> None:
    for role, allowed in ((APP_ROLE, FOR_THE_APP), (READER, FOR_READERS)):
        rows = await world.owner.fetch(
            f"select proname from {FUNCTIONS} and has_function_privilege($1, p.oid, 'execute')", role
        )
        assert {row["proname"] for row in rows} == allowed, role


@pytest.mark.parametrize("call", ["create_tenant('x')", "delete_tenant(1)", "create_key(1, '', '')", "tenancies()"])
async def test_the_proxy_does_not_administer(world: World, call: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await world.app.fetch(f"select router.{call}")


async def test_readers_see_every_tenant(world: World, reader: asyncpg.Connection) -> None:
    tenants = sorted([await inhabit(world, "a"), await inhabit(world, "b")])
    for table in await readable(world, READER):
        rows = await reader.fetch(f"select distinct tenant_id from {table} order by 1")
        assert [row["tenant_id"] for row in rows] == tenants, table
    for view in ("overview", "memory"):
        assert [row["tenant"] for row in await reader.fetch(f"select tenant from router.{view} order by 1")] == [
            "a",
            "b",
        ]
    assert len(await reader.fetch("select key_id, hint, revoked_at from router.api_keys")) == 2


async def test_readers_do_not_see_key_hashes(world: World, reader: asyncpg.Connection) -> None:
    await inhabit(world, "a")
    for columns in ("key_hash", "*"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await reader.fetch(f"select {columns} from router.api_keys")


async def test_readers_write_nothing(world: World, reader: asyncpg.Connection) -> None:
    granted = await world.owner.fetch(
        """
        select c.relname, a.privilege_type from pg_class as c cross join lateral aclexplode(c.relacl) as a
        where c.relnamespace = 'router'::regnamespace and a.grantee = 'router_reader'::regrole
        """
    )
    assert {row["privilege_type"] for row in granted} == {"SELECT"}
    tenant = await inhabit(world, "a")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await reader.fetch("select router.forget($1)", tenant)


async def test_readers_may_ask_what_would_be_decided(world: World, reader: asyncpg.Connection) -> None:
    tenant = await inhabit(world, "a")
    rows = await world.decide(tenant, await world.policy(tenant), direction(0), by=reader)
    assert rows[0]["reason"] == "learned"


# Keys.


async def test_a_key_is_whose_it_is_until_it_expires_or_is_revoked(world: World) -> None:
    tenant = await world.tenant(route_explicit=True)
    expires = await world.owner.fetchval("select now() + interval '1 hour'")
    keys = {
        name: await world.owner.fetchval(
            "select router.create_key($1, sha256($2), 'rk-12345', $3, $4)", tenant, name.encode(), name, until
        )
        for name, until in (("good", None), ("short", expires), ("lost", None))
    }
    assert await world.owner.fetchval("select router.revoke_key($1, $2)", tenant, keys["lost"])

    async def caller(name: str, now: Any = START) -> list[asyncpg.Record]:
        rows: list[asyncpg.Record] = await world.app.fetch(
            "select * from router.authenticate(sha256($1), $2)", name.encode(), now
        )
        return rows

    (row,) = await caller("good")
    assert tuple(row)[:5] == (tenant, "acme", keys["good"], None, True)
    assert len(await caller("short")) == 1
    assert await caller("short", expires) == []
    assert await caller("lost") == await caller("unheard of") == []


async def test_a_key_of_another_tenant_cannot_be_revoked(world: World) -> None:
    one, two = await world.tenant("one"), await world.tenant("two")
    key = await world.owner.fetchval("select router.create_key($1, sha256('k'), 'rk-12345')", one)
    assert not await world.owner.fetchval("select router.revoke_key($1, $2)", two, key)
    assert await world.app.fetch("select * from router.authenticate(sha256('k'))")


# The catalogue.


async def test_everything_is_described(world: World) -> None:
    await inhabit(world, "a")
    undescribed = await world.owner.fetch(
        """
        select 'relation ' || c.relname as name from pg_class as c
        where c.relnamespace = 'router'::regnamespace and c.relkind in ('r', 'p', 'v', 'm')
            and obj_description(c.oid, 'pg_class') is null
        union all
        select 'sequence ' || c.relname from pg_class as c
        where c.relnamespace = 'router'::regnamespace and c.relkind = 'S' and obj_description(c.oid, 'pg_class') is null
            and not exists (select from pg_depend as d where d.objid = c.oid and d.deptype = 'i')
        union all
        select 'column ' || c.relname || '.' || a.attname from pg_class as c
        join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        where c.relnamespace = 'router'::regnamespace and c.relkind in ('r', 'p', 'v', 'm') and not c.relispartition
            and col_description(c.oid, a.attnum) is null
        union all
        select 'function ' || p.proname from pg_proc as p
        where p.pronamespace = 'router'::regnamespace and obj_description(p.oid, 'pg_proc') is null
        union all
        select 'type ' || t.typname from pg_type as t left join pg_class as c on c.oid = t.typrelid
        where t.typnamespace = 'router'::regnamespace and t.typelem = 0 and (t.typrelid = 0 or c.relkind = 'c')
            and obj_description(t.oid, 'pg_type') is null
        union all
        select 'schema ' || n.nspname from pg_namespace as n
        where n.nspname = 'router' and obj_description(n.oid, 'pg_namespace') is null
        """
    )
    assert [row["name"] for row in undescribed] == []


async def test_functions_declare_whether_they_write(world: World) -> None:
    rows = await world.owner.fetch(f"select proname, provolatile from {FUNCTIONS}")
    by_volatility: dict[bytes, set[str]] = {}
    for row in rows:
        by_volatility.setdefault(row["provolatile"], set()).add(row["proname"])
    assert by_volatility.pop(b"v") == WRITERS
    assert by_volatility.pop(b"i") == {"_price"}
    assert set(by_volatility) == {b"s"}
    assert {"decide", "neighbours", "estimates", "explain", "authenticate"} <= by_volatility[b"s"]


async def test_two_functions_alone_run_as_their_owner(world: World) -> None:
    rows = await world.owner.fetch(f"select proname, prosecdef, proconfig from {FUNCTIONS}")
    assert {row["proname"] for row in rows if row["prosecdef"]} == {"authenticate", "_open_day"}
    for row in rows:
        assert row["proconfig"] == (["search_path=pg_catalog, pg_temp"] if row["prosecdef"] else None), row["proname"]


async def test_the_public_may_do_nothing(world: World) -> None:
    functions = await world.owner.fetch(
        f"select proname from {FUNCTIONS} and (p.proacl is null or exists (select from aclexplode(p.proacl) as a"
        " where a.grantee = 0))"
    )
    assert [row["proname"] for row in functions] == []
    granted = await world.owner.fetch(
        "select c.relname from pg_class as c cross join lateral aclexplode(c.relacl) as a"
        " where c.relnamespace = 'router'::regnamespace and a.grantee = 0"
    )
    assert [row["relname"] for row in granted] == []
    assert not await world.owner.fetchval(
        "select exists (select from pg_namespace as n cross join lateral aclexplode(n.nspacl) as a"
        " where n.nspname = 'router' and a.grantee = 0)"
    )


async def test_no_function_has_an_overload(world: World) -> None:
    rows = await world.owner.fetch(f"select proname from {FUNCTIONS} group by proname having count(*) > 1")
    assert [row["proname"] for row in rows] == []


async def test_functions_work_whatever_the_search_path_is(world: World) -> None:
    tenant = await inhabit(world, "a")
    policy = await world.policy(tenant)
    await world.owner.execute("create table if not exists public.policies (tenant_id int)")
    for path in ("pg_catalog", "public, pg_catalog", ""):
        connection = await connect(world.dsn, search_path=path)
        try:
            assert (await world.decide(tenant, policy, direction(0), by=connection))[0]["reason"] == "learned"
            await world.teach(tenant, Lesson(f"at {path}", {world.small: 1.0}), by=connection)
        finally:
            await connection.close()
