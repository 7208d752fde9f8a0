"""The SQL side of the benchmark: tenants taught as by an import, fits, and decisions as for a request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any, NamedTuple

import asyncpg
import numpy as np
from pgvector import HalfVector

from app.store import decisions, memories, memory_files, policies, providers, spaces, tenants
from app.store import models as registry
from app.store.database import Database
from scripts.quality.fit import ROWS, Fit
from scripts.quality.memory import Floats, Memory, Prices
from scripts.quality.settings import Settings
from scripts.quality.split import Split

BATCH = 1000
CALIBRATE = "select * from router.calibrate($1, $2, $3, $4, $5, p_sample => $6, p_seconds => $7, p_tune => $8)"
FIT = "select * from router.fit($1, $2, $3, p_sample => $4, p_seconds => 600)"
#: The memories of a tenant with the SHA-256 of their prompts, in the order in which a fit takes them.
SAMPLE = """
select m.memory_id, x.prompt_hash
from router.memories as m
inner join router.memory_texts as x on x.tenant_id = m.tenant_id and x.memory_id = m.memory_id
where m.tenant_id = $1 and m.space_id = $2
order by hashint8extended(m.memory_id, 0), m.memory_id
"""
NEIGHBOURS = "select n.memory_id from router.neighbours($1, $2, $3, $4) as n"
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
        return Tenant(tenant, space, numbers, names, split.strong, taught if tagged else taught.untagged())

    async def policy(self, tenant: Tenant, settings: Settings | None = None) -> tuple[int, Settings, float]:
        """Create a policy; `settings` None: the defaults. Return its number, its settings and its alpha."""
        self._made += 1
        own = {} if settings is None else asdict(settings)
        name = f"policy {self._made}".replace(" ", "-")
        policy = await policies.put_policy(
            self._db, tenant.number, name, backend="knn", default=tenant.names[tenant.default],
            models=tenant.names, settings={**own, "seed_count": 1},
        )  # fmt: skip
        (row,) = [row for row in await policies.list_policies(self._db, tenant.number) if row["name"] == name]
        return policy, Settings.of(row), row["alpha"]

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
        return Calibrated(row["alpha"], Settings.of(written[0]))

    async def lean(self, tenant: Tenant, base: Tenant) -> None:
        """Let a tenant use another's memory as its base."""
        await tenants.change_tenant(self._db, base.number, shared=True)
        await tenants.change_tenant(self._db, tenant.number, base=base.number)

    async def fitted(self, tenant: Tenant, policy: int) -> Fit | None:
        """Fit a policy; None: the memory is too small."""
        async with self._db.session() as connection:
            row = await connection.fetchrow(FIT, tenant.number, policy, tenant.space, ROWS)
        return _fit(tenant, row)

    async def fit_of(self, tenant: Tenant, policy: int) -> Fit | None:
        """Return the fit that a policy has."""
        async with self._db.session() as connection:
            return _fit(tenant, await connection.fetchrow("select * from router.fits where policy_id = $1", policy))

    async def order(self, split: Split, tenant: Tenant) -> dict[int, int]:
        """Return the row of each memory by its number, in the order in which a fit takes the memories."""
        async with self._db.session() as connection:
            found = await connection.fetch(SAMPLE, tenant.number, tenant.space)
        taught = split.taught[: len(tenant.memory.quality)].tolist()
        rows = {sha256(split.data.labels.prompts[row].encode()).digest(): at for at, row in enumerate(taught)}
        return {each["memory_id"]: rows[each["prompt_hash"]] for each in found}

    async def neighbours(self, split: Split, tenant: Tenant, row: int, k: int) -> list[int]:
        """Return the numbers of the memories nearest to one of the taught rows, itself included."""
        embedding = HalfVector(split.data.vectors[split.taught[row]])
        async with self._db.session() as connection:
            found = await connection.fetch(NEIGHBOURS, tenant.number, tenant.space, embedding, k)
        return [each["memory_id"] for each in found]

    async def decided(
        self, split: Split, tenant: Tenant, policy: int, row: int, prompt_tokens: int, alpha: float, *, tagged: bool
    ) -> list[Any]:
        """Return the ranking of router.decide for a prompt of the set."""
        labels = split.data.labels
        question = decisions.Question(
            tenant_id=tenant.number, policy_id=policy, space_id=tenant.space,
            task=labels.tasks[row] if tagged and labels.tasks else None, prompt_tokens=prompt_tokens,
            default_model=tenant.models[tenant.default], alpha=alpha,
        )  # fmt: skip
        return await decisions.decide(self._db, question, HalfVector(split.data.vectors[row]), deadline=60)

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


def _fit(tenant: Tenant, row: asyncpg.Record | None) -> Fit | None:
    if row is None:
        return None
    assert tuple(row["models"]) == tenant.models == tuple(sorted(tenant.models))
    many = len(tenant.models)
    transfer = None if row["transfer"] is None else np.array(row["transfer"], np.float64).reshape(many, many)
    return Fit(row["rows"], row["pairs"], row["n0"], row["guess"], row["lambda"], transfer)
