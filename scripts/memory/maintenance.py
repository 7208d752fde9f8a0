"""Cost of keeping a memory: teaching, forgetting beyond the cap, graduating while in use, bytes."""

from __future__ import annotations

import asyncpg

from app.store import memories as memory
from scripts.memory.graduation import BEFORE, graduate_in_use, lessons
from scripts.memory.speed import Taken, asking, halfvectors, similarities
from scripts.memory.world import K, Tenant
from scripts.support.corpus import Corpus
from scripts.support.report import Baseline, Params, Report, say

#: Examples taught below the cap.
TAUGHT = 100
#: Share by which the cap is exceeded before a batch is forgotten; number of batches that are timed.
SLACK, BATCHES = 0.02, 3


async def cap(owner: asyncpg.Connection, tenant: Tenant, memories: int) -> None:
    """Change the maximum number of memories of a tenant."""
    await owner.execute("select router.change_tenant($1, $2)", tenant.number, memories)


async def sizes(owner: asyncpg.Connection, tenant: Tenant) -> dict[str, float]:
    """Return bytes per memory of a tenant's table and of each of its indexes, by the name in the report."""
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


#: Share of a graduated tenant's memories that is forgotten at once, and the number of prompts searched afterwards.
FORGOTTEN, ASKED = 0.25, 100


class Maintenance:
    """Measures teaching, forgetting and graduating; the taught examples are those of `corpus`."""

    def __init__(self, report: Report, dsn: str, owner: asyncpg.Connection, corpus: Corpus) -> None:
        self._report = report
        self._dsn = dsn
        self._owner = owner
        self._corpus = corpus
        self._examples = lessons(corpus)
        self._without: Taken | None = None

    async def small(self, tenant: Tenant) -> None:
        """Measure a tenant that has not graduated: bytes, teaching, teaching beyond its cap."""
        say(f"Teaching a tenant of {tenant.memories:,} memories.")
        await self._bytes(tenant, "small")
        self._without = await self._teach(tenant, "small")

    async def graduated(self, tenant: Tenant, other: Tenant) -> None:
        """Graduate a tenant while it and another one are in use; then measure its bytes and teaching."""
        say(f"Graduating a tenant of {tenant.memories:,} memories in use, then teaching it.")
        params = {"memories": tenant.memories}
        found = await graduate_in_use(self._owner, self._dsn, tenant, other, self._corpus)
        self._report.add("graduation, in use", found.seconds, "s", params=params)
        for kind, wait in found.waits.items():
            self._report.add(
                "longest wait during graduation", wait, "ms", params={**params, "of": kind},
                baseline=Baseline(f"longest of {BEFORE:g} s before", found.before[kind]),
            )  # fmt: skip
        await self._bytes(tenant, "graduated")
        await self._teach(tenant, "graduated")
        await self._thinned(tenant)

    async def _thinned(self, tenant: Tenant) -> None:
        """Count neighbours after forgetting: the index keeps deleted memories until it is rebuilt."""
        async with asking(self._dsn) as asker:
            rows = await self._owner.fetch("select memory_id from router.memories where tenant_id = $1", tenant.number)
            known = [row["memory_id"] for row in rows]
            await memory.forget(asker.db, tenant.number, known[:: round(1 / FORGOTTEN)])
        found = await similarities(self._dsn, tenant, halfvectors(self._corpus.vectors[:ASKED]), K)
        params = {"memories": tenant.memories, "forgotten": FORGOTTEN}
        share = sum(map(len, found)) / len(found) / K
        self._report.add(f"neighbours found, of {K}", share, "share", params=params, over=0.999)

    async def _teach(self, tenant: Tenant, search: str) -> Taken:
        """Time teaching below the cap, then beyond it."""
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
            # The first call forgets the excess of the examples above.
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
        width = self._corpus.vectors.shape[1]
        for name, size in (await sizes(self._owner, tenant)).items():
            self._report.add(
                "bytes of a memory", size, "B", params={"search": search, "in": name},
                baseline=Baseline("its embedding", 2 * width + 8),
            )  # fmt: skip
