"""The SQL side of the benchmark: tenants taught as by an import, decisions as for a request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import asyncpg
import numpy as np
from pgvector import HalfVector

from app.store import decisions, memories, memory_files, policies, providers, spaces, tenants
from app.store import models as registry
from app.store.database import Database
from scripts.memory.exact_search import TIE
from scripts.quality.cells import Deviation
from scripts.quality.split import Split
from scripts.quality.twin import (  # fmt: skip
    Base,
    Floats,
    Ints,
    Memory,
    Prices,
    Settings,
    chosen,
    estimated,
    nearest,
    summed,
)

BATCH = 1000
#: Settings of a new policy.
BASE_WEIGHT = 100.0
CALIBRATE = "select * from router.calibrate($1, $2, $3, $4, $5, p_sample => $6, p_seconds => $7, p_tune => $8)"
#: SQLSTATEs of a target that a memory does not support, and of too few memories.
REFUSED = frozenset({"RT008", "RT010"})


@dataclass(frozen=True)
class Tenant:
    """A taught tenant; `models[i]` is the number of the i-th model of the set."""

    number: int
    space: int
    models: tuple[int, ...]
    names: tuple[str, ...]
    default: int
    memory: Memory


class Calibrated(NamedTuple):
    """The result of router.calibrate."""

    alpha: float
    settings: Settings


class Postgres:
    """One migrated database for one tenant at a time; the models are the same for all, with other prices for each."""

    def __init__(self, db: Database) -> None:
        """`db` is open, with the owner's rights."""
        self._db = db
        self._made = 0

    async def taught(self, split: Split, taught: Memory, *, tagged: bool) -> Tenant:
        """Create a tenant with the first rows of a split, as many as `taught` has, by COPY and record_staged."""
        many = len(taught.quality)
        labels = split.data.labels
        names, numbers = await self._models(taught.prices)
        self._made += 1
        tenant = await tenants.create_tenant(self._db, f"set {self._made}", memory_cap=max(5000, many))
        width = split.data.vectors.shape[1]
        space = await spaces.register_space(self._db, split.data.embedder, width)
        async with memory_files.staging(self._db) as staging:
            for start in range(0, many, BATCH):
                await staging.add([
                    memories.Example(
                        prompt=labels.prompts[row],
                        source="import",
                        task=labels.tasks[row] if tagged and labels.tasks else None,
                        prompt_tokens=int(taught.rows.prompt_tokens[at]),
                        scores=_known(numbers, taught.quality[at]),
                        completion_tokens=_known(numbers, taught.tokens[at]),
                        embedding=HalfVector(split.data.vectors[row]),
                    )
                    for at, row in enumerate(split.taught[start : min(start + BATCH, many)].tolist(), start)
                ])  # fmt: skip
            done = await staging.teach(tenant, space, lambda _: None)
        assert (done.created, done.evicted) == (many, 0), done
        return Tenant(tenant, space, numbers, names, split.strong, taught)

    async def policy(self, tenant: Tenant, settings: Settings | None = None) -> tuple[int, Settings, float]:
        """Create a policy; `settings` None: the defaults. Return its number, its settings and its alpha."""
        self._made += 1
        own = {} if settings is None else {
            name: getattr(settings, name) for name in ("k", "tau", "n0", "n0_task", "n1", "confidence_floor")
        }  # fmt: skip
        name = f"policy {self._made}".replace(" ", "-")
        policy = await policies.put_policy(
            self._db, tenant.number, name, backend="knn", default=tenant.names[tenant.default],
            models=tenant.names, settings={**own, "seed_count": 1},
        )  # fmt: skip
        (row,) = [row for row in await policies.list_policies(self._db, tenant.number) if row["name"] == name]
        return policy, _settings(row), row["alpha"]

    async def calibrated(
        self, tenant: Tenant, policy: int, target: float, *, tune: bool, rows: int, seconds: float
    ) -> Calibrated | None:
        """Return the values that router.calibrate writes into a policy; None if it refuses the target."""
        async with self._db.session() as connection:
            try:
                row = await connection.fetchrow(
                    CALIBRATE, tenant.number, policy, tenant.space, target, 0.9, rows, seconds, tune
                )
            except asyncpg.PostgresError as error:
                if error.sqlstate in REFUSED:
                    return None
                raise
        written = [row for row in await policies.list_policies(self._db, tenant.number) if row["policy_id"] == policy]
        return Calibrated(row["alpha"], _settings(written[0]))

    async def lean(self, tenant: Tenant, base: Tenant) -> None:
        """Let a tenant use another's memory as its base."""
        await tenants.change_tenant(self._db, base.number, shared=True)
        await tenants.change_tenant(self._db, tenant.number, base=base.number)

    async def compared(
        self,
        split: Split,
        tenant: Tenant,
        settings: Settings | None,
        asked: Ints,
        alphas: Floats,
        *,
        tagged: bool,
        base: Tenant | None = None,
    ) -> Deviation:
        """Compare router.decide with the twin on some prompts, each at one of the alphas; `base`: the shared memory."""
        policy, settings, _ = await self.policy(tenant, settings)
        labels = split.data.labels
        questions = split.data.questions.part(asked)
        if not tagged:
            questions = questions.untagged()
        edges, sums = [], []
        for each in (tenant, *([base] if base else [])):
            near = nearest(each.memory, questions, settings.k + 1)
            edges.append(near.similarity[:, settings.k - 1 : settings.k + 1])
            sums.append(summed(each.memory, near.first(settings.k), settings.tau))
        leant = None if base is None else Base.of(base.memory, sums[1], BASE_WEIGHT)
        found = estimated(tenant.memory, sums[0], questions, settings, base=leant)
        result = Deviation()
        for at, row in enumerate(asked.tolist()):
            if any(len(edge[at]) == 2 and edge[at][0] - edge[at][1] < TIE for edge in edges):
                result.tied += 1
                continue
            alpha = float(alphas[at % len(alphas)])
            question = decisions.Question(
                tenant_id=tenant.number, policy_id=policy, space_id=tenant.space,
                task=labels.tasks[row] if tagged and labels.tasks else None,
                prompt_tokens=int(questions.prompt_tokens[at]), default_model=tenant.models[tenant.default],
                alpha=alpha,
            )  # fmt: skip
            decided = await decisions.decide(self._db, question, HalfVector(split.data.vectors[row]), deadline=60)
            places = [tenant.models.index(each["model_id"]) for each in decided]
            quality, cost = found.quality[at][places], found.cost[at][places]
            score = quality - alpha * found.penalty[at][places]
            result.quality = max(result.quality, _apart([each["quality"] for each in decided], quality))
            result.score = max(result.score, _apart([each["score"] for each in decided], score))
            result.cost = max(
                result.cost, _apart([each["cost_usd"] for each in decided], cost, np.where(cost > 0, cost, 1))
            )
            (choice,) = chosen(found.part(np.array([at])), np.array([alpha]), tenant.default, settings)[:, 0]
            lost = np.nan_to_num(score[places.index(choice)] - score[0], nan=np.inf)
            result.choices += int(places[0] != choice and abs(lost) > 1e-4)
            result.compared += 1
        return result

    async def forgotten(self, tenant: Tenant) -> None:
        """Delete a tenant."""
        await tenants.delete_tenant(self._db, tenant.number)

    async def _models(self, prices: Prices) -> tuple[tuple[str, ...], tuple[int, ...]]:
        names = tuple(f"model {number}" for number in range(len(prices.prompt)))
        await providers.put_provider(self._db, "nowhere", "http://127.0.0.1:1/v1", None)
        numbers = [
            await registry.put_model(
                self._db, name, "nowhere", input_price=float(prompt) * 1e6, output_price=float(completion) * 1e6
            )
            for name, prompt, completion in zip(names, prices.prompt, prices.completion, strict=True)
        ]
        return names, tuple(numbers)


def _known(numbers: Sequence[int], values: Floats) -> dict[int, float]:
    return {n: float(value) for n, value in zip(numbers, values, strict=True) if np.isfinite(value)}


def _settings(row: Any) -> Settings:
    return Settings(row["k"], row["tau"], row["n0"], row["n0_task"], row["n1"], row["confidence_floor"])


def _apart(sql: Sequence[float | None], twin: Floats, scale: Floats | float = 1.0) -> float:
    """Return the largest difference; infinity if only one of both has a value."""
    real = np.array([np.nan if value is None else value for value in sql], np.float64)
    if (np.isnan(real) != np.isnan(twin)).any():
        return float("inf")
    return float(np.nan_to_num(np.abs(real - twin) / scale).max())
