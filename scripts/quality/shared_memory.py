"""Gain of a shared (base) memory for a tenant with few labels, by base_weight and by whether the tasks match."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scripts.quality.baselines import references
from scripts.quality.cells import BLEND, Cells, Deviation, Plan
from scripts.quality.deviation import compared
from scripts.quality.fit import fitted, sample
from scripts.quality.means import guesses
from scripts.quality.memory import nearest, summed
from scripts.quality.metrics import Curve, World, gain
from scripts.quality.rules import ALPHAS
from scripts.quality.settings import Settings
from scripts.quality.split import Split
from scripts.quality.sql import Postgres
from scripts.quality.twin import Base, chosen, estimated

#: Maximum memories of the shared tenant, values of base_weight (0: not used), and numbers of the tenant's labels.
SHARED = 2_000
WEIGHTS = (0.0, 20.0, 100.0, 500.0)
SIZES = (0, 20, 50, 100, 200, 500)
#: Number of the tenant's labels at which the SQL is compared.
CHECKED = 50
#: Names of the metrics: a shared memory of the same tasks, and of others.
LIKE, UNLIKE = "gain, leaning on the same tasks", "gain, leaning on other tasks"


def named(weight: float) -> str:
    """Return the name of the rule with a weight."""
    return f"base_weight {weight:g}" if weight else "no shared memory"


class Leaning:
    """The rows of a split, divided into those of a shared tenant and those of a tenant that uses its memory."""

    def __init__(self, split: Split, plan: Plan, cells: Cells, settings: Settings) -> None:
        self._split = split
        self._plan = plan
        self._cells = cells
        self._settings = settings

    async def measure(self, postgres: Postgres) -> None:
        """Measure both kinds in the twin, and decisions of the first kind in Postgres."""
        split = self._split
        shared, own = split.taught[max(SIZES) :][:SHARED], split.taught[: max(SIZES)]
        if len(shared) < max(SIZES):
            return
        same = replace(split, taught=shared), replace(split, taught=own)
        await self._compare(postgres, *same)
        self._learn(*same, LIKE)
        task = split.data.questions.task
        known = np.unique(task[task >= 0])
        if len(known) > 1:
            half = np.random.default_rng(split.seed).permutation(known)[: len(known) // 2]
            theirs = np.isin(task, half)
            shared, own = split.taught[theirs[split.taught]][:SHARED], split.taught[~theirs[split.taught]]
            asked = split.asked[~theirs[split.asked]]
            if min(len(shared), len(own)) >= max(SIZES) and len(asked):
                self._learn(replace(split, taught=shared), replace(split, taught=own, asked=asked), UNLIKE)

    def _learn(self, shared: Split, own: Split, metric: str) -> None:
        labels, settings, put = own.data.labels, self._settings, self._cells.put
        world = World.of(labels.quality[own.asked], labels.cost[own.asked], own.strong, own.weak)
        questions = own.data.questions.part(own.asked).untagged()
        lent = shared.memory()
        sums = summed(lent, nearest(lent, questions, settings.k), settings.tau)
        put(metric, BLEND, 0.0)
        for size in SIZES:
            for name, value in references(world).items():
                put(metric, name, value, at=size)
            memory = own.memory_at(size, lent.prices)
            near = nearest(memory, questions, settings.k)
            mine, likely = summed(memory, near, settings.tau), guesses(memory, near)
            rows = sample(memory)
            theirs = summed(lent, nearest(lent, memory.rows.part(rows), settings.k), settings.tau)
            for weight in WEIGHTS if size else WEIGHTS[1:]:
                base = Base.of(lent, sums, weight) if weight else None
                fit = fitted(memory, settings, rows, base=Base.of(lent, theirs, weight) if weight else None)
                found = estimated(memory, mine, questions, settings, base=base, fit=fit, likely=likely)
                curve = Curve.of(world, chosen(found, ALPHAS, own.strong, settings))
                put(metric, named(weight), gain(world, curve), at=size)

    async def _compare(self, postgres: Postgres, shared: Split, own: Split) -> None:
        # At most as many as the plan has for Postgres.
        lent = shared.memory(self._plan.memory)
        base = await postgres.taught(shared, lent, tagged=False)
        for size in (0, CHECKED):
            tenant = await postgres.taught(own, own.memory_at(size, lent.prices), tagged=False)
            await postgres.lean(tenant, base)
            asked = own.asked[: self._plan.checked]
            found = await compared(postgres, own, tenant, None, asked, ALPHAS[1::4], tagged=False, base=base)
            self._cells.deviations.setdefault(f"leaning, {size} of its own", Deviation()).add(found)
            await postgres.forgotten(tenant)
        await postgres.forgotten(base)
