"""Promises of the catalogue: no tenant sees another, no role may more than it needs, and everything is described."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from app.store.database import APP_ROLE
from tests.support.sql_world import START, Taught, World, connect, direction, uuid7

READER = "router_reader"
NOTHING = "jsonb_populate_record(null::router.policy_settings, '{}')"
# What the roles may call; the rest is for the owner alone. `_count_memories` and `_notify_change` are triggers.
FOR_THE_APP = {
    "_add_known", "_add_tasks", "_base_sums", "_blend", "_cost", "_count_memories", "_enter", "_evict",
    "_explanation", "_labels", "_lock_memory", "_open_day", "_prices", "_prior", "_scan", "_search", "_update_speeds",
    "authenticate", "candidates", "catalogue", "chores", "decide", "decision", "drop_day", "embedding_width",
    "estimates", "evidence", "expire_conversations", "explain", "export", "forget", "graduate", "log_decisions",
    "neighbours", "prices", "recall", "record", "register_space", "revision", "shrink", "spaces_of", "status",
    "sweep",
}  # fmt: skip
FOR_READERS = {
    "_add_known", "_base_sums", "_blend", "_enter", "_explanation", "_granted_tenants", "_labels", "_prices",
    "_prior", "_scan", "_search", "catalogue", "decide", "decision", "embedding_width", "estimates", "evidence",
    "explain", "export", "neighbours", "prices", "recall", "revision", "spaces_of", "status",
}  # fmt: skip
WRITERS = {
    "_add_tasks", "_attach_partition", "_begin_move", "_build_partition", "_catch_up", "_count_memories", "_enter",
    "_evict", "_index_partition", "_lock_memory", "_notify_change", "_open_day", "_trim_copies", "_update_speeds",
    "build_space", "change_tenant", "create_key", "create_tenant", "delete_policy", "delete_tenant", "drop_day",
    "drop_price", "drop_space", "expire_conversations", "forget", "graduate", "grant_tenant", "log_decisions",
    "put_model", "put_policy", "put_price", "put_provider", "record", "record_staged", "reembed", "register_space",
    "revoke_key", "revoke_tenant", "settle_churn", "shrink", "stage", "sweep", "switch_space",
}  # fmt: skip
#: What backtest and savings are made of, which either role may ask.
WORTH = {
    "_alphas", "_blend", "_candidates", "_choices", "_curve", "_ledger_summary", "_outcomes", "_prior", "_setup",
    "_static_blend", "_trial", "_trials", "_verdict", "backtest", "savings",
}  # fmt: skip
#: What a decision is made of.
PARTS = {
    "_context",
    "_conversation",
    "_sort_keys",
    "_estimates",
    "_with_lengths",
    "_with_task_and_base",
    "_nearest",
    "decide_many",
}
FOR_THE_APP |= WORTH | PARTS
FOR_READERS |= WORTH | PARTS
FOR_THE_APP |= {"holder", "list_providers"}
WRITERS |= {"calibrate", "change_key", "delete_provider", "fill_model", "rotate_key"}
#: Budgets and rate limits.
FOR_THE_APP |= {"_bucket_level", "_refusal", "_settle", "_meters_now", "admit", "expire_reservations", "usage"}
FOR_READERS |= {"_bucket_level", "usage"}
WRITERS |= {"_open_meter", "_settle", "_meters_now", "admit", "expire_reservations", "put_limits"}
#: Tenant tables that a role may not select from; of the keys a reader has the columns without the hash.
UNREAD = {APP_ROLE: {"router.api_keys", "router.reader_grants"}, READER: {"router.api_keys"}}
# SECURITY DEFINER; sql/README.md says why each has to be.
AS_OWNER = {"_open_day", "authenticate", "chores", "drop_day", "expire_conversations", "graduate", "shrink", "sweep"}
#: Settings of their own, for their plans.
PLANS = {
    "_search": ["plan_cache_mode=force_custom_plan", "hnsw.iterative_scan=relaxed_order"],
    "_curve": ["enable_nestloop=off"],
}
FUNCTIONS = "pg_proc as p where p.pronamespace::regnamespace::text like 'router%'"
TABLES = """
    select c.oid::regclass::text as name, c.oid
    from pg_class as c
    where c.relnamespace = 'router'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
        and exists (select from pg_attribute as a where a.attrelid = c.oid and a.attname = 'tenant_id')
    order by 1
"""


async def inhabit(world: World, name: str) -> int:
    """A tenant with a row in every table."""
    tenant = await world.tenant(name)
    policy = await world.policy(tenant)
    await world.owner.fetch("select router.create_key($1, sha256($2), 'rk-12345')", tenant, name.encode())
    await world.owner.execute(
        f"set router.tenant_id = {tenant};"
        f" insert into router.tenant_prices values ({tenant}, {world.small}, 1, null, 2, '2026-01-01');"
        f" insert into router.limits (tenant_id, day_usd) values ({tenant}, 1);"
        f" insert into router.calibrations values ({tenant}, {policy}, now(), 0.98, 0.9, {world.space}, {NOTHING},"
        f" {NOTHING}, false, 30, 30, {world.large}, 0.5, 0.4, 0.5, 1, 0.98, 0.001, 0.002, 0.5,"
        f" '{{{world.large}}}', '{{1}}');"
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
    """Every table with a tenant_id, from the catalogue: a new one is tested by being there."""
    return [row["name"] for row in await world.owner.fetch(TABLES)]


async def readable(world: World, role: str) -> list[str]:
    """Those of them that a role may select from."""
    tables = await tenant_tables(world)
    found = [t for t in tables if await world.owner.fetchval("select has_table_privilege($1, $2, 'select')", role, t)]
    assert set(tables) - set(found) == UNREAD[role]
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
    assert tried == 20


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
            # The upkeep takes away what has ended, whosoever it was.
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


async def test_the_roles_are_nobody_else(world: World) -> None:
    rows = await world.owner.fetch(
        "select rolname, rolsuper or rolbypassrls or rolcanlogin or rolcreaterole or rolcreatedb as more,"
        " exists (select from pg_auth_members as m where m.member = r.oid) as member"
        " from pg_roles as r where rolname = any($1)",
        [APP_ROLE, READER],
    )
    assert [tuple(row)[1:] for row in rows] == [(False, False)] * 2


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


@pytest.mark.parametrize("call", ["create_tenant('x')", "delete_tenant(1)", "create_key(1, '', '')", "list_tenants()"])
async def test_the_proxy_does_not_administer(world: World, call: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await world.app.fetch(f"select router.{call}")


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
        where p.pronamespace::regnamespace::text like 'router%'
            and obj_description(p.oid, 'pg_proc') is null
        union all
        select 'type ' || t.typname from pg_type as t left join pg_class as c on c.oid = t.typrelid
        where t.typnamespace::regnamespace::text like 'router%' and t.typelem = 0
            and (t.typrelid = 0 or c.relkind = 'c')
            and obj_description(t.oid, 'pg_type') is null
        union all
        select 'schema ' || n.nspname from pg_namespace as n
        where n.nspname in ('router', 'router_internal') and obj_description(n.oid, 'pg_namespace') is null
        """
    )
    assert [row["name"] for row in undescribed] == []


async def test_functions_declare_whether_they_write(world: World) -> None:
    rows = await world.owner.fetch(f"select proname, provolatile from {FUNCTIONS}")
    by_volatility: dict[bytes, set[str]] = {}
    for row in rows:
        by_volatility.setdefault(row["provolatile"], set()).add(row["proname"])
    assert by_volatility.pop(b"v") == WRITERS
    assert by_volatility.pop(b"i") == {
        "_add_known", "_alphas", "_antitonic_fit", "_blend", "_bucket_level", "_cost", "_explanation", "_prior",
        "_refusal", "_static_blend", "_with_lengths",
    }  # fmt: skip
    assert set(by_volatility) == {b"s"}
    assert {"decide", "neighbours", "estimates", "explain", "evidence", "authenticate"} <= by_volatility[b"s"]


async def test_few_functions_run_as_their_owner(world: World) -> None:
    rows = await world.owner.fetch(f"select proname, prosecdef, proconfig from {FUNCTIONS}")
    assert {row["proname"] for row in rows if row["prosecdef"]} == AS_OWNER
    for row in rows:
        plans = PLANS.get(row["proname"])
        assert row["proconfig"] == (["search_path=pg_catalog, pg_temp"] if row["prosecdef"] else plans), row["proname"]


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
        " where n.nspname in ('router', 'router_internal') and a.grantee = 0)"
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
            await world.teach(tenant, Taught(f"at {path}", {world.small: 1.0}), by=connection)
        finally:
            await connection.close()
