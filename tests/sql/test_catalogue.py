"""The catalogue: everything has a comment, and functions declare their properties."""

from __future__ import annotations

from scripts.support.connection import connect
from tests.support.sql_world import Taught, World, direction
from tests.support.tenancy import FUNCTIONS, inhabit

#: Functions that write, and must be declared volatile.
WRITERS = {
    "_add_locks", "_add_tasks", "_attach_partition", "_begin_move", "_build_partition", "_catch_up",
    "_count_memories", "_enter", "_evict", "_index_partition", "_lock_limits", "_lock_memory", "_log_policy_change",
    "_meters_now", "_notify_change", "_open_day", "_open_meter", "_put_policy", "_record_schema", "_settle",
    "_trim_copies", "_update_speeds", "admit", "build_space", "calibrate", "change_key", "change_tenant",
    "create_key", "create_tenant", "delete_policy", "delete_provider", "delete_tenant", "drop_day", "drop_price",
    "drop_space", "expire_conversations", "expire_reservations", "fill_model", "fit", "fit_due", "forget",
    "graduate", "grant_tenant",
    "keep_response", "log_decisions", "put_limits", "put_model", "put_policy", "put_price", "put_provider", "record",
    "record_staged", "reembed", "register_space", "revoke_key", "revoke_tenant", "rotate_key", "settle_churn",
    "shrink", "stage", "sweep", "switch_space", "undo_policy_change", "_set_calibrated", "_write_fit",
}  # fmt: skip
# SECURITY DEFINER; sql/README.md has the reason of each.
AS_OWNER = {
    "_open_day",
    "authenticate",
    "chores",
    "drop_day",
    "expire_conversations",
    "graduate",
    "is_foreign",
    "shrink",
    "sweep",
}
#: Functions with settings of their own, for their plans.
PLANS = {
    "_search": ["plan_cache_mode=force_custom_plan", "hnsw.iterative_scan=relaxed_order"],
    "_edges": ["plan_cache_mode=force_custom_plan"],
    "memory_nodes": ["plan_cache_mode=force_custom_plan"],
    "_certified_alpha": ["enable_nestloop=off"],
    "_curve": ["enable_nestloop=off"],
    # Names in definitions are qualified by schemas that are not in the path.
    "_schema_facts": ["search_path=pg_catalog, pg_temp"],
}


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
        "_add_known", "_alphas", "_antitonic_fit", "_binomial_bound", "_binomial_cdf", "_blend", "_borrowed",
        "_bucket_level", "_changed_settings", "_check_examples",
        "_check_goal",        "_cost", "_estimated", "_explanation", "_fixed_sequence", "_inverse", "_mean",
        "_prior", "_refusal", "_scopes", "_static_blend",
        "_with_weights",
    }  # fmt: skip
    assert set(by_volatility) == {b"s"}
    assert {"decide", "neighbours", "estimates", "explain", "evidence", "authenticate"} <= by_volatility[b"s"]


async def test_few_functions_run_as_their_owner(world: World) -> None:
    rows = await world.owner.fetch(f"select proname, prosecdef, proconfig from {FUNCTIONS}")
    assert {row["proname"] for row in rows if row["prosecdef"]} == AS_OWNER
    for row in rows:
        plans = PLANS.get(row["proname"])
        assert row["proconfig"] == (["search_path=pg_catalog, pg_temp"] if row["prosecdef"] else plans), row["proname"]


async def test_the_role_public_has_no_rights(world: World) -> None:
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
