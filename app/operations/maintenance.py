"""Runs the maintenance jobs that are due: once for the command line, in rounds for the proxy."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

from ..errors import ConfigurationError, DatabaseError, DatabaseUnavailable, NotFound
from ..settings import Settings
from ..store import maintenance as stored_maintenance
from ..store.database import Database
from ..store.errors import reported_by_server
from ..store.maintenance import Busy, Job
from ..telemetry import metrics

#: Conversations deleted in one statement, and statements in a round; the next round deletes the rest.
BATCH = 5_000
BATCHES = 200

#: Unit of the count of each job that has one.
COUNTED = {
    "graduate": "memories",
    "shrink": "memories",
    "reindex": "replaced memories",
    "expire_conversations": "conversations",
    "expire_reservations": "reservations",
    "fit": "policies",
}

Outcome = Literal["done", "busy", "due", "failed"]

log = logging.getLogger("pgrouter.maintenance")


@dataclass(frozen=True, slots=True)
class Step:
    """The result of a job: `count` rows or partitions in `seconds`.

    busy: another session was in the way, and the next round tries again if the job is still due; due: the job needs the
    login that owns the schema; failed: `note` is the reason.
    """

    job: Job
    outcome: Outcome
    count: int
    seconds: float
    note: str = ""

    def row(self) -> dict[str, Any]:
        """The step as a row of the command's JSON."""
        return {
            "chore": self.job.name,
            "tenant": self.job.tenant,
            "space_id": self.job.space_id,
            "day": self.job.day,
            "outcome": self.outcome,
            "count": self.count,
            "seconds": round(self.seconds, 3),
            "note": self.note,
        }

    def line(self) -> str:
        """The step as a line of text."""
        job = self.job
        about = [str(job.day)] if job.day is not None else []
        if job.tenant_id is not None:
            about = [f"tenant {job.tenant or job.tenant_id}"]
            about += [f"space {job.space_id}"] if job.space_id is not None else []
        counted = COUNTED.get(job.name)
        result = (f"{self.count:,} {counted} in " if counted else "in ") + f"{self.seconds:.2f} s"
        if self.outcome != "done":
            result = self.outcome + (f" ({self.note})" if self.note else "")
        return f"{job.name}: {', '.join([*about, result])}"


async def maintain(
    db: Database,
    owner: Database | None,
    *,
    graduate_at: int,
    ledger_days: int,
    begins: Callable[[Job], object] = lambda _: None,
) -> AsyncIterator[Step]:
    """Run the jobs that are due, and those that become due by that, each once; yield each when it ends.

    `owner` is connected as the login that owns the tables, or None; `begins` is called with each job before it runs.
    Raises `DatabaseUnavailable` if the database cannot be reached.
    """
    tried: set[tuple[object, ...]] = set()
    while True:
        found = await stored_maintenance.jobs(db, graduate_at=graduate_at, ledger_days=ledger_days)
        new = [job for job in found if _key(job) not in tried]
        if not new:
            return
        for job in new:
            tried.add(_key(job))
            begins(job)
            yield await _step(db, owner, job)


def _key(job: Job) -> tuple[object, ...]:
    return job.name, job.tenant_id, job.space_id, job.day


async def _step(db: Database, owner: Database | None, job: Job) -> Step:
    began = time.monotonic()
    outcome: Outcome = "done"
    count, note = 0, ""
    try:
        if job.name != "reindex":
            count = await _run(db, job)
        elif owner is not None:
            count = await _reindex(owner, job)
        else:
            outcome, note = "due", "run `pgrouter maintain` with the login that owns the schema"
    except Busy as error:
        outcome, note = "busy", str(error)
    except NotFound:
        outcome, note = "busy", "the tenant no longer exists"
    except DatabaseUnavailable as error:
        reported = reported_by_server(error)
        if reported is None:
            raise
        # The server is reachable and ended only this call.
        outcome, note = "failed", _described(reported)
    except DatabaseError as error:
        outcome, note = "failed", _described(error)
    seconds = time.monotonic() - began
    metrics.maintenance_jobs.labels(job.name, outcome).inc()
    metrics.maintenance_seconds.labels(job.name).inc(seconds)
    return Step(job, outcome, count, seconds, note)


def _described(error: DatabaseError) -> str:
    return f"SQLSTATE {error.sqlstate}: {error.reported}"


async def _run(db: Database, job: Job) -> int:
    match job:
        case Job(name="open_day", day=day) if day is not None:
            return await stored_maintenance.open_day(db, day)
        case Job(name="drop_day", day=day) if day is not None:
            return await stored_maintenance.drop_day(db, day)
        case Job(name="expire_conversations"):
            return await _expire_conversations(db)
        case Job(name="expire_reservations", tenant_id=tenant_id) if tenant_id is not None:
            return await stored_maintenance.expire_reservations(db, tenant_id)
        case Job(name="fit", tenant_id=tenant_id) if tenant_id is not None:
            return await stored_maintenance.fit(db, tenant_id)
        case Job(name="sweep" | "shrink" | "graduate", tenant_id=tenant_id, space_id=space_id):
            assert tenant_id is not None
            assert space_id is not None
            moves = {
                "sweep": stored_maintenance.sweep,
                "shrink": stored_maintenance.shrink,
                "graduate": stored_maintenance.graduate,
            }
            return await moves[job.name](db, tenant_id, space_id)
        case _:
            raise ValueError(f"unknown job {job.name!r}")


async def _expire_conversations(db: Database) -> int:
    count = 0
    for _ in range(BATCHES):
        gone = await stored_maintenance.expire_conversations(db, BATCH)
        count += gone
        if gone < BATCH:
            break
    return count


async def _reindex(owner: Database, job: Job) -> int:
    """Rebuild the index of a graduated space; return how many memories were replaced since the last build.

    These are subtracted from the count first: a second session then does not start the same build, and memories that
    are replaced during the build are counted for the next one. If the build fails they are added again.
    """
    assert job.tenant_id is not None
    assert job.space_id is not None
    churn = job.churn or 0
    if not await stored_maintenance.settle_churn(owner, job.tenant_id, job.space_id, churn):
        raise Busy("another session builds this index")
    try:
        for name in await stored_maintenance.invalid_indexes(owner, job):
            await stored_maintenance.drop_index(owner, name)
        await stored_maintenance.reindex(owner, job)
    except BaseException:
        await asyncio.shield(stored_maintenance.settle_churn(owner, job.tenant_id, job.space_id, -churn))
        raise
    return churn


class Maintenance:
    """Maintenance inside the proxy: a round every `maintain_seconds`, on connections that requests do not use."""

    def __init__(self, settings: Settings) -> None:
        assert settings.database_url is not None
        self._settings = settings
        self._dsn = settings.database_url

    async def run(self) -> None:
        """Run rounds until cancelled; a failure is logged, and the next round tries again."""
        while True:
            # The random factor keeps the proxies of one database from running their rounds at the same time.
            await asyncio.sleep(self._settings.maintain_seconds * random.uniform(0.5, 1.5))  # noqa: S311
            try:
                await self.round()
            except (DatabaseUnavailable, ConfigurationError) as error:
                log.info("maintenance was skipped: %s", error)
            except Exception:
                log.exception("maintenance failed; the next round tries again")

    async def round(self) -> list[Step]:
        """Run one round; return its steps."""
        steps = []
        async with opened(self._dsn) as db, opened(self._dsn, role=None) as login:
            owner = login if await stored_maintenance.owns(login) else None
            settings = self._settings
            async for step in maintain(db, owner, graduate_at=settings.graduate_at, ledger_days=settings.ledger_days):
                steps.append(step)
                level = {"done": logging.INFO, "failed": logging.ERROR}.get(step.outcome, logging.DEBUG)
                log.log(level, "%s", step.line())
        return steps


@asynccontextmanager
async def opened(dsn: str, **options: Any) -> AsyncIterator[Database]:
    """Open a database with one connection for as long as the context lasts. Raises `ConfigurationError`."""
    db = Database(dsn, size=1, **options)
    try:
        await db.open()
        yield db
    finally:
        await db.close()
