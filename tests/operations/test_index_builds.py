"""Maintenance rebuilds indexes of which a fifth was replaced."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from app.operations.maintenance import Step, opened
from app.store.database import Database
from tests.support.graduation import graduate, in_transaction, lessons
from tests.support.maintenance import churned, kept, told
from tests.support.sql_world import World


@pytest.fixture
async def login(world: World) -> AsyncIterator[Database]:
    """The database with the owner's connection."""
    async with opened(world.dsn, role=None) as db:
        yield db


async def indexes(world: World, leaf: str) -> dict[str, bool]:
    """Return the vector indexes of a partition, and whether they are valid."""
    rows = await world.owner.fetch(
        "select c.relname, i.indisvalid from pg_index as i join pg_class as c on c.oid = i.indexrelid"
        " where i.indrelid = ('router.' || $1)::regclass and c.relname like '%hnsw%'",
        leaf,
    )
    return {row["relname"]: row["indisvalid"] for row in rows}


@asynccontextmanager
async def building(
    world: World, app: Database, login: Database, leaf: str, busy: asyncpg.Connection
) -> AsyncIterator[tuple[int, asyncio.Task[list[Step]]]]:
    """Run a round whose re-indexing waits for the open transaction of `busy`; if it fails, the churn is kept."""
    await busy.execute(f"lock table router.{leaf} in row exclusive mode")
    round_ = asyncio.create_task(kept(app, login))
    statement = (
        "select pid from pg_stat_activity"
        " where datname = current_database() and query like 'reindex index concurrently%' and wait_event_type = 'Lock'"
    )
    async with asyncio.timeout(10):
        while (pid := await world.owner.fetchval(statement)) is None:
            await asyncio.sleep(0.02)
    yield pid, round_
    assert await world.owner.fetchval("select max(churn) from router.memory_counts") == 7


async def test_an_index_is_built_anew_once_a_fifth_was_replaced(world: World, app: Database, login: Database) -> None:
    tenant = await world.tenant()
    await world.teach(tenant, *lessons(30, world))
    await graduate(world, tenant)
    await world.teach(tenant, *lessons(6, world))
    assert await kept(app, login) == []
    await world.teach(tenant, *lessons(1, world))
    index = f"router.memories_large_{tenant}_{world.space}_hnsw"
    before = await world.owner.fetchval("select relfilenode from pg_class where oid = $1::regclass", index)
    assert told(await kept(app, login)) == [("reindex", "done", 7)]
    after = await world.owner.fetchval("select relfilenode from pg_class where oid = $1::regclass", index)
    assert after != before
    assert await kept(app, login) == []


async def test_without_the_owner_the_build_is_reported_as_due(world: World, app: Database) -> None:
    await churned(world)
    for _ in range(2):
        assert told(await kept(app)) == [("reindex", "due", 0)]


async def test_a_build_that_broke_off_is_cleaned_up_and_done_again(
    world: World, app: Database, login: Database
) -> None:
    tenant = await churned(world)
    leaf = f"memories_large_{tenant}_{world.space}"
    async with in_transaction(world) as busy, building(world, app, login, leaf, busy) as (pid, round_):
        await world.owner.execute("select pg_cancel_backend($1)", pid)
        (step,) = await asyncio.wait_for(round_, 10)
    assert (step.outcome, step.note) == ("failed", "SQLSTATE 57014: canceling statement due to user request")
    assert await indexes(world, leaf) == {f"{leaf}_hnsw": True, f"{leaf}_hnsw_ccnew": False}
    assert told(await kept(app, login)) == [("reindex", "done", 7)]
    assert await indexes(world, leaf) == {f"{leaf}_hnsw": True}


async def test_an_abandoned_index_build_ends(world: World, app: Database, login: Database) -> None:
    tenant = await churned(world)
    leaf = f"memories_large_{tenant}_{world.space}"
    async with in_transaction(world) as busy, building(world, app, login, leaf, busy) as (pid, round_):
        round_.cancel()
        await asyncio.wait({round_})
        async with asyncio.timeout(10):
            while await world.owner.fetchval("select count(*) from pg_stat_activity where pid = $1", pid):
                await asyncio.sleep(0.02)
    assert told(await kept(app, login)) == [("reindex", "done", 7)]


async def test_a_build_leaves_no_setting_behind(world: World, app: Database, login: Database) -> None:
    await churned(world)
    names = ("maintenance_work_mem", "max_parallel_maintenance_workers")

    async def settings() -> list[str]:
        return [row[0] for row in await login.fetch("select setting from pg_settings where name = any($1)", names)]

    before = await settings()
    assert told(await kept(app, login)) == [("reindex", "done", 7)]
    assert await settings() == before
