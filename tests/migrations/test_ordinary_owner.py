"""An owner who is not a superuser."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from app.operations.migrate import migrate
from app.store.database import REVISION
from tests.support.databases import Databases, blocking
from tests.support.schema import fetch
from tests.support.sql_world import Taught, direction, world_of


@pytest.fixture
def ordinary(databases: Databases, empty_database: str) -> Iterator[str]:
    """The DSN of an empty database, as its owner, not a superuser; a superuser created the extension and roles."""
    parts = urlsplit(empty_database)
    database, name = parts.path.lstrip("/"), f"{parts.path.lstrip('/')}_owner"
    databases.execute(f"create role {name} login password 'ordinary' nosuperuser nocreaterole nobypassrls")
    try:
        databases.execute(f"alter database {database} owner to {name}")
        databases.execute(f"grant router_app, router_reader to {name}")
        fetch(empty_database, "create extension vector")
        address = parts.netloc.rpartition("@")[2]
        yield urlunsplit(parts._replace(netloc=f"{name}:ordinary@{address}"))
    finally:
        databases.execute(f"alter database {database} owner to current_user")
        fetch(empty_database, "drop schema if exists router cascade")
        fetch(empty_database, f"drop owned by {name}")
        databases.execute(f"drop role {name}")


async def work(dsn: str) -> None:
    """Do the work of a proxy and an operator."""
    async with world_of(dsn) as world:
        tenant = await world.tenant()
        policy = await world.policy(tenant)
        key = await world.owner.fetchval("select router.create_key($1, sha256('k'), 'rk-12345')", tenant)
        (caller,) = await world.app.fetch("select * from router.authenticate(sha256('k'))")
        assert (caller["tenant_id"], caller["key_id"]) == (tenant, key)
        await world.teach(tenant, Taught("p", {world.small: 1.0, world.large: 0.5}, task="t"))
        (winner, _) = await world.decide(tenant, policy, direction(0))
        assert (winner["model_id"], winner["reason"]) == (world.small, "learned")
        for move in ("graduate", "shrink", "graduate"):
            assert await world.app.fetchval(f"select router.{move}($1)", tenant) == 1
            assert (await world.decide(tenant, policy, direction(0)))[0]["reason"] == "learned"
        await world.teach(tenant, Taught("q", {world.small: 1.0}))
        due = await world.app.fetch("select chore, amount from router.chores(6, 90)")
        assert ("shrink", 2) in {tuple(row) for row in due}
        decision = await world.owner.fetchval("select uuidv7()")
        assert await world.log({"tenant_id": tenant, "policy_id": policy, "decision_id": decision}) == 1
        assert [row["name"] for row in await world.owner.fetch("select * from router.list_tenants()")] == ["acme"]
        (overview,) = await world.owner.fetch("select * from router.overview")
        assert (overview["memories"], overview["decisions"]) == (2, 1)
        assert await world.owner.fetchval("select router.revoke_key($1, $2)", tenant, key)
        assert await world.app.fetch("select * from router.authenticate(sha256('k'))") == []
        assert await world.owner.fetchval("select router.delete_tenant($1)", tenant)
        assert await world.app.fetchval("select router.sweep($1, $2)", tenant, world.space)
        for table in ("memories", "memory_texts", "decisions", "api_keys", "tenants"):
            assert await world.owner.fetchval(f"select count(*) from router.{table}") == 0, table


def test_an_owner_without_superuser_rights_can_do_everything(ordinary: str) -> None:
    assert migrate(ordinary) == (None, REVISION)
    blocking(lambda: work(ordinary))
    assert migrate(ordinary, "base") == (REVISION, None)


def test_an_owner_without_superuser_rights_has_readers(ordinary: str, databases: Databases) -> None:
    migrate(ordinary)
    reader, stranger = (f"{urlsplit(ordinary).username}_{kind}" for kind in ("reader", "stranger"))
    databases.execute(f"create role {reader} in role router_reader")
    databases.execute(f"create role {stranger}")

    async def work() -> None:
        async with world_of(ordinary) as world:
            tenant = await world.tenant()
            assert await world.owner.fetchval("select router.grant_tenant($1, $2)", reader, tenant)
            assert not await world.owner.fetchval("select router.grant_tenant($1, $2)", reader, tenant)
            rows = await world.owner.fetch("select role, tenants from router.list_readers() where role = $1", reader)
            assert [tuple(row) for row in rows] == [(reader, ["acme"])]
            with pytest.raises(
                asyncpg.PostgresError, match=f"an administrator has to: grant router_reader to {stranger}"
            ):
                await world.owner.fetchval("select router.grant_tenant($1, $2)", stranger, tenant)
            assert await world.owner.fetchval("select router.revoke_tenant($1, null)", reader) == 1

    try:
        blocking(work)
    finally:
        databases.execute(f"drop role {reader}")
        databases.execute(f"drop role {stranger}")
