"""The ledger: a row for each served request, written in batches off the hot path; dropped rows are counted."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from operator import itemgetter
from pathlib import Path
from typing import Any
from uuid import UUID

from ..dialects.usage import UNKNOWN, TokenUsage
from ..entities import Caller, Model
from ..errors import DatabaseError, DatabaseUnavailable, InvalidValue
from ..routing.plan import Plan
from ..store import ledger
from ..store.database import Database
from ..telemetry import metrics
from ..telemetry.request_record import RequestRecord
from ..upstream.attempt import Attempt
from . import ledger_file

BATCH = 500
#: Time for which entries are gathered before they are written, seconds.
GATHER = 0.1
#: Wait between attempts while the database is unavailable, seconds.
RETRY = 0.5

#: Columns of `router.decide` that the ledger keeps; the last five are not kept for each candidate, or not always.
_RANKED = (
    "model_id", "quality", "cost_usd", "score", "prior", "confidence", "prompt_tokens", "completion_tokens",
    "input_price", "output_price", "cached_tokens", "cached_input_price", "penalty", "alpha", "unit_usd",
)  # fmt: skip

log = logging.getLogger("pgrouter.ledger")


@dataclass(slots=True)
class Entry:
    """One row of `router.decisions`: the record of a finished request, and what only the ledger keeps of it."""

    #: Names, times, status, usage and attempts.
    record: RequestRecord
    #: The tenant and the key that pay.
    caller: Caller
    #: Policy, ranking, conversation and estimated tokens.
    plan: Plan
    #: The model that answered, or was called last, or that the reservation was made for.
    model: Model
    #: The tokens to pay for.
    usage: TokenUsage = UNKNOWN
    #: Whether `usage` is estimated from the text of a stream.
    usage_estimated: bool = False
    #: The caller's task tag.
    task: str | None = None
    #: The name of the API, as `Dialect.name`.
    api: str = "chat"
    #: Whether the client asked for a stream.
    streamed: bool = False
    #: The key of the answer in `router.responses`, if its provider keeps it.
    response: bytes | None = None

    def composite(self) -> tuple[object, ...]:
        """Return the row in the order of the SQL type `decision_entry`, times in milliseconds."""
        record, caller, plan, usage = self.record, self.caller, self.plan, self.usage
        policy_id = None if plan.policy is None else plan.policy.policy_id
        first_token = None if record.first_token is None else record.first_token * 1000
        return (
            caller.tenant_id, record.decision_id, caller.key_id, policy_id, record.requested, self.task, record.reason,
            self.model.model_id, plan.confidence, *_ranked(plan.ranking), record.provider_calls,
            record.status, self.streamed, usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens,
            (record.overhead or 0.0) * 1000, first_token, (record.duration or 0.0) * 1000, plan.conversation,
            usage.reasoning_tokens, plan.tokens, self.api, *_attempts(record.attempts), self.usage_estimated,
            self.response, usage.unexplained,
        )  # fmt: skip


def _attempts(attempts: Sequence[Attempt]) -> tuple[object, ...]:
    """Return models, reasons, outcomes and milliseconds; NULL for a single attempt, which the row describes fully."""
    if len(attempts) < 2:
        return (None,) * 4
    return (
        [attempt.model.model_id for attempt in attempts],
        [attempt.why for attempt in attempts],
        [attempt.outcome for attempt in attempts],
        [attempt.seconds * 1000 for attempt in attempts],
    )


def _ranked(rows: Sequence[Mapping[str, Any]]) -> tuple[object, ...]:
    """Return what a ranking is made of in the order of `decision_entry`: arrays by candidate, then two numbers."""
    if not rows:
        return (None,) * len(_RANKED)
    columns = tuple(zip(*[row.values() for row in rows], strict=True))
    *every, cached, cached_price, penalties, alpha, unit = _places(tuple(rows[0].keys()))(columns)
    # Most requests continue no conversation: NULL keeps their rows shorter than zeros would.
    every += (cached, cached_price) if any(cached) else (None, None)
    return (*every, penalties if any(penalties) else None, alpha[0], unit[0])


@cache
def _places(names: tuple[str, ...]) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    """Return a getter of the columns to keep, from those of a ranking, `names`; cheaper than a look-up for each row."""
    return itemgetter(*map(names.index, _RANKED))


class Ledger:
    """A bounded queue of entries, and the task (`run`) that writes them."""

    def __init__(self, db: Database, *, size: int, folder: Path | None = None) -> None:
        """`size`: the most entries that may wait; `folder`: where they are kept if the database is away at the end."""
        self._db = db
        self._folder = folder
        self._size = size
        self._queue: deque[Entry] = deque()
        self._filled = asyncio.Event()
        self._closing = False
        # Why the last attempt failed, so that each reason is logged once.
        self._failure: str | None = None
        self.dropped = 0

    def add(self, entry: Entry) -> None:
        """Queue an entry; if the queue is full, drop and count it."""
        if entry.usage.unexplained is not None:
            metrics.usage_unexplained.labels(entry.model.name, entry.usage.unexplained).inc()
        if len(self._queue) >= self._size:
            if self.dropped % 1000 == 0:
                log.error("the ledger is full; dropping entries (%d so far)", self.dropped + 1)
            self.dropped += 1
            metrics.ledger_dropped.inc()
            return
        self._queue.append(entry)
        self._filled.set()

    @property
    def queued(self) -> int:
        """Entries not yet written."""
        return len(self._queue)

    async def run(self) -> None:
        """Write entries as they come, until `close`; while the database is unavailable or refuses all, they wait."""
        while not self._closing or self._queue:
            if not self._queue:
                self._filled.clear()
                await self._filled.wait()
            if not self._closing:
                await asyncio.sleep(GATHER)
            try:
                await self._write_batch()
                self._failure = None
            except DatabaseUnavailable:
                await asyncio.sleep(RETRY)
            except DatabaseError as error:
                if self._failure != error.sqlstate:
                    self._failure = error.sqlstate
                    log.error("the ledger cannot be written; entries wait: %s", error.message)
                await asyncio.sleep(RETRY)
            except Exception:
                log.exception("the ledger could not be written; trying again")
                await asyncio.sleep(RETRY)

    async def close(self, task: asyncio.Task[None], within: float) -> None:
        """Let `task`, which runs `run`, write what is queued, for `within` seconds at most; keep the rest in a file."""
        self._closing = True
        self._filled.set()
        _, pending = await asyncio.wait({task}, timeout=within)
        if pending:
            task.cancel()
            await asyncio.wait({task})
            self._save()

    async def take_up(self) -> None:
        """Write what earlier processes kept in files."""
        if self._folder is not None:
            await ledger_file.take_up(self._folder, self._write)

    def _save(self) -> None:
        try:
            if self._folder is None:
                raise FileNotFoundError("there is no folder for them")
            path = ledger_file.save(self._folder, [entry.composite() for entry in self._queue])
        except (OSError, TypeError) as error:
            log.error("the database takes no entries, and %d ledger entries are lost: %s", len(self._queue), error)
        else:
            log.warning("the database takes no entries; %d ledger entries are kept in %s", len(self._queue), path)

    async def _write_batch(self) -> None:
        batch = [self._queue[i] for i in range(min(BATCH, len(self._queue)))]
        await self._write([entry.composite() for entry in batch])
        for _ in batch:
            self._queue.popleft()

    async def _write(self, rows: list[tuple[Any, ...]]) -> int:
        """Write rows without those that the database refuses for what is in them; return how many these were.

        Other errors are raised: a missing grant or function, for example, says nothing against a row.
        """
        try:
            metrics.ledger_written.inc(await ledger.log_decisions(self._db, rows))
        except (InvalidValue, ValueError) as error:
            if len(rows) > 1:
                # One invalid row must not cost the others.
                return sum([await self._write([row]) for row in rows])
            log.error("a ledger entry was refused: %s", type(error).__name__)
            self.dropped += 1
            metrics.ledger_dropped.inc()
            return 1
        return 0


def decision_id() -> UUID:
    """Return a new UUIDv7 (RFC 9562): the time in milliseconds, then 74 random bits."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    return UUID(int=value & ~(0xF << 76) & ~(0x3 << 62) | (0x7 << 76) | (0x2 << 62))
