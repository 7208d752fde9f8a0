"""The proxy's own rounds of maintenance, and the command `pgrouter maintain`."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli import main
from app.errors import ConfigurationError, DatabaseError
from app.operations.maintenance import Maintenance, Step
from app.settings import Settings
from app.store import maintenance as store
from app.store.database import Database
from app.store.maintenance import Busy
from app.telemetry import metrics
from tests.support.graduation import in_transaction, lessons, places
from tests.support.maintenance import churned, kept, talk, told
from tests.support.sql_world import START, World


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


async def test_maintenance_goes_on_after_a_failure(
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


async def test_a_failed_job_does_not_stop_the_others(
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
async def test_the_proxy_runs_it_unless_it_is_switched_off(proxies: Any, seconds: int, running: bool) -> None:
    async with proxies(maintain_seconds=seconds):
        assert ("maintenance" in {task.get_name() for task in asyncio.all_tasks()}) == running
    assert "maintenance" not in {task.get_name() for task in asyncio.all_tasks()}


@pytest.mark.parametrize("name", ["ROUTER_MAINTAIN_SECONDS", "ROUTER_GRADUATE_AT", "ROUTER_LEDGER_DAYS"])
def test_bad_maintenance_settings_are_refused_by_name(name: str) -> None:
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


async def command(world: World, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Any:
    monkeypatch.setenv("DATABASE_URL", world.dsn)
    result = await asyncio.to_thread(CliRunner().invoke, main, ["maintain", *arguments])
    assert result.exit_code == 0, (result.stdout, result.stderr, result.exception)
    return result


async def test_the_command_prints_what_is_due_and_does_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
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
