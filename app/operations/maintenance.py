"""Keeps the store in shape: does what is due, chore by chore, and in the proxy every now and then by itself."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any, Literal

from app.errors import ConfigurationError, DatabaseError, DatabaseUnavailable, NotFound
from app.settings import Settings
from app.store import maintenance
from app.store.database import Database
from app.store.errors import reported_by_server
from app.store.maintenance import Busy, Chore
from app.telemetry import metrics

#: Conversations forgotten in one statement, and statements a round: what is left comes next time.
BATCH = 5_000
BATCHES = 200

#: What a chore counts.
COUNTED = {
    "graduate": "memories",
    "shrink": "memories",
    "reindex": "replaced memories",
    "expire_conversations": "conversations",
    "expire_reservations": "reservations",
}

Outcome = Literal["done", "busy", "due", "failed"]

log = logging.getLogger("pgrouter.upkeep")


@dataclass(frozen=True, slots=True)
class Step:
    """What came of a chore: `count` rows or partitions in `seconds`.

    busy: somebody was in the way, the next round tries again if it is still due; due: it needs the login that owns the
    schema; failed: `note` says why.
    """

    chore: Chore
    outcome: Outcome
    count: int
    seconds: float
    note: str = ""

    def row(self) -> dict[str, Any]:
        """The step as one row for people and programs."""
        about = asdict(self.chore)
        return {
            **{name: about[name] for name in ("chore", "tenant", "space_id", "day")},
            "outcome": self.outcome,
            "count": self.count,
            "seconds": round(self.seconds, 3),
            "note": self.note,
        }


async def maintain(
    db: Database,
    owner: Database | None,
    *,
    graduate_at: int,
    ledger_days: int,
    begins: Callable[[Chore], object] = lambda _: None,
) -> AsyncIterator[Step]:
    """Do what is due, and what that makes due, each chore once; yields each as it ends.

    `owner` is connected as the login that owns the tables, or None; `begins` hears of each chore before it is done.
    Raises `DatabaseUnavailable` when the database is away.
    """
    tried: set[tuple[object, ...]] = set()
    while True:
        found = await maintenance.chores(db, graduate_at=graduate_at, ledger_days=ledger_days)
        new = [chore for chore in found if _name(chore) not in tried]
        if not new:
            return
        for chore in new:
            tried.add(_name(chore))
            begins(chore)
            yield await _step(db, owner, chore)


def _name(chore: Chore) -> tuple[object, ...]:
    return chore.chore, chore.tenant_id, chore.space_id, chore.day


async def _step(db: Database, owner: Database | None, chore: Chore) -> Step:
    began = time.monotonic()
    outcome: Outcome = "done"
    count, note = 0, ""
    try:
        if chore.chore != "reindex":
            count = await _do(db, chore)
        elif owner is not None:
            count = await _reindex(owner, chore)
        else:
            outcome, note = "due", "`pgrouter maintain` with the login that owns the schema does it"
    except Busy as error:
        outcome, note = "busy", str(error)
    except NotFound:
        outcome, note = "busy", "the tenant is gone"
    except DatabaseUnavailable as error:
        reported = reported_by_server(error)
        if reported is None:
            raise
        # The server is reachable and ended only this call.
        outcome, note = "failed", _described(reported)
    except DatabaseError as error:
        outcome, note = "failed", _described(error)
    seconds = time.monotonic() - began
    metrics.upkeep.labels(chore.chore, outcome).inc()
    metrics.upkeep_seconds.labels(chore.chore).inc(seconds)
    return Step(chore, outcome, count, seconds, note)


def _described(error: DatabaseError) -> str:
    return f"SQLSTATE {error.sqlstate}: {error.reported}"


async def _do(db: Database, chore: Chore) -> int:
    match chore:
        case Chore(chore="open_day", day=day) if day is not None:
            return await maintenance.open_day(db, day)
        case Chore(chore="drop_day", day=day) if day is not None:
            return await maintenance.drop_day(db, day)
        case Chore(chore="expire_conversations"):
            return await _expire(db)
        case Chore(chore="expire_reservations", tenant_id=tenant_id) if tenant_id is not None:
            return await maintenance.expire_reservations(db, tenant_id)
        case Chore(chore="sweep" | "shrink" | "graduate", tenant_id=tenant_id, space_id=space_id):
            assert tenant_id is not None
            assert space_id is not None
            moves = {"sweep": maintenance.sweep, "shrink": maintenance.shrink, "graduate": maintenance.graduate}
            return await moves[chore.chore](db, tenant_id, space_id)
        case _:
            raise ValueError(f"unknown chore {chore.chore!r}")


async def _expire(db: Database) -> int:
    count = 0
    for _ in range(BATCHES):
        gone = await maintenance.expire_conversations(db, BATCH)
        count += gone
        if gone < BATCH:
            break
    return count


async def _reindex(owner: Database, chore: Chore) -> int:
    """Taken off the count first: a second session does not begin the same, and what churns meanwhile counts anew."""
    assert chore.tenant_id is not None
    assert chore.space_id is not None
    churn = chore.churn or 0
    if not await maintenance.settle_churn(owner, chore.tenant_id, chore.space_id, churn):
        raise Busy("another session indexes it")
    try:
        for name in await maintenance.invalid_indexes(owner, chore):
            await maintenance.drop_index(owner, name)
        await maintenance.reindex(owner, chore)
    except BaseException:
        await asyncio.shield(maintenance.settle_churn(owner, chore.tenant_id, chore.space_id, -churn))
        raise
    return churn


class Maintenance:
    """The proxy's own: a round every `maintain_seconds`, on connections of its own, which serving never waits for."""

    def __init__(self, settings: Settings) -> None:
        assert settings.database_url is not None
        self._settings = settings
        self._dsn = settings.database_url

    async def run(self) -> None:
        """Keep at it until cancelled; what fails is logged and tried again in the next round."""
        while True:
            # Not all proxies at once.
            await asyncio.sleep(self._settings.maintain_seconds * random.uniform(0.5, 1.5))  # noqa: S311
            try:
                await self.round()
            except (DatabaseUnavailable, ConfigurationError) as error:
                log.info("no upkeep this time: %s", error)
            except Exception:
                log.exception("the upkeep failed; trying again")

    async def round(self) -> list[Step]:
        """One round; returns what was done."""
        steps = []
        async with opened(self._dsn) as db, opened(self._dsn, role=None) as login:
            owner = login if await maintenance.owns(login) else None
            settings = self._settings
            async for step in maintain(db, owner, graduate_at=settings.graduate_at, ledger_days=settings.ledger_days):
                steps.append(step)
                level = {"done": logging.INFO, "failed": logging.ERROR}.get(step.outcome, logging.DEBUG)
                log.log(level, "%s", said(step))
        return steps


@asynccontextmanager
async def opened(dsn: str, **options: Any) -> AsyncIterator[Database]:
    """One connection for as long as the context lasts. Raises `ConfigurationError`."""
    db = Database(dsn, size=1, **options)
    try:
        await db.open()
        yield db
    finally:
        await db.close()


def said(step: Step) -> str:
    """A step in one line."""
    chore = step.chore
    about = [str(chore.day)] if chore.day is not None else []
    if chore.tenant_id is not None:
        about = [f"tenant {chore.tenant or chore.tenant_id}"]
        about += [f"space {chore.space_id}"] if chore.space_id is not None else []
    counted = COUNTED.get(chore.chore)
    result = (f"{step.count:,} {counted} in " if counted else "in ") + f"{step.seconds:.2f} s"
    if step.outcome != "done":
        result = step.outcome + (f" ({step.note})" if step.note else "")
    return f"{chore.chore}: {', '.join([*about, result])}"
