"""A hostile tenant, over HTTP with its own key and in SQL with the rights of the proxy's role."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest

from app.store.database import APP_ROLE
from scripts.support.connection import connect
from tests.support.proxy import Proxy
from tests.support.separable_prompts import easy, lessons
from tests.support.sql_world import START, World, uuid7
from tests.support.tenancy import enter, inhabit, tenant_tables

VICTIM = "bystander"
RELATIONS = """
    select c.oid::regclass::text as name
    from pg_class as c
    where c.relnamespace = 'router'::regnamespace and c.relkind in ('r', 'p', 'v', 'm')
    order by 1
"""
# Each is run on every table, partition and view; `leak` raises its argument as a notice.
QUERIES = (
    "select t::text from {t} as t",
    "select from {t} as t where public.leak(t::text)",
    "select from {t} as t where t::text like '%bystander%' and public.leak(t::text)",
    "select count(*) from {t} as t group by public.leak(t::text)",
    "select from {t} as t order by public.leak(t::text) limit 1",
    "select from {t} as t where ctid = any (array['(0,1)', '(0,2)', '(0,3)']::tid[]) and public.leak(t::text)",
    "select from {t} as t tablesample system (100) where public.leak(t::text)",
    "select from (values ({victim})) as v (tenant) left join lateral (select * from {t} offset 0) as t"
    " on t.tenant_id = v.tenant and public.leak(t::text)",
    "select 1 / (strpos(t::text, 'bystander') - strpos(t::text, 'bystander')) from {t} as t"
    " where strpos(t::text, 'bystander') > 0",
    "select t::text::int from {t} as t where t.tenant_id = {victim}",
    "update {t} as t set tenant_id = tenant_id where public.leak(t::text) returning t::text",
    "delete from {t} as t where public.leak(t::text) returning t::text",
    "merge into {t} as t using (values (1)) as v (i) on public.leak(t::text) when matched then delete"
    " returning t::text",
    "select t::text from {t} as t for update",
    "copy {t} to stdout",
    "copy (select t::text from {t} as t) to stdout",
    "declare hostile cursor for select t::text from {t} as t where public.leak(t::text); fetch all from hostile",
    "set local row_security = off; select t::text from {t} as t",
)


@dataclass
class Attack:
    """A connection with the proxy's role inside the hostile tenant, and everything that it received."""

    connection: asyncpg.Connection
    me: int
    victim: int
    heard: list[str] = field(default_factory=list)

    async def tries(self, statement: str) -> str | None:
        """Run a statement and roll it back; return its SQLSTATE if it failed."""
        transaction = self.connection.transaction()
        await transaction.start()
        try:
            await enter(self.connection, self.me)
            if statement.startswith("copy"):
                await self._copy(statement)
            elif ";" in statement:
                await self.connection.execute(statement.rpartition(";")[0])
                self.heard += [str(tuple(row)) for row in await self.connection.fetch(statement.rpartition(";")[2])]
            else:
                self.heard += [str(tuple(row)) for row in await self.connection.fetch(statement)]
        except asyncpg.PostgresError as error:
            self.heard.append(str(error.as_dict()))
            return str(error.sqlstate)
        finally:
            await transaction.rollback()
        return None

    async def _copy(self, statement: str) -> None:
        async def keep(data: bytes) -> None:
            self.heard.append(data.decode())

        inner = statement.removeprefix("copy ").removesuffix(" to stdout")
        if inner.startswith("("):
            await self.connection.copy_from_query(inner[1:-1], output=keep)
        else:
            schema, _, table = inner.partition(".")
            await self.connection.copy_from_table(table, schema_name=schema, output=keep)


@pytest.fixture
async def attack(world: World) -> AsyncIterator[Attack]:
    """The hostile tenant and the bystander, with a leaky function that the planner considers free."""
    # Numbers so high that they have no other meaning in any row.
    await world.owner.fetch(
        "select setval(s, greatest(77777000, nextval(s)))"
        " from cast(pg_get_serial_sequence('router.tenants', 'tenant_id') as regclass) as s"
    )
    me, victim = await inhabit(world, "intruder"), await inhabit(world, VICTIM)
    await world.owner.execute(
        """
        create or replace function public.leak(p_row text) returns boolean language plpgsql cost 0.0000001 as
        $$ begin raise notice '%', p_row; return true; end $$;
        analyze;
        """
    )
    connection = await connect(world.dsn)
    found = Attack(connection, me, victim)
    connection.add_log_listener(lambda _, message: found.heard.append(message.message))
    yield found
    await connection.close()


def of_the_victim(heard: list[str], victim: int) -> list[str]:
    """Return messages that contain the bystander's name, or a row with its number."""
    return [said for said in heard if VICTIM in said or f"{victim}," in said or f"{victim}\t" in said]


# In SQL.


async def test_no_query_of_the_proxys_role_leaks_another_tenant(world: World, attack: Attack) -> None:
    relations = [row["name"] for row in await world.owner.fetch(RELATIONS)]
    worked: dict[str, int] = dict.fromkeys(QUERIES, 0)
    for relation in relations:
        for query in QUERIES:
            worked[query] += await attack.tries(query.format(t=relation, victim=attack.victim)) is None
    assert of_the_victim(attack.heard, attack.victim) == []
    # The test does see rows: most statements returned rows of the intruder.
    assert sum("intruder" in said for said in attack.heard) > 10
    assert [query for query, times in worked.items() if not times] == []


async def test_a_graduated_tenant_is_as_closed(world: World, attack: Attack) -> None:
    for tenant in (attack.me, attack.victim):
        assert await world.owner.fetchval("select router.graduate($1)", tenant) == 1
    leaf = f"router.memories_large_{attack.victim}_{world.space}"
    assert await world.owner.fetchval(f"select count(*) from {leaf}") == 1
    for relation in (leaf, f"router.memories_large_{attack.victim}", "router.memories_large", "router.memories"):
        for query in QUERIES:
            state = await attack.tries(query.format(t=relation, victim=attack.victim))
            assert state == "42501" or f"_{attack.victim}" not in relation, (relation, query)
    assert of_the_victim(attack.heard, attack.victim) == []
    assert any(f"{attack.me}," in said for said in attack.heard)


async def test_a_temporary_function_of_the_proxys_role_leaks_nothing(world: World, attack: Attack) -> None:
    await attack.connection.execute(
        "create function pg_temp.leak(p_row text) returns boolean language plpgsql cost 0.0000001 as"
        " $$ begin raise notice '%', p_row; return true; end $$"
    )
    for table in await tenant_tables(world):
        await attack.tries(f"select from {table} as t where pg_temp.leak(t::text)")
    assert of_the_victim(attack.heard, attack.victim) == []
    assert any("intruder" in said for said in attack.heard)


async def test_statistics_tell_nothing_of_tenants(world: World, attack: Attack) -> None:
    tables = {name.removeprefix("router.") for name in await tenant_tables(world)}
    partitions = {
        row[0] for row in await world.owner.fetch("select relname from pg_class where relispartition and relkind = 'r'")
    }
    query = "select distinct tablename from pg_stats where schemaname = 'router'"
    assert {row[0] for row in await world.owner.fetch(query)} & tables
    await enter(attack.connection, attack.me)
    assert {row[0] for row in await attack.connection.fetch(query)} & (tables | partitions) == set()
    for catalog in ("pg_statistic", "pg_statistic_ext_data"):
        assert await attack.tries(f"select count(*) from {catalog}") == "42501"


async def test_sessions_do_not_see_what_others_ask(world: World, attack: Attack) -> None:
    other = await connect(world.dsn)
    try:
        await other.fetch(f"select '{VICTIM}'")
        rows = await attack.connection.fetch("select query from pg_stat_activity")
        assert len(rows) > 1
        assert [row["query"] for row in rows if VICTIM in (row["query"] or "")] == []
    finally:
        await other.close()


async def test_a_constraint_reveals_nothing_of_another_tenant(world: World, attack: Attack) -> None:
    policies = {
        row["tenant_id"]: row["policy_id"]
        for row in await world.owner.fetch("select tenant_id, policy_id from router.policies")
    }
    conversation = (
        "insert into router.conversations (tenant_id, policy_id, conversation, model_id, updated_at, expires_at)"
        " values ({tenant}, {policy}, 'sixteen bytes...', {model}, now(), now()) returning policy_id"
    )
    states = {
        policy: await attack.tries(conversation.format(tenant=attack.me, policy=policy, model=world.small))
        for policy in (policies[attack.me], policies[attack.victim], 2**31 - 1)
    }
    # The other tenant's policy is refused like one that does not exist.
    assert list(states.values()) == [None, "23503", "23503"]
    task = (
        "insert into router.tasks (tenant_id, task_id, name) values ({}, 9, 'tag') on conflict do nothing returning 1"
    )
    assert await attack.tries(task.format(attack.victim)) == "42501"
    assert await attack.tries(task.format(-1)) == "42501"
    # Numbers of memories are common to all tenants; only the fact that a number is used is visible.
    memory = await world.owner.fetchval("select max(memory_id) from router.memories")
    copied = (
        "insert into router.memories select tenant_id, {}, created_at, tier, space_id, task_id, prompt_tokens, quality,"
        " completion_tokens, embedding from router.memories"
    )
    assert await attack.tries(copied.format(memory)) == "23505"
    assert of_the_victim(attack.heard, attack.victim) == []


async def test_a_decision_of_another_is_neither_read_nor_overwritten(world: World, attack: Attack) -> None:
    decision = uuid7(START, attack.victim)
    assert await attack.connection.fetch("select * from router.decision($1, $2)", attack.me, decision) == []
    before = await world.owner.fetchrow("select * from router.decisions where decision_id = $1", decision)
    logged = await world.log(
        {"tenant_id": attack.me, "decision_id": decision, "requested": "intruder"}, by=attack.connection
    )
    assert logged == 0
    assert await world.owner.fetchrow("select * from router.decisions where decision_id = $1", decision) == before


async def test_the_memory_of_another_is_not_forgotten_by_its_number(world: World, attack: Attack) -> None:
    theirs = [row[0] for row in await world.owner.fetch("select memory_id from router.memory_texts")]
    assert await attack.connection.fetchval("select router.forget($1, $2)", attack.me, theirs) == 1
    assert await world.owner.fetchval("select count(*) from router.memories where tenant_id = $1", attack.victim) == 1


async def test_the_proxys_role_may_not_become_another(attack: Attack) -> None:
    for statement in (
        "alter role router_app bypassrls",
        "grant router_reader to router_app",
        "create policy mine on router.memories using (true)",
        "alter function router_internal._enter owner to router_app",
        "select pg_read_file('postgresql.conf')",
        "select * from pg_authid",
    ):
        assert await attack.tries(statement) == "42501", statement


# Over HTTP.


async def get(proxy: Proxy, key: str, path: str, method: str = "GET", **options: Any) -> tuple[int, str]:
    """Return status and body."""
    async with proxy.http(key) as http, http.request(method, path, **options) as response:
        return response.status, await response.text()


async def test_a_hostile_tenant_gets_nothing_over_http(proxy: Proxy) -> None:
    _, hostile = await proxy.new_tenant("intruder", seed_count=1)
    secret = "the bystander's secret recipe"
    await proxy.rank([{**lesson, "task": "bystander-task"} for lesson in lessons(3)])
    await proxy.rank([{"prompt": secret, "scores": {"cheap": 1.0, "strong": 0.0}, "task": "bystander-task"}])
    asked = {"model": "auto", "messages": [{"role": "user", "content": secret}]}
    status, _ = await get(
        proxy, proxy.key, "/v1/chat/completions", "POST", json=asked, headers={"x-router-conversation": "shared"}
    )
    assert status == 200
    (logged,) = await proxy.ledger()
    memories = json.loads((await get(proxy, proxy.key, "/v1/router/memories"))[1])["data"]
    (memory,) = [each["id"] for each in memories if each["prompt"] == secret]

    told: list[str] = []
    for method, path in (
        ("GET", f"/v1/router/decisions/{logged['decision_id']}"),
        ("GET", "/v1/router/memories"),
        ("GET", "/v1/router/memories?search=secret"),
        ("GET", f"/v1/router/memories?after={memory - 1}"),
        ("DELETE", f"/v1/router/memories/{memory}"),
        ("DELETE", "/v1/router/memories?all=true"),
        ("GET", "/v1/router/status"),
        ("GET", "/v1/models"),
    ):
        status, body = await get(proxy, hostile, path, method)
        told.append(body)
        if "decisions" in path or path.endswith(f"/{memory}"):
            assert status == 404, path
    status, body = await get(proxy, hostile, "/v1/router/explain", "POST", json=asked)
    # The text that was embedded is what the intruder has sent.
    told.append(json.dumps({name: value for name, value in json.loads(body).items() if name != "text"}))
    async with proxy.http(hostile) as http:
        headers = {"x-router-conversation": "shared", "x-router-task": "bystander-task"}
        later = [*asked["messages"], {"role": "assistant", "content": "x"}, {"role": "user", "content": "more"}]
        async with http.post("/v1/chat/completions", json={**asked, "messages": later}, headers=headers) as response:
            # If the other tenant's conversation were used, the reason would be sticky; if its memory, learned.
            assert response.headers["x-router-reason"] == "cold"
    assert [body for body in told if "bystander" in body or "secret" in body] == []
    kept = json.loads((await get(proxy, proxy.key, "/v1/router/memories"))[1])["data"]
    assert len(kept) == len(memories) == 3


async def test_a_policy_of_another_tenant_is_no_model(proxy: Proxy) -> None:
    _, hostile = await proxy.new_tenant("intruder")
    await proxy.admin.fetch(
        "select router.put_policy($1, 'house-blend', 'none', 'strong', array['cheap', 'strong'])", proxy.tenant_id
    )
    asked = {"model": "house-blend", "messages": [{"role": "user", "content": easy(1)}]}
    assert (await get(proxy, proxy.key, "/v1/chat/completions", "POST", json=asked))[0] == 200
    refused = await get(proxy, hostile, "/v1/chat/completions", "POST", json=asked)
    never = await get(proxy, hostile, "/v1/chat/completions", "POST", json={**asked, "model": "house-none"})
    assert refused[0] == never[0] == 404
    assert refused[1].replace("house-blend", "house-none") == never[1]
    assert "house-blend" not in (await get(proxy, hostile, "/v1/models"))[1]


async def test_the_proxy_is_the_role_that_is_attacked_here(proxy: Proxy) -> None:
    assert (await proxy.services.db.fetch("select current_user::text"))[0][0] == APP_ROLE


async def test_nothing_is_looked_up_on_the_logins_search_path(proxy: Proxy) -> None:
    for db in (proxy.services.db, proxy.admin):
        assert (await db.fetch("show search_path"))[0][0] == "pg_catalog, pg_temp"
