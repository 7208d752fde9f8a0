"""The duration of a graduation, and the longest wait of connections that read and teach meanwhile."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

import asyncpg
from pgvector import HalfVector

from app.store import memories
from app.store.memories import Example
from scripts.memory.speed import Asker, asking, decide
from scripts.memory.world import Tenant
from scripts.support.corpus import Corpus

#: Seconds between two calls of a connection during a graduation, so that it waits for locks and not for the processors.
PAUSE = 0.01
#: Seconds for which the calls are timed before the graduation begins.
BEFORE = 1.5

_taught = itertools.count()


def lessons(corpus: Corpus) -> Iterator[Example]:
    """Yield new prompts, each with the embedding and labels of a prompt of `corpus`."""
    for prompt, row in itertools.cycle(zip(corpus.prompts, corpus.vectors, strict=True)):
        quality, lengths = (
            {model: value for model, value in enumerate(values, 1) if value is not None}
            for values in (prompt.quality, prompt.completion_tokens)
        )
        text = f"prompt {next(_taught)} of the benchmark"
        yield Example(text, "import", None, prompt.tokens, quality, lengths, HalfVector(row))


@dataclass(frozen=True, slots=True)
class Graduation:
    """Seconds of a graduation; `waits`, `before`: each connection's longest wait during and before it, milliseconds."""

    seconds: float
    waits: dict[str, float]
    before: dict[str, float]


async def graduate(owner: asyncpg.Connection, tenant: Tenant) -> float:
    """Move a tenant's memories to a partition with an index of its own; return the seconds."""
    started = time.perf_counter()
    moved = await owner.fetchval("select router.graduate($1, $2::smallint)", tenant.number, tenant.space, timeout=None)
    seconds = time.perf_counter() - started
    if not moved:
        raise RuntimeError(f"tenant {tenant.number} was not graduated")
    return seconds


async def graduate_in_use(
    owner: asyncpg.Connection, dsn: str, tenant: Tenant, other: Tenant, corpus: Corpus
) -> Graduation:
    """Graduate a tenant while it and another one are read and taught, each on a separate connection."""
    examples = lessons(corpus)
    embedding = HalfVector(corpus.vectors[0])

    def reading(who: Tenant) -> Callable[[Asker], Awaitable[object]]:
        return lambda asker: decide(asker.db, who, embedding)

    def writing(who: Tenant) -> Callable[[Asker], Awaitable[object]]:
        return lambda asker: memories.record(asker.db, who.number, who.space, None, [next(examples)])

    kinds = {
        "reads of the tenant": reading(tenant),
        "writes of the tenant": writing(tenant),
        "reads of another": reading(other),
        "writes of another": writing(other),
    }
    over = asyncio.Event()
    waits = dict.fromkeys(kinds, 0.0)

    async def go_on(kind: str) -> None:
        async with asking(dsn) as asker:
            while not over.is_set():
                started = time.perf_counter()
                await kinds[kind](asker)
                waits[kind] = max(waits[kind], (time.perf_counter() - started) * 1000)
                await asyncio.sleep(PAUSE)

    going = [asyncio.create_task(go_on(kind)) for kind in kinds]
    try:
        # Connecting and the first call are not timed.
        await asyncio.sleep(0.5)
        waits.update(dict.fromkeys(kinds, 0.0))
        await asyncio.sleep(BEFORE)
        before = dict(waits)
        waits.update(dict.fromkeys(kinds, 0.0))
        seconds = await graduate(owner, tenant)
        await asyncio.sleep(0.2)
    finally:
        over.set()
        await asyncio.gather(*going)
    return Graduation(seconds, waits, before)
