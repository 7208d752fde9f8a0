"""What it costs to keep a memory: teaching, forgetting past the cap, graduation with people waiting, bytes."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

import asyncpg
from pgvector import HalfVector

from app.store import memory
from app.store.memory import Example
from scripts.bench import Baseline, Params, Report, say
from scripts.corpus import Corpus
from scripts.memory_speed import Asker, Taken, asking, decide
from scripts.memory_world import Tenant

#: Between two calls of those who wait for a graduation, seconds: they are to wait for locks, not for the processors.
PAUSE = 0.01
#: So long they are watched before it begins, seconds.
BEFORE = 2.0
#: Examples taught where nothing is forgotten.
TAUGHT = 200
#: A batch is forgotten when the cap is exceeded by this share; so many batches are waited for.
SLACK, BATCHES = 0.02, 3

_taught = itertools.count()


def lessons(corpus: Corpus) -> Iterator[Example]:
    """One new prompt after the other, its embedding and labels those of a prompt of `corpus`."""
    for prompt, row in itertools.cycle(zip(corpus.prompts, corpus.vectors, strict=True)):
        quality, lengths = (
            {model: value for model, value in enumerate(values, 1) if value is not None}
            for values in (prompt.quality, prompt.completion_tokens)
        )
        text = f"prompt {next(_taught)} of the benchmark"
        yield Example(text, "import", None, prompt.tokens, quality, lengths, HalfVector(row))


async def cap(owner: asyncpg.Connection, tenant: Tenant, memories: int) -> None:
    """Change how many memories a tenant keeps."""
    await owner.execute("select router.change_tenant($1, $2)", tenant.number, memories)


@dataclass(frozen=True, slots=True)
class Graduation:
    """Seconds that it took, and the longest milliseconds that each of those who went on meanwhile waited."""

    seconds: float
    waits: dict[str, float]
    before: dict[str, float]


async def graduate(owner: asyncpg.Connection, tenant: Tenant) -> float:
    """Move a tenant's memories behind an index of their own; the seconds that it took."""
    started = time.perf_counter()
    moved = await owner.fetchval("select router.graduate($1, $2::smallint)", tenant.number, tenant.space, timeout=None)
    seconds = time.perf_counter() - started
    if not moved:
        raise RuntimeError(f"tenant {tenant.number} was not graduated")
    return seconds


async def graduate_in_use(
    owner: asyncpg.Connection, dsn: str, tenant: Tenant, other: Tenant, corpus: Corpus
) -> Graduation:
    """Graduate a tenant while it and another one are read and taught, each on a connection of its own."""
    examples = lessons(corpus)
    embedding = HalfVector(corpus.vectors[0])

    def reading(who: Tenant) -> Callable[[Asker], Awaitable[object]]:
        return lambda asker: decide(asker.db, who, embedding)

    def writing(who: Tenant) -> Callable[[Asker], Awaitable[object]]:
        return lambda asker: memory.record(asker.db, who.number, who.space, None, [next(examples)])

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
        # Connecting and the first call are not what is waited for.
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


async def sizes(owner: asyncpg.Connection, tenant: Tenant) -> dict[str, float]:
    """Bytes per memory of the table that holds a tenant's memories and of each of its indexes, by role in the table."""
    rows = await owner.fetch(
        """
        with home as (
            select m.tableoid as oid from router.memories as m where m.tenant_id = $1 and m.space_id = $2 limit 1
        ),
        things as (
            select 'table' as name, oid from home
            union all
            select replace(i.indexrelid::regclass::text, h.oid::regclass::text || '_', ''), i.indexrelid
            from home as h join pg_index as i on i.indrelid = h.oid
        )
        select t.name, pg_relation_size(t.oid) / (select c.reltuples from pg_class as c, home as h where c.oid = h.oid)
            as bytes
        from things as t
        """,
        tenant.number,
        tenant.space,
    )
    return {row["name"]: row["bytes"] for row in rows}


class Upkeep:
    """One run's measurements of teaching, forgetting and graduating; the examples taught are those of `asked`."""

    def __init__(self, report: Report, dsn: str, owner: asyncpg.Connection, asked: Corpus) -> None:
        self._report = report
        self._dsn = dsn
        self._owner = owner
        self._asked = asked
        self._examples = lessons(asked)
        self._without: Taken | None = None

    async def small(self, tenant: Tenant) -> None:
        """A tenant that has not graduated: bytes, teaching, teaching past its cap."""
        say(f"Teaching a tenant of {tenant.memories:,} memories.")
        await self._bytes(tenant, "small")
        self._without = await self._teach(tenant, "small")

    async def graduated(self, tenant: Tenant, other: Tenant) -> None:
        """A tenant graduates while it and another one are used; then what it costs to keep it."""
        say(f"Graduating a tenant of {tenant.memories:,} memories in use, then teaching it.")
        params = {"memories": tenant.memories}
        found = await graduate_in_use(self._owner, self._dsn, tenant, other, self._asked)
        self._report.add("graduation, in use", found.seconds, "s", params=params)
        for kind, wait in found.waits.items():
            self._report.add(
                "longest wait during graduation", wait, "ms", params={**params, "of": kind},
                baseline=Baseline(f"longest of {BEFORE:g} s before", found.before[kind]),
            )  # fmt: skip
        await self._bytes(tenant, "graduated")
        await self._teach(tenant, "graduated")

    async def _teach(self, tenant: Tenant, search: str) -> Taken:
        """Teach with room, then past the cap."""
        async with asking(self._dsn) as asker:

            async def teach() -> None:
                await memory.record(asker.db, tenant.number, tenant.space, None, [next(self._examples)])

            await cap(self._owner, tenant, 2 * tenant.memories)
            for _ in range(5):
                await teach()
            without = await asker.taken(teach, TAUGHT)
            self._add("teaching one example", tenant, search, without, "small tenant", self._without)
            most = tenant.memories
            await cap(self._owner, tenant, most)
            # The first call forgets what was taught until here.
            await teach()
            batch = int(most * SLACK) + 1
            full = await asker.taken(teach, batch * max(1, min(BATCHES, 600 // batch)))
            self._add("teaching one example at the cap", tenant, search, full, "below the cap", without)
        return without

    def _add(self, metric: str, tenant: Tenant, search: str, taken: Taken, name: str, other: Taken | None) -> None:
        params: Params = {"memories": tenant.memories, "search": search}
        baseline = None if other is None else Baseline(name, other.p50)
        self._report.add(f"{metric}, p50", taken.p50, "ms", params=params, baseline=baseline)
        baseline = Baseline(name, other.server) if other and other.server else None
        self._report.add(f"{metric}, server's cpu", taken.server, "ms", params=params, baseline=baseline)

    async def _bytes(self, tenant: Tenant, search: str) -> None:
        home = await self._owner.fetchval(
            "select tableoid::regclass::text from router.memories where tenant_id = $1 limit 1", tenant.number
        )
        await self._owner.execute(f"vacuum (analyze) {home}")
        width = self._asked.vectors.shape[1]
        for name, size in (await sizes(self._owner, tenant)).items():
            self._report.add(
                "bytes of a memory", size, "B", params={"search": search, "in": name},
                baseline=Baseline("its embedding", 2 * width + 8),
            )  # fmt: skip
