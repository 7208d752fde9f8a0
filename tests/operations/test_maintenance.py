"""Promises of the upkeep: what is due is done, once, by whoever comes first, and nobody who is served waits for it."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import date, timedelta
from typing import Any

import asyncpg
import pytest
from typer.testing import CliRunner

from app.cli import main
from app.errors import ConfigurationError, DatabaseError, DatabaseUnavailable
from app.operations.maintenance import Maintenance, Step, maintain, opened
from app.settings import Settings
from app.store import maintenance as store
from app.store.database import Database, translate_errors
from app.store.maintenance import Busy
from app.telemetry import metrics
from tests.sql.test_graduation import graduate, in_transaction, lessons, let_a_minute_pass, partitions, places
from tests.sql.test_memory import assert_every_sum_is_a_recount
from tests.support.sql_world import START, Taught, World, direction, uuid7


@pytest.fixture
async def app(world: World) -> AsyncIterator[Database]:
    """The database as the proxy has it; what other tests have left to be done is done."""
    async with opened(world.dsn) as db:
        await let_a_minute_pass(world)
        await kept(db)
        yield db


@pytest.fixture
async def login(world: World) -> AsyncIterator[Database]:
    """The database as its owner has it."""
    async with opened(world.dsn, role=None) as db:
        yield db


async def kept(
    db: Database, owner: Database | None = None, *, graduate_at: int = 20, ledger_days: int = 90
) -> list[Step]:
    """The steps of a round, but those of the ledger's days to come."""
    steps = [step async for step in maintain(db, owner, graduate_at=graduate_at, ledger_days=ledger_days)]
    return [step for step in steps if step.job.name != "open_day"]


def told(steps: list[Step]) -> list[tuple[str, str, int]]:
    """What was done, with what came of it."""
    return [(step.job.name, step.outcome, step.count) for step in steps]


async def days(world: World) -> set[str]:
    """The ledger's partitions."""
    rows = await world.owner.fetch(
        "select inhrelid::regclass::text as name from pg_inherits where inhparent = 'router.decisions'::regclass"
    )
    return {row["name"].removeprefix("router.decisions_") for row in rows}


async def today(world: World) -> date:
    found: date = await world.owner.fetchval("select (now() at time zone 'UTC')::date")
    return found


async def talk(world: World, tenant: int, count: int, *, seconds: int) -> None:
    """Conversations that began just now and may be continued for so long."""
    policy = await world.policy(tenant, sticky_seconds=seconds)
    now = await world.owner.fetchval("select now() - interval '1 minute'")
    await world.log(
        *(
            {
                "tenant_id": tenant, "policy_id": policy, "decision_id": uuid7(now, tenant * 1000 + i),
                "conversation": i.to_bytes(16, "big"),
            }
            for i in range(count)
        )
    )  # fmt: skip


# The ledger's days.


async def test_days_are_opened_ahead(world: World, app: Database) -> None:
    now = await today(world)
    for day in (now, now + timedelta(days=1)):
        await world.owner.execute(f"drop table if exists router.decisions_{day:%Y%m%d}")
    steps = [step async for step in maintain(app, None, graduate_at=20, ledger_days=90)]
    assert [(step.job.name, step.job.day, step.outcome) for step in steps] == [
        ("open_day", now, "done"),
        ("open_day", now + timedelta(days=1), "done"),
    ]
    assert {f"{now:%Y%m%d}", f"{now + timedelta(days=1):%Y%m%d}"} <= await days(world)
    assert await kept(app) == []


async def test_days_past_retention_are_dropped_and_no_others(world: World, app: Database) -> None:
    now = await today(world)
    ages = (1, 2, 9, 10, 11, 400)
    for age in ages:
        await world.owner.execute("select router_internal._open_day($1)", now - timedelta(days=age))
    await world.owner.execute(
        """
        create table if not exists router.decisions_by_hand partition of router.decisions
            for values from ('1990-01-01') to ('1990-01-02');
        comment on table router.decisions_by_hand is 'Of nobody''s upkeep.';
        """
    )
    steps = await kept(app, ledger_days=10)
    assert [(step.job.name, step.job.day) for step in steps] == [
        ("drop_day", now - timedelta(days=400)),
        ("drop_day", now - timedelta(days=11)),
    ]
    left = await days(world)
    assert {f"{now - timedelta(days=age):%Y%m%d}" for age in (1, 2, 9, 10)} <= left
    assert not {f"{now - timedelta(days=age):%Y%m%d}" for age in (11, 400)} & left
    assert "by_hand" in left
    await world.owner.execute("drop table router.decisions_by_hand")


@pytest.mark.parametrize("age", [-1, 0, 1])
async def test_the_days_of_now_cannot_be_dropped(world: World, age: int) -> None:
    day = await today(world) - timedelta(days=age)
    await world.owner.execute("select router_internal._open_day($1)", day)
    with pytest.raises(asyncpg.PostgresError) as caught:
        await world.app.fetchval("select router.drop_day($1)", day)
    assert caught.value.sqlstate == "RT006"
    assert f"{day:%Y%m%d}" in await days(world)


async def test_a_day_that_is_being_read_is_dropped_another_time(world: World, app: Database) -> None:
    day = await today(world) - timedelta(days=50)
    await world.owner.execute("select router_internal._open_day($1)", day)
    async with in_transaction(world) as busy:
        await busy.fetch("select count(*) from router.decisions")
        found = [step for step in await kept(app, ledger_days=49) if step.job.day == day]
        assert [step.outcome for step in found] == ["busy"]
    assert [step.outcome for step in await kept(app, ledger_days=49) if step.job.day == day] == ["done"]


async def test_a_day_is_opened_while_the_ledger_is_read(world: World) -> None:
    async with in_transaction(world) as busy:
        await busy.fetch("select count(*) from router.decisions")
        await asyncio.wait_for(world.app.execute("select router_internal._open_day('2031-05-06')"), 5)
    assert "20310506" in await days(world)
    await world.owner.execute("drop table router.decisions_20310506")


# Conversations.


async def test_what_dead_processes_reserved_is_given_back_of_each_tenant(world: World, app: Database) -> None:
    tenants = [await world.tenant(name) for name in ("one", "two")]
    for tenant in tenants:
        await world.owner.fetch("select router.put_limits($1, null, null, null, 1, null)", tenant)
        for hours in (2, 0):
            await world.app.fetch(
                "select admitted from"
                " router.admit($1, null, uuidv7(), 0, '{0.25}', now() - make_interval(hours => $2))",
                tenant, hours,
            )  # fmt: skip
    steps = await kept(app)
    assert told(steps) == [("expire_reservations", "done", 1)] * 2
    assert steps[0].line().startswith("expire_reservations: tenant one, 1 reservations in ")
    left = await world.owner.fetch("select tenant_id, reserved_usd::float8 from router.meters order by 1")
    assert [tuple(row) for row in left] == [(tenant, 0.25) for tenant in tenants]
    assert await kept(app) == []


async def test_conversations_that_ended_are_forgotten_of_all_tenants(world: World, app: Database) -> None:
    one, two = await world.tenant("one"), await world.tenant("two")
    await talk(world, one, 7, seconds=1)
    await talk(world, two, 3, seconds=1)
    other = await world.tenant("three")
    await talk(world, other, 2, seconds=3600)
    assert told(await kept(app)) == [("expire_conversations", "done", 10)]
    rows = await world.owner.fetch("select tenant_id, count(*) from router.conversations group by 1")
    assert [tuple(row) for row in rows] == [(other, 2)]
    assert await kept(app) == []


async def test_they_are_forgotten_in_bounded_batches(world: World) -> None:
    tenant = await world.tenant()
    await talk(world, tenant, 7, seconds=1)
    assert [await world.app.fetchval("select router.expire_conversations(3)") for _ in range(4)] == [3, 3, 1, 0]


# Tiers.


async def test_a_tenant_graduates_at_the_threshold_and_shrinks_below_half_of_it(world: World, app: Database) -> None:
    tenant = await world.tenant()
    leaf = f"memories_large_{tenant}_{world.space}"
    taught = await world.teach(tenant, *lessons(19, world))
    assert told(await kept(app)) == []
    await world.teach(tenant, Taught("20th", {world.small: 1.0}))
    assert told(await kept(app)) == [("graduate", "done", 20)]
    assert await places(world, tenant) == {leaf: 20}
    await world.app.fetch("select router.forget($1, $2)", tenant, [memory for memory, _ in taught[:10]])
    assert {step.job.name for step in await kept(app)} <= {"reindex"}
    assert await places(world, tenant) == {leaf: 10}
    await world.app.fetch("select router.forget($1, $2)", tenant, [taught[10][0]])
    assert told(await kept(app)) == [("shrink", "done", 9)]
    assert await kept(app) == []
    await let_a_minute_pass(world)
    assert told(await kept(app)) == [("sweep", "done", 1)]
    assert await places(world, tenant) == {"memories_small": 9}
    assert leaf not in await partitions(world)
    assert await kept(app) == []
    await assert_every_sum_is_a_recount(world)


async def test_the_partition_of_a_deleted_tenant_is_swept(world: World, app: Database) -> None:
    tenant = await world.tenant()
    await world.teach(tenant, *lessons(3, world))
    await graduate(world, tenant)
    await world.owner.execute("select router.delete_tenant($1)", tenant)
    assert told(await kept(app)) == [("sweep", "done", 1)]
    assert f"memories_large_{tenant}" not in await partitions(world)


async def test_who_comes_second_leaves_it_to_the_first(world: World, app: Database) -> None:
    one, two = await world.tenant("one"), await world.tenant("two")
    for each in (one, two):
        await world.teach(each, *lessons(25, world))
    async with in_transaction(world) as busy:
        await busy.fetch("select router.graduate($1)", one)
        assert told(await kept(app)) == [("graduate", "busy", 0)] * 2
    assert told(await kept(app)) == [("graduate", "done", 25)]


async def test_many_rounds_at_once_do_everything_once(world: World) -> None:
    tenants = [await world.tenant(f"t{i}") for i in range(4)]
    for tenant in tenants:
        await world.teach(tenant, *lessons(25, world))

    async def turn() -> list[Step]:
        async with opened(world.dsn) as db:
            return await kept(db)

    rounds = await asyncio.wait_for(asyncio.gather(*(turn() for _ in range(4))), 60)
    done = [step.job.tenant_id for steps in rounds for step in steps if (step.outcome, step.count) == ("done", 25)]
    assert len(done) == len(set(done)) >= 1
    async with opened(world.dsn) as db:
        await kept(db)
    for tenant in tenants:
        assert await places(world, tenant) == {f"memories_large_{tenant}_{world.space}": 25}


# Indexes.


async def churned(world: World) -> int:
    """A graduated tenant of whose memories many were replaced."""
    tenant = await world.tenant()
    await world.teach(tenant, *lessons(30, world))
    await graduate(world, tenant)
    await world.teach(tenant, *(Taught(f"{i}", {world.small: 1.0}, direction(i / 20)) for i in range(7)))
    return tenant


async def indexes(world: World, leaf: str) -> dict[str, bool]:
    """The vector indexes of a partition, and whether they are valid."""
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
    """A round, with the backend that re-indexes: it waits for `busy`, which writes; the churn is kept if it fails."""
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


async def test_without_the_owner_it_is_said_to_be_due(world: World, app: Database) -> None:
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


async def test_a_build_that_nobody_waits_for_any_more_ends(world: World, app: Database, login: Database) -> None:
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


# What fails.


async def test_a_tenant_deleted_meanwhile_does_not_end_the_round(world: World, app: Database) -> None:
    tenants = [await world.tenant(name) for name in ("one", "two", "three")]
    for tenant in tenants:
        await world.teach(tenant, *lessons(25, world))
    steps: list[Step] = []
    async for step in maintain(app, None, graduate_at=20, ledger_days=90):
        if step.job.name == "graduate":
            if not steps:
                await world.owner.execute("select router.delete_tenant($1)", tenants[1])
            steps.append(step)
    assert [(step.job.tenant, step.outcome, step.note) for step in steps] == [
        ("one", "done", ""),
        ("two", "busy", "the tenant no longer exists"),
        ("three", "done", ""),
    ]


@pytest.fixture
async def refusing(world: World) -> AsyncIterator[Callable[[str], Awaitable[None]]]:
    """Has the server refuse to forget conversations, with an SQLSTATE of its own."""

    async def refuse(code: str) -> None:
        await world.owner.execute(
            f"""
            create function public.refuse() returns trigger language plpgsql
            as $$ begin raise exception 'no more' using errcode = '{code}'; end; $$;
            create trigger refused before delete on router.conversations execute function public.refuse();
            """
        )

    yield refuse
    await world.owner.execute("drop function if exists public.refuse cascade")


#: The server is there, and gave up a call: cancelled or too slow, out of memory, disk full.
GIVEN_UP = ["57014", "53200", "53100"]


@pytest.mark.parametrize("code", GIVEN_UP)
async def test_a_chore_that_the_server_gave_up_does_not_keep_the_others_from_being_done(
    world: World, app: Database, refusing: Callable[[str], Awaitable[None]], code: str
) -> None:
    await talk(world, await world.tenant("talker"), 1, seconds=1)
    await world.teach(await world.tenant(), *lessons(25, world))
    await refusing(code)
    steps = await kept(app)
    assert told(steps) == [("expire_conversations", "failed", 0), ("graduate", "done", 25)]
    assert steps[0].note == f"SQLSTATE {code}: no more"


@pytest.mark.parametrize("code", GIVEN_UP)
async def test_one_call_that_the_server_gave_up_keeps_nobody_from_asking(app: Database, code: str) -> None:
    for _ in range(5):
        with pytest.raises(DatabaseUnavailable, match=r"aborted the call \(no more\): try again"):
            await app.fetch(f"do $$ begin raise exception 'no more' using errcode = '{code}'; end $$")
        assert app.available
    assert (await app.fetch("select 1"))[0][0] == 1


@pytest.mark.parametrize("code", GIVEN_UP)
async def test_a_session_says_so_too(app: Database, code: str) -> None:
    async with app.session() as connection:
        with pytest.raises(DatabaseUnavailable, match=r"aborted the call \(no more\): try again"), translate_errors():
            await connection.execute(f"do $$ begin raise exception 'no more' using errcode = '{code}'; end $$")


async def test_a_server_that_is_away_ends_the_round(
    world: World, app: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await talk(world, await world.tenant(), 1, seconds=1)

    async def unplugged(db: Database, limit: int) -> int:
        monkeypatch.undo()
        await app.close()
        return await store.expire_conversations(db, limit)

    monkeypatch.setattr(store, "expire_conversations", unplugged)
    with pytest.raises(DatabaseUnavailable):
        await kept(app)


# The proxy's own rounds.


async def test_the_proxy_keeps_the_store_in_shape_by_itself(world: World, caplog: pytest.LogCaptureFixture) -> None:
    tenant = await churned(world)
    await world.teach(await world.tenant("grown"), *lessons(25, world))
    settings = Settings(database_url=world.dsn, graduate_at=20)
    counted = metrics.REGISTRY.get_sample_value
    labels = {"chore": "graduate", "outcome": "done"}
    before = counted("pgrouter_upkeep_total", labels) or 0
    with caplog.at_level(logging.INFO, "pgrouter.maintenance"):
        steps = await Maintenance(settings).round()
    assert {(step.job.name, step.job.tenant, step.outcome) for step in steps} >= {
        ("graduate", "grown", "done"),
        ("reindex", "acme", "done"),
    }
    assert "graduate: tenant grown" in caplog.text
    assert counted("pgrouter_upkeep_total", labels) == before + 1
    assert sum((await places(world, tenant)).values()) == 30


async def test_it_goes_on_after_a_failure(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    turns = asyncio.Queue[int]()
    results: list[Exception | None] = [ConfigurationError("away"), ValueError("a fault"), None]

    async def round_of(self: Maintenance) -> list[Step]:
        error = results.pop(0)
        turns.put_nowait(len(results))
        if error:
            raise error
        return []

    monkeypatch.setattr(Maintenance, "round", round_of)
    monkeypatch.setattr("app.operations.maintenance.random.uniform", lambda *_: 0.0)
    task = asyncio.create_task(Maintenance(Settings(database_url=world.dsn)).run())
    try:
        for left in (2, 1, 0):
            assert await asyncio.wait_for(turns.get(), 5) == left
    finally:
        task.cancel()
    assert "a fault" in caplog.text


async def test_a_failed_chore_does_not_keep_the_others_from_being_done(
    world: World, app: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        await world.teach(await world.tenant(name), *lessons(25, world))

    async def broken(db: Database, limit: int) -> int:
        raise DatabaseError("Postgres: oh more.", "22012", "oh")

    await talk(world, await world.tenant("three"), 1, seconds=1)
    monkeypatch.setattr(store, "expire_conversations", broken)
    steps = await kept(app)
    assert told(steps) == [("expire_conversations", "failed", 0), ("graduate", "done", 25), ("graduate", "done", 25)]
    assert steps[0].note == "SQLSTATE 22012: oh"


@pytest.mark.parametrize(("seconds", "running"), [(0, False), (60, True)])
async def test_the_proxy_runs_it_unless_told_not_to(proxies: Any, seconds: int, running: bool) -> None:
    async with proxies(maintain_seconds=seconds):
        assert ("upkeep" in {task.get_name() for task in asyncio.all_tasks()}) == running
    assert "upkeep" not in {task.get_name() for task in asyncio.all_tasks()}


@pytest.mark.parametrize("name", ["ROUTER_MAINTAIN_SECONDS", "ROUTER_GRADUATE_AT", "ROUTER_LEDGER_DAYS"])
def test_its_settings_are_refused_by_name(name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        Settings.from_environment({name: "-1"})


async def test_busy_is_no_error_of_the_database(world: World, app: Database) -> None:
    tenant = await world.tenant()
    await world.teach(tenant, *lessons(3, world))
    async with in_transaction(world) as busy:
        await busy.fetch("select router.graduate($1)", tenant)
        with pytest.raises(Busy):
            await store.graduate(app, tenant, world.space)
    assert app.available


# The command.


async def command(world: World, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Any:
    monkeypatch.setenv("DATABASE_URL", world.dsn)
    result = await asyncio.to_thread(CliRunner().invoke, main, ["maintain", *arguments])
    assert result.exit_code == 0, (result.stdout, result.stderr, result.exception)
    return result


async def test_the_command_says_what_is_due_and_does_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    tenant = await world.tenant()
    await world.teach(tenant, *lessons(25, world), at=START)
    await command(world, monkeypatch)
    assert await places(world, tenant) == {"memories_small": 25}
    due = json.loads((await command(world, monkeypatch, "--graduate-at", "25", "--dry-run", "--json")).stdout)
    assert due == [
        {"chore": "graduate", "tenant": "acme", "space_id": world.space, "day": None, "amount": 25, "churn": None}
    ]
    assert await places(world, tenant) == {"memories_small": 25}
    result = await command(world, monkeypatch, "--graduate-at", "25")
    assert result.stdout.startswith(f"graduate: tenant acme, space {world.space}, 25 memories in ")
    assert len(result.stdout.splitlines()) == 1
    assert await places(world, tenant) == {f"memories_large_{tenant}_{world.space}": 25}
    again = await command(world, monkeypatch, "--graduate-at", "25")
    assert (again.stdout, again.stderr) == ("", "No maintenance job was due.\n")
    (step,) = [
        step
        for step in json.loads((await command(world, monkeypatch, "--graduate-at", "100", "--json")).stdout)
        if step["chore"] == "shrink"
    ]
    assert (step["tenant"], step["outcome"], step["count"], step["note"]) == ("acme", "done", 25, "")
