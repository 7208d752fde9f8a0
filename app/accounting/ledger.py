"""Writes down what was served, in batches, off the hot path; forgets only what it must, and counts what it forgets."""

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
from typing import Any
from uuid import UUID

from app.dialects.usage import UNKNOWN, TokenUsage
from app.errors import DatabaseError, DatabaseUnavailable
from app.store import ledger
from app.store.database import Database
from app.telemetry import metrics
from app.upstream.attempt import Attempt

BATCH = 500
#: How long entries gather before they are written, seconds.
GATHER = 0.1
#: Between attempts while the database is away, seconds.
RETRY = 0.5

#: Of each candidate, as columns of `router.decide` name it; the last five are not kept as they are.
_RANKED = (
    "model_id", "quality", "cost_usd", "score", "prior", "confidence", "prompt_tokens", "completion_tokens",
    "input_price", "output_price", "cached_tokens", "cached_input_price", "penalty", "alpha", "unit_usd",
)  # fmt: skip

log = logging.getLogger("pgrouter.ledger")


@dataclass(slots=True)
class Entry:
    """One served request; the fields are the columns of `router.decisions`, times in milliseconds.

    `ranking` has the rows of `router.decide`, best first; empty: nothing was ranked.
    """

    tenant_id: int
    decision_id: UUID
    key_id: int
    policy_id: int | None
    requested: str
    task: str | None
    reason: str
    model_id: int
    confidence: float | None = None
    ranking: Sequence[Mapping[str, Any]] = ()
    attempts: int = 1
    status: int = 0
    streamed: bool = False
    overhead_ms: float = 0.0
    first_token_ms: float | None = None
    duration_ms: float = 0.0
    conversation: bytes | None = None
    usage: TokenUsage = UNKNOWN
    estimated_tokens: int | None = None
    api: str = "chat"
    tried: Sequence[Attempt] = ()
    usage_estimated: bool = False
    response: bytes | None = None

    def composite(self) -> tuple[object, ...]:
        """The entry in the order of the SQL type `decision_entry`."""
        usage = self.usage
        return (
            self.tenant_id, self.decision_id, self.key_id, self.policy_id, self.requested, self.task, self.reason,
            self.model_id, self.confidence, *_ranked(self.ranking), self.attempts,
            self.status, self.streamed, usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens,
            self.overhead_ms, self.first_token_ms, self.duration_ms, self.conversation, usage.reasoning_tokens,
            self.estimated_tokens, self.api, *_tried(self.tried), self.usage_estimated, self.response,
        )  # fmt: skip


def _tried(made: Sequence[Attempt]) -> tuple[object, ...]:
    """Models, why each, what came of it and milliseconds; nothing where one was asked once, as its row says it all."""
    if len(made) < 2:
        return (None,) * 4
    return (
        [attempt.model.model_id for attempt in made],
        [attempt.why for attempt in made],
        [attempt.outcome for attempt in made],
        [attempt.seconds * 1000 for attempt in made],
    )


def _ranked(rows: Sequence[Mapping[str, Any]]) -> tuple[object, ...]:
    """What a ranking's scores are made of, in the order of `decision_entry`: arrays by candidate, then two numbers."""
    if not rows:
        return (None,) * len(_RANKED)
    columns = tuple(zip(*[row.values() for row in rows], strict=True))
    *every, cached, cached_price, penalties, alpha, unit = _places(tuple(rows[0].keys()))(columns)
    # Most requests have no conversation to stay with: a row of the ledger is not to grow by zeros.
    every += (cached, cached_price) if any(cached) else (None, None)
    return (*every, penalties if any(penalties) else None, alpha[0], unit[0])


@cache
def _places(names: tuple[str, ...]) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    """Takes what is kept out of the columns of a ranking, which are `names`: to look each up in each row costs more."""
    return itemgetter(*map(names.index, _RANKED))


class Ledger:
    """A bounded queue of entries and the one task (`run`) that writes them."""

    def __init__(self, db: Database, *, size: int) -> None:
        self._db = db
        self._size = size
        self._queue: deque[Entry] = deque()
        self._some = asyncio.Event()
        self._closing = False
        self.dropped = 0

    def add(self, entry: Entry) -> None:
        """Queue an entry; past the bound it is dropped and counted."""
        if len(self._queue) >= self._size:
            if self.dropped % 1000 == 0:
                log.error("the ledger is full; dropping entries (%d so far)", self.dropped + 1)
            self.dropped += 1
            metrics.ledger_dropped.inc()
            return
        self._queue.append(entry)
        self._some.set()

    @property
    def queued(self) -> int:
        """Entries not yet written."""
        return len(self._queue)

    async def run(self) -> None:
        """Write entries as they come, until `close`; while the database is away they wait."""
        while not self._closing or self._queue:
            if not self._queue:
                self._some.clear()
                await self._some.wait()
            if not self._closing:
                await asyncio.sleep(GATHER)
            try:
                await self._write_batch()
            except DatabaseUnavailable:
                await asyncio.sleep(RETRY)
            except Exception:
                log.exception("the ledger could not be written; trying again")
                await asyncio.sleep(RETRY)

    async def close(self, task: asyncio.Task[None], within: float) -> None:
        """Let the task running `run` write what is left, for `within` seconds at most; what remains is counted."""
        self._closing = True
        self._some.set()
        _, pending = await asyncio.wait({task}, timeout=within)
        if pending:
            task.cancel()
            await asyncio.wait({task})
            log.error("the database is away; %d ledger entries are lost", len(self._queue))

    async def _write_batch(self) -> None:
        batch = [self._queue[i] for i in range(min(BATCH, len(self._queue)))]
        await self._write([entry.composite() for entry in batch])
        for _ in batch:
            self._queue.popleft()

    async def _write(self, rows: list[tuple[object, ...]]) -> None:
        try:
            metrics.ledger_written.inc(await ledger.log_decisions(self._db, rows))
        except (DatabaseError, ValueError) as error:
            if len(rows) == 1:
                log.error("a ledger entry was refused: %s", type(error).__name__)
                self.dropped += 1
                metrics.ledger_dropped.inc()
                return
            # One bad row must not take the others with it.
            for row in rows:
                await self._write([row])


def decision_id() -> UUID:
    """A UUIDv7 (RFC 9562): the time in milliseconds, then 74 random bits."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    return UUID(int=value & ~(0xF << 76) & ~(0x3 << 62) | (0x7 << 76) | (0x2 << 62))
