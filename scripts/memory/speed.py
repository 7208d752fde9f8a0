"""Time of decisions at the client and in the server, and their scores for comparison with an exact search."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Any

from pgvector import HalfVector

from app.store import decisions
from app.store.database import Database
from app.store.decisions import Question
from scripts.memory.world import Tenant
from scripts.support.connection import connect
from scripts.support.corpus import Vectors
from scripts.support.load import quantile
from scripts.support.processes import cpu_seconds

PROMPT_TOKENS = 100
#: The score of every candidate by its number, the chosen one first.
Scores = dict[int, float]


@dataclass(slots=True)
class Taken:
    """Milliseconds of calls: of each one at the client, and processor time per call of server and client."""

    latencies: list[float] = field(default_factory=list)
    server: float | None = None
    client: float = 0.0

    @property
    def p50(self) -> float:
        """Median at the client."""
        return statistics.median(self.latencies)

    @property
    def p95(self) -> float:
        """95th percentile at the client."""
        return quantile(self.latencies, 0.95)


class Asker:
    """One connection of the proxy's pool, which calls `decide` like a request."""

    def __init__(self, db: Database, backend: int) -> None:
        self.db = db
        self._backend = backend

    async def decisions(
        self, tenant: Tenant, embeddings: Sequence[HalfVector], warm: int = 10
    ) -> tuple[Taken, list[Scores]]:
        """Decide for all `embeddings` one after the other, after `warm` untimed decisions."""
        for embedding in islice(cycle(embeddings), warm):
            await decide(self.db, tenant, embedding)
        waiting = iter(embeddings)
        answers: list[Scores] = []

        async def one() -> None:
            rows = await decide(self.db, tenant, next(waiting))
            answers.append({row["model_id"]: row["score"] for row in rows})

        return await self.taken(one, len(embeddings)), answers

    async def taken(self, call: Callable[[], Awaitable[object]], calls: int) -> Taken:
        """Time so many calls on this connection, one after the other."""
        taken = Taken()
        server, client = cpu_seconds([self._backend]), time.process_time()
        for _ in range(calls):
            started = time.perf_counter()
            await call()
            taken.latencies.append((time.perf_counter() - started) * 1000)
        taken.client = (time.process_time() - client) * 1000 / calls
        used = cpu_seconds([self._backend])
        if server is not None and used is not None:
            taken.server = (used - server) * 1000 / calls
        return taken

    async def set(self, setting: str, value: str) -> None:
        """Change a setting of this connection."""
        await self.db.fetch("select set_config($1, $2, false)", setting, value)


@asynccontextmanager
async def asking(dsn: str) -> AsyncIterator[Asker]:
    """Yield a connection to the database of `dsn` with the proxy's role and settings."""
    db = Database(dsn, size=1)
    await db.open()
    try:
        yield Asker(db, (await db.fetch("select pg_backend_pid()"))[0][0])
    finally:
        await db.close()


async def decide(db: Database, tenant: Tenant, embedding: HalfVector) -> list[Mapping[str, Any]]:
    """Decide for a routed request that has a prompt only."""
    question = Question(
        tenant_id=tenant.number,
        policy_id=tenant.policy,
        space_id=tenant.space,
        task=None,
        prompt_tokens=PROMPT_TOKENS,
        default_model=tenant.default,
    )
    return await decisions.decide(db, question, embedding, deadline=60)


async def similarities(
    dsn: str, tenant: Tenant, embeddings: Sequence[HalfVector], k: int, **settings: str
) -> list[list[float]]:
    """Return the similarities of `router.neighbours` for each embedding, nearest first."""
    connection = await connect(dsn, **settings)
    try:
        async with connection.transaction():
            await connection.execute("select router_internal._enter($1)", tenant.number)
            query = "select similarity from router.neighbours($1, $2, $3, $4)"
            return [
                [row["similarity"] for row in await connection.fetch(query, tenant.number, tenant.space, embedding, k)]
                for embedding in embeddings
            ]
    finally:
        await connection.close()


async def per_second(
    dsn: str, tenants: Sequence[Tenant], embeddings: Sequence[HalfVector], connections: int, seconds: float
) -> tuple[float, float]:
    """Return decisions a second over so many connections, for the tenants in turn, and the client's cost of each.

    The client is this process: one event loop, the proxy's own pool; the cost is its processor time in milliseconds.
    """
    db = Database(dsn, size=connections)
    await db.open()
    done = 0

    async def ask() -> None:
        nonlocal done
        while time.perf_counter() < end:
            number, done = done, done + 1
            await decide(db, tenants[number % len(tenants)], embeddings[number % len(embeddings)])

    try:
        end = time.perf_counter() + seconds / 4
        await asyncio.gather(*(ask() for _ in range(connections)))
        done, client, began = 0, time.process_time(), time.perf_counter()
        end = began + seconds
        await asyncio.gather(*(ask() for _ in range(connections)))
        return done / (time.perf_counter() - began), (time.process_time() - client) * 1000 / done
    finally:
        await db.close()


def halfvectors(vectors: Vectors) -> list[HalfVector]:
    """Convert each row for the arguments of a call."""
    return [HalfVector(row) for row in vectors]
