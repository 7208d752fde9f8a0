"""Time and recall of decisions for tenants of growing size, before and after graduation."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from itertools import pairwise

import asyncpg
import numpy as np
from pgvector import HalfVector

from scripts.memory.exact_search import Exact, recall
from scripts.memory.graduation import graduate
from scripts.memory.speed import Asker, Scores, Taken, asking, halfvectors, similarities
from scripts.memory.world import K, Tenant
from scripts.support.corpus import Corpus
from scripts.support.report import Baseline, Params, Report, say

EXACT, GRADUATED = "exact", "graduated"
#: Targets in milliseconds: of an exact scan by size, and of graduated tenants of BIG memories or more.
EXACT_TARGETS = {50: 0.5, 5_000: 5.0}
BIG, BIG_TARGET = 20_000, 4.0
RECALL_TARGET, SAME_TARGET = 0.95, 0.97
#: Values of hnsw.ef_search that are measured besides the product's own.
EF_SEARCH = (100, 150, 200, 300, 400)
#: Maximum number of prompts for recall: more change only its third digit, and an exact scan needs few.
RECALLED = {EXACT: 50, GRADUATED: 300}


class Ladder:
    """Measures the tenants of one database one by one; `others`: the number of other tenants."""

    def __init__(
        self, report: Report, dsn: str, owner: asyncpg.Connection, others: int, stored: Corpus, questions: Corpus
    ) -> None:
        """`stored`: the prompts of the memories; `questions`: the prompts to decide for."""
        self._report = report
        self._stored = stored
        self._questions = questions
        self._prompts = len(stored.prompts)
        self._dsn = dsn
        self._owner = owner
        self._others = others
        self.taken: dict[tuple[int, str], Taken] = {}

    async def climb(self, tenant: Tenant, questions: int, *, graduates: bool, sweeps: bool) -> None:
        """Measure a tenant; `graduates`: also after graduation; `sweeps`: also with other settings."""
        say(f"  {tenant.memories:,} memories")
        asked = self._questions.part(0, questions)
        exact = Exact(self._stored, tenant.memories)
        k = min(K, tenant.memories)
        kth, searches = exact.search(asked.vectors, k)
        del exact
        limit = Baseline("numpy", statistics.median(searches))
        embeddings = halfvectors(asked.vectors)
        async with asking(self._dsn) as asker:
            taken, answers = await asker.decisions(tenant, embeddings)
            self._times(tenant, EXACT, taken, limit, EXACT_TARGETS.get(tenant.memories))
            await self._recall(tenant, EXACT, embeddings, kth)
            if not graduates:
                return
            seconds = await graduate(self._owner, tenant)
            self._report.add("graduation, unused", seconds, "s", params=self._params(tenant, GRADUATED))
            scan = Baseline("exact scan", taken.p50)
            under = BIG_TARGET if tenant.memories >= BIG else None
            again, approximate = await asker.decisions(tenant, embeddings)
            self._times(tenant, GRADUATED, again, scan, under)
            await self._recall(tenant, GRADUATED, embeddings, kth)
            self._same(tenant, answers, approximate)
            if sweeps:
                await self._sweep(asker, tenant, embeddings, kth, answers)

    async def _sweep(
        self, asker: Asker, tenant: Tenant, embeddings: Sequence[HalfVector], kth: list[float], answers: list[Scores]
    ) -> None:
        for size in EF_SEARCH:
            settings = {"hnsw.ef_search": str(size)}
            for name, value in settings.items():
                await asker.set(name, value)
            taken, approximate = await asker.decisions(tenant, embeddings)
            params = {"hnsw.ef_search": size}
            self._report.add("decide p50", taken.p50, "ms", params={**self._params(tenant, GRADUATED), **params})
            self._report.add(
                "decide, server's cpu", taken.server, "ms", params={**self._params(tenant, GRADUATED), **params}
            )
            await self._recall(tenant, GRADUATED, embeddings, kth, **settings)
            self._same(tenant, answers, approximate, **params)

    def _times(self, tenant: Tenant, search: str, taken: Taken, baseline: Baseline, under: float | None) -> None:
        self.taken[tenant.memories, search] = taken
        params = self._params(tenant, search)
        self._report.add("decide p50", taken.p50, "ms", params=params, baseline=baseline, under=under)
        self._report.add("decide p95", taken.p95, "ms", params=params)
        self._report.add("decide, server's cpu", taken.server, "ms", params=params)

    async def _recall(
        self, tenant: Tenant, search: str, embeddings: Sequence[HalfVector], kth: list[float], **settings: str
    ) -> None:
        k = min(K, tenant.memories)
        found = await similarities(self._dsn, tenant, embeddings[: RECALLED[search]], k, **settings)
        shares = [recall(each, least, k) for each, least in zip(found, kth, strict=False)]
        over = RECALL_TARGET if tenant.memories >= BIG and search == GRADUATED and not settings else None
        params = {**self._params(tenant, search), **settings}
        self._report.add(f"recall@{K}", float(np.mean(shares)), "share", params=params, over=over)

    def _same(self, tenant: Tenant, exact: list[Scores], approximate: list[Scores], **more: int) -> None:
        """Add the share of choices equal to the exact scan's, and the loss of the others by the exact scan's scores."""
        pairs = [(right, next(iter(found))) for right, found in zip(exact, approximate, strict=True)]
        same = statistics.mean(chosen == next(iter(right)) for right, chosen in pairs)
        # Compared with the exact scan's choice, which is not its best model if the support is low.
        lost = statistics.mean(right[next(iter(right))] - right[chosen] for right, chosen in pairs)
        params = {**self._params(tenant, GRADUATED), **more}
        over = SAME_TARGET if tenant.memories >= BIG and not more else None
        self._report.add("same model as the exact scan", same, "share", params=params, over=over)
        self._report.add("score lost by other choices, mean", lost, "points", params=params)

    def _params(self, tenant: Tenant, search: str) -> dict[str, str | int | float]:
        copies = max(0, tenant.memories - self._prompts)
        jittered = {"jittered": round(copies / tenant.memories, 3)} if copies else {}
        return {"memories": tenant.memories, "search": search, "other tenants": self._others, **jittered}

    def grown(self, search: str, sizes: Sequence[int]) -> None:
        """Add the growth of a decision's time from each size to the next."""
        for small, large in pairwise(sorted(sizes)):
            params: Params = {"from": small, "to": large, "search": search, "other tenants": self._others}
            ratio = self.taken[large, search].p50 / self.taken[small, search].p50
            self._report.add(
                "growth of decide p50", ratio, "x", params=params, baseline=Baseline("memories", large / small)
            )

    def crossing(self, sizes: Sequence[int]) -> None:
        """Add the size from which decisions are faster after graduation, interpolated between `sizes`."""
        for name in ("p50", "server"):
            differences = []
            for size in sizes:
                scan, index = (getattr(self.taken[size, search], name) for search in (EXACT, GRADUATED))
                differences.append(None if scan is None or index is None else scan - index)
            value = _root(sizes, [each for each in differences if each is not None])
            label = {"p50": "decide p50", "server": "server's cpu"}[name]
            self._report.add(
                "size where graduation starts to pay", value, "memories",
                params={"by": label, "measured": " ".join(map(str, sizes)), "other tenants": self._others},
            )  # fmt: skip


def _root(sizes: Sequence[int], differences: Sequence[float]) -> float | None:
    """Interpolate where `differences` become positive for good: the first size if they all are, None if nowhere."""
    if len(differences) != len(sizes) or differences[-1] <= 0:
        return None
    last = max((i for i, each in enumerate(differences) if each <= 0), default=None)
    if last is None:
        return float(sizes[0])
    share = -differences[last] / (differences[last + 1] - differences[last])
    return sizes[last] + share * (sizes[last + 1] - sizes[last])
