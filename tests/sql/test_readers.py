"""Readers: a login sees the tenants it was granted and nothing of other tenants."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest

from app.store.database import APP_ROLE
from scripts.support.connection import connect
from tests.support.sql_world import START, World, direction, uuid7
from tests.support.tenancy import READER, enter, inhabit, readable

Readers = Callable[..., Awaitable[asyncpg.Connection]]
VIEWS = ("overview", "memory")


@pytest.fixture
async def readers(world: World) -> AsyncIterator[Readers]:
    """Makes roles: `await readers(name, tenant, …)` returns a connection of one that was granted these; None: all."""
    connections: list[asyncpg.Connection] = []
    names: list[str] = []

    async def make(name: str, *tenants: int | None, member_of: str = READER) -> asyncpg.Connection:
        await world.owner.execute(f'create role "{name}"; grant {member_of} to "{name}"')
        names.append(name)
        for tenant in tenants:
            assert await world.owner.fetchval("select router.grant_tenant($1, $2)", name, tenant)
        connections.append(await connect(world.dsn, name))
        return connections[-1]

    yield make
    for connection in connections:
        await connection.close()
    for name in names:
        await world.owner.execute(
            f'do $$ begin if to_regrole(\'"{name}"\') is not null then drop role "{name}"; end if; end $$'
        )
    await world.owner.execute("delete from router.reader_grants")


async def seen(world: World, reader: asyncpg.Connection) -> set[int]:
    """Return the tenants whose rows a reader sees; fails unless it is the same in every table and view."""
    names = {
        row["name"]: row["tenant_id"] for row in await world.owner.fetch("select name, tenant_id from router.tenants")
    }
    found: dict[str, set[int]] = {}
    for table in await readable(world, READER):
        if table != "router.reader_grants":
            found[table] = {row[0] for row in await reader.fetch(f"select distinct tenant_id from {table}")}
    found["router.api_keys"] = {row[0] for row in await reader.fetch("select distinct tenant_id from router.api_keys")}
    for view in VIEWS:
        found[view] = {names[row[0]] for row in await reader.fetch(f"select distinct tenant from router.{view}")}
    assert len(found) >= 13
    (same,) = {frozenset(tenants) for tenants in found.values()}
    return set(same)


async def count_of(reader: asyncpg.Connection, call: str, *arguments: object) -> int:
    """Return the number of rows that a function returns to a reader."""
    return len(await reader.fetch(f"select * from router.{call}", *arguments))


async def granted(world: World, name: str, tenant: int | None) -> bool:
    """Return the result of grant_tenant."""
    new: bool = await world.owner.fetchval("select router.grant_tenant($1, $2)", name, tenant)
    return new


async def listed(world: World, *names: str) -> list[tuple[str, bool, list[str], bool]]:
    """Return the rows of `readers` for these roles; other roles of the server are left out."""
    rows = await world.owner.fetch("select * from router.list_readers() where role = any($1)", names)
    return [tuple(row) for row in rows]


# Visible rows.


async def test_a_reader_without_a_grant_sees_no_tenant(world: World, readers: Readers) -> None:
    await inhabit(world, "a")
    assert await seen(world, await readers("nobody")) == set()


async def test_a_reader_sees_what_it_was_granted(world: World, readers: Readers) -> None:
    a, b, c = [await inhabit(world, name) for name in "abc"]
    assert await seen(world, await readers("one", a)) == {a}
    assert await seen(world, await readers("two", a, c)) == {a, c}
    assert await seen(world, await readers("all", None)) == {a, b, c}


async def test_a_grant_to_a_group_is_its_members(world: World, readers: Readers) -> None:
    a, b = await inhabit(world, "a"), await inhabit(world, "b")
    await readers("team", a)
    assert await seen(world, await readers("member", member_of="team")) == {a}
    assert await seen(world, await readers("more", b, member_of="team")) == {a, b}


async def test_entering_a_tenant_shows_a_reader_nothing_more(world: World, readers: Readers) -> None:
    mine, theirs = await inhabit(world, "a"), await inhabit(world, "b")
    reader = await readers("one", mine)
    await enter(reader, theirs)
    assert await seen(world, reader) == {mine}
    async with reader.transaction():
        await reader.fetch("select router_internal._enter($1)", theirs)
        assert await seen(world, reader) == {mine}


async def test_functions_give_a_reader_what_it_may_see(world: World, readers: Readers) -> None:
    mine, theirs = await inhabit(world, "a"), await inhabit(world, "b")
    reader = await readers("one", mine)
    for tenant, rows in ((mine, 1), (theirs, 0)):
        policy = await world.policy(tenant)
        asked = (tenant, policy, world.space, direction(0))
        if rows:
            assert (await world.decide(tenant, policy, direction(0), by=reader))[0]["reason"] == "learned"
        else:
            with pytest.raises(asyncpg.PostgresError) as refused:
                await world.decide(tenant, policy, direction(0), by=reader)
            assert refused.value.sqlstate == "RT002"
        assert await count_of(reader, "estimates($1, $2, $3, $4, null, 10, $5)", *asked, world.large) == 2 * rows
        assert await count_of(reader, "neighbours($1, $3, $4, 5) where $2::int > 0", *asked) == rows
        assert await count_of(reader, "evidence($1, $2, $3, $4)", *asked) == rows
        assert await count_of(reader, "status($1, $2)", tenant, world.space) == rows
        assert await count_of(reader, "recall($1)", tenant) == rows
        assert await count_of(reader, "decision($1, $2)", tenant, uuid7(START, tenant)) == rows


async def test_a_leaky_function_is_shown_what_its_reader_may_see(world: World, readers: Readers) -> None:
    mine = await inhabit(world, "a")
    theirs = await inhabit(world, "b")
    await world.owner.execute(
        """
        create or replace function public.overhear(p_tenant int) returns boolean language plpgsql cost 0.0000001 as
        $$ begin raise notice '%', p_tenant; return true; end $$;
        """
    )
    heard: list[str] = []
    reader = await readers("one", mine)
    reader.add_log_listener(lambda _, message: heard.append(message.message))
    for table in await readable(world, READER):
        await reader.fetch(f"select from {table} as t where public.overhear(t.tenant_id)")
        await reader.fetch(f"select from {table} as t where 1 / (t.tenant_id - {theirs}) < 2")
    assert set(heard) == {str(mine)}


async def test_readers_do_not_see_key_hashes(world: World, readers: Readers) -> None:
    reader = await readers("all", None)
    await inhabit(world, "a")
    for columns in ("key_hash", "*", "k"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await reader.fetch(f"select {columns} from router.api_keys as k")


async def test_readers_write_nothing(world: World, readers: Readers) -> None:
    rows = await world.owner.fetch(
        """
        select c.relname, a.privilege_type from pg_class as c cross join lateral aclexplode(c.relacl) as a
        where c.relnamespace = 'router'::regnamespace and a.grantee = 'router_reader'::regrole
        """
    )
    assert {row["privilege_type"] for row in rows} == {"SELECT"}
    tenant = await inhabit(world, "a")
    reader = await readers("all", None)
    for call in (f"forget({tenant})", f"grant_tenant('all', {tenant})", "revoke_tenant('all', null)", "list_readers()"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await reader.fetch(f"select router.{call}")


async def test_a_reader_sees_its_own_grants_only(world: World, readers: Readers) -> None:
    a, b = await inhabit(world, "a"), await inhabit(world, "b")
    await readers("other", b)
    reader = await readers("one", a)
    rows = await reader.fetch("select role::text, tenant_id from router.reader_grants")
    assert [tuple(row) for row in rows] == [("one", a)]


# Granting and revoking.


async def test_a_grant_makes_a_reader(world: World, readers: Readers) -> None:
    tenant = await inhabit(world, "a")
    await readers("nologin", member_of="pg_monitor")
    assert await granted(world, "nologin", tenant)
    assert not await granted(world, "nologin", tenant)
    fresh = await connect(world.dsn, "nologin")
    try:
        assert await seen(world, fresh) == {tenant}
    finally:
        await fresh.close()


async def test_a_revoked_grant_is_over_at_once(world: World, readers: Readers) -> None:
    a, b = await inhabit(world, "a"), await inhabit(world, "b")
    reader = await readers("one", a, b)
    assert await world.owner.fetchval("select router.revoke_tenant('one', $1)", a) == 1
    assert await seen(world, reader) == {b}
    assert await world.owner.fetchval("select router.revoke_tenant('one', $1)", a) == 0
    assert await world.owner.fetchval("select router.revoke_tenant('one', null)") == 1
    assert await seen(world, reader) == set()


async def test_every_tenant_takes_the_place_of_single_ones(world: World, readers: Readers) -> None:
    a, b = await inhabit(world, "a"), await inhabit(world, "b")
    reader = await readers("one", a, None)
    assert not await granted(world, "one", b)
    assert await listed(world, "one") == [("one", True, [], True)]
    with pytest.raises(asyncpg.PostgresError, match="reads every tenant") as refused:
        await world.owner.fetch("select router.revoke_tenant('one', $1)", a)
    assert refused.value.sqlstate == "RT009"
    assert await world.owner.fetchval("select router.revoke_tenant('one', null)") == 1
    assert await seen(world, reader) == set()


async def test_the_list_has_the_tenants_of_each_reader(world: World, readers: Readers) -> None:
    b, a = await inhabit(world, "b"), await inhabit(world, "a")
    await readers("all", None)
    await readers("idle")
    await readers("two", b, a)
    await readers("was", a)
    await world.owner.execute(f"revoke {READER} from was")
    assert await listed(world, "all", "idle", "two", "was") == [
        ("all", True, [], True),
        ("idle", False, [], True),
        ("two", False, ["a", "b"], True),
        ("was", False, ["a"], False),
    ]


async def test_a_grant_follows_the_role_and_not_its_name(world: World, readers: Readers) -> None:
    tenant = await inhabit(world, "a")
    reader = await readers("one", tenant)
    await world.owner.execute("alter role one rename to uno")
    try:
        assert await seen(world, reader) == {tenant}
        await world.owner.execute("create role one; grant router_reader to one")
        namesake = await connect(world.dsn, "one")
        try:
            assert await seen(world, namesake) == set()
        finally:
            await namesake.close()
    finally:
        await world.owner.execute("drop role uno")
    assert (
        await world.owner.fetchval("select count(*) from router.list_readers() where role like 'dropped role %'") == 1
    )
    assert await world.owner.fetchval("select router.revoke_tenant('one', null)") == 0
    assert await world.owner.fetchval("select count(*) from router.reader_grants") == 0


async def test_a_tenant_takes_its_grants_along(world: World, readers: Readers) -> None:
    tenant = await inhabit(world, "a")
    await readers("one", tenant)
    await world.owner.fetch("select router.delete_tenant($1)", tenant)
    assert await world.owner.fetchval("select count(*) from router.reader_grants") == 0


@pytest.mark.parametrize(
    ("role", "tenant", "state", "said"),
    [
        ("no such role", None, "RT009", 'there is no role "no such role"'),
        ("one", -1, "RT001", "there is no tenant -1"),
        (APP_ROLE, None, "RT009", "no grant limits what it sees"),
        ("postgres", None, "RT009", "no grant limits what it sees"),
    ],
)
async def test_a_grant_that_means_nothing_is_refused(
    world: World, readers: Readers, role: str, tenant: int | None, state: str, said: str
) -> None:
    await readers("one")
    if role == "postgres":
        role = await world.owner.fetchval("select current_user")
    with pytest.raises(asyncpg.PostgresError, match=said) as refused:
        await world.owner.fetch("select router.grant_tenant($1, $2)", role, tenant)
    assert refused.value.sqlstate == state


async def test_a_role_that_could_enter_any_tenant_is_refused(world: World, readers: Readers) -> None:
    await readers("mixed")
    await world.owner.execute(f"grant {APP_ROLE} to mixed")
    with pytest.raises(asyncpg.PostgresError, match="a member of router_app"):
        await granted(world, "mixed", None)
