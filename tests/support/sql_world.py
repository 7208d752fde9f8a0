"""Tenants, models, memories and questions for tests that call Postgres directly."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from math import cos, sin
from typing import Any
from uuid import UUID

import asyncpg
from pgvector import HalfVector

from app.policy_settings import POLICY_SETTINGS
from scripts.support.connection import connect

WIDTH = 384
START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def vector(values: Sequence[float], width: int = WIDTH) -> HalfVector:
    """Return `values`, padded with zeros to the column's width."""
    return HalfVector([*values, *[0.0] * (width - len(values))])


def direction(angle: float) -> HalfVector:
    """Return a unit vector; the cosine of two is the cosine of the difference of their angles (radians)."""
    return vector([cos(angle), sin(angle)])


@dataclass(frozen=True)
class Taught:
    """An example to teach; `scores` and `tokens` by model number."""

    prompt: str
    scores: Mapping[int, float]
    embedding: HalfVector = field(default_factory=lambda: direction(0))
    tokens: Mapping[int, float] = field(default_factory=dict)
    task: str | None = None
    source: str = "human"
    prompt_tokens: int = 10

    def composite(self) -> tuple[Any, ...]:
        """Return the fields in the order of the SQL type `example`; each array ends at the last known model."""
        return (
            sha256(self.prompt.encode()).digest(), self.prompt, self.source, self.task, self.prompt_tokens,
            by_number(self.scores), by_number(self.tokens), self.embedding,
        )  # fmt: skip


def by_number(values: Mapping[int, float]) -> list[float | None]:
    """Return values as an array whose positions, from 1, are model numbers."""
    return [values.get(number) for number in range(1, max(values, default=0) + 1)]


def uuid7(at: datetime, tail: int = 1) -> UUID:
    """Return the UUIDv7 of a time, ending in `tail`."""
    milliseconds = (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    return UUID(int=milliseconds << 80 | 0x7 << 76 | 0x2 << 62 | tail)


class World:
    """A database with an owner's connection, one like the proxy's, an embedding space and two models."""

    def __init__(self, dsn: str, owner: asyncpg.Connection, app: asyncpg.Connection) -> None:
        self.dsn = dsn
        self.owner = owner
        self.app = app
        self.space = 0
        self.small = 0
        self.large = 0

    async def reset(self) -> None:
        """Empty the database but for two models and a space: a new database takes ten times as long."""
        await self.owner.execute(
            """
            reset all;
            delete from router.decisions;
            delete from router.reservations;
            delete from router.memories;
            delete from router.tenants;
            delete from router.models;
            delete from router.providers;
            delete from router.spaces;
            select setval(pg_get_serial_sequence('router.models', 'model_id'), 1, false);
            select router.put_provider('fake', 'http://127.0.0.1:1/v1', null);
            """
        )
        await self.app.execute("reset all")
        self.small = await self.model("small", 1.0, 2.0)
        self.large = await self.model("large", 10.0, 20.0, cached=1.0)
        self.space = await self.owner.fetchval("select router.register_space('space', $1)", WIDTH)

    async def model(
        self,
        name: str,
        input_price: float | None,
        output_price: float | None,
        *,
        cached: float | None = None,
        enabled: bool = True,
    ) -> int:
        """Add or change a model; prices in USD per million tokens."""
        found: int = await self.owner.fetchval(
            "select router.put_model($1, 'fake', $1, $2, $3, $4, null, null, null, null, null, $5)",
            name, input_price, cached, output_price, enabled,
        )  # fmt: skip
        return found

    async def tenant(self, name: str = "acme", **columns: Any) -> int:
        """Make a tenant with these columns."""
        found: int = await self.owner.fetchval("select router.create_tenant($1)", name)
        for column, value in columns.items():
            await self.owner.execute(f"update router.tenants set {column} = $2 where tenant_id = $1", found, value)
        return found

    async def own_prices(
        self, tenant: int, model: int, input_price: float, cached: float | None, output_price: float
    ) -> None:
        """Set a tenant's own price of a model; USD per million tokens."""
        await self.owner.execute(
            "insert into router.tenant_prices select $1, $2, $3, $4, $5, date '2026-02-01'"
            " from router_internal._enter($1)",
            tenant, model, input_price, cached, output_price,
        )  # fmt: skip

    async def seen(self, tenant: int, model: int, completion_tokens: float | None, token_ratio: float | None) -> None:
        """Set the ledger's averages of a tenant's answers by a model."""
        await self.owner.execute(
            "insert into router.speeds"
            " (tenant_id, model_id, samples, completion_tokens, completions, token_ratio, updated_at)"
            " select $1, $2, 0, $3, 1, $4, now() from router_internal._enter($1)"
            " on conflict on constraint speeds_pkey do update set"
            " completion_tokens = excluded.completion_tokens, token_ratio = excluded.token_ratio",
            tenant, model, completion_tokens, token_ratio,
        )  # fmt: skip

    async def policy(
        self,
        tenant: int,
        models: Sequence[str] = ("small", "large"),
        *,
        default: str = "large",
        backend: str = "knn",
        name: str = "auto",
        weights: Sequence[float] | None = None,
        **settings: Any,
    ) -> int:
        """Add or change a policy, whose `seed_count` is 1 by default."""
        values = {"seed_count": 1, **settings}
        found: int = await self.owner.fetchval(
            "select router.put_policy($1, $2, $3, $4, $5, $6, $7)",
            tenant, name, backend, default, list(models), weights,
            tuple(values.get(setting) for setting in POLICY_SETTINGS),
        )  # fmt: skip
        return found

    async def teach(
        self,
        tenant: int,
        *lessons: Taught,
        space: int | None = None,
        at: datetime | None = None,
        by: asyncpg.Connection | None = None,
    ) -> list[tuple[int, bool]]:
        """Record examples in one call, as the proxy does, and return each one's memory and whether it is new."""
        rows = await (by or self.app).fetch(
            "select * from router.record($1, $2, null, $3, coalesce($4, now()))",
            tenant, space or self.space, [lesson.composite() for lesson in lessons], at,
        )  # fmt: skip
        return [(row["memory"], row["created"]) for row in rows]

    async def decide(
        self,
        tenant: int,
        policy: int,
        embedding: HalfVector | None = None,
        *,
        task: str | None = None,
        prompt_tokens: int = 10,
        default: int | None = None,
        models: Sequence[int] | None = None,
        alpha: float | None = None,
        conversation: bytes | None = None,
        continues: bool = False,
        random: float = 0.0,
        now: datetime = START,
        by: asyncpg.Connection | None = None,
        function: str = "decide",
    ) -> list[asyncpg.Record]:
        """Return the ranking, called for as the proxy calls; the default model is `large`."""
        rows: list[asyncpg.Record] = await (by or self.app).fetch(
            f"select * from router.{function}($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
            tenant, policy, self.space, embedding, task, prompt_tokens, default or self.large, models, alpha,
            conversation, continues, random, now,
        )  # fmt: skip
        return rows

    async def log(self, *entries: Mapping[str, Any], by: asyncpg.Connection | None = None) -> int:
        """Write ledger entries; each needs `tenant_id` and `decision_id`, other fields have defaults."""
        found: int = await (by or self.app).fetchval(
            "select router.log_decisions($1)", [tuple({**self.entry(), **entry}.values()) for entry in entries]
        )
        return found

    def entry(self) -> dict[str, Any]:
        """Return a ledger entry in the order of the SQL type `decision_entry`."""
        return {
            "tenant_id": 0, "decision_id": None, "key_id": None, "policy_id": None, "requested": "auto", "task": None,
            "reason": "learned", "model_id": self.small, "confidence": 0.5, "candidates": None, "quality": None,
            "cost_usd": None, "score": None, "prior": None, "confidences": None, "prompt_estimate": None,
            "completion_estimate": None, "input_price": None, "output_price": None, "cached_estimate": None,
            "cached_price": None, "penalty": None, "alpha": None, "unit_usd": None, "attempts": 1, "status": 200,
            "streamed": False, "prompt_tokens": 1000, "cached_tokens": None, "completion_tokens": 100,
            "overhead_ms": 1.0, "first_token_ms": None, "duration_ms": 50.0, "conversation": None,
            "reasoning_tokens": None, "estimated_tokens": None, "api": "chat", "tried": None, "tried_why": None,
            "tried_outcome": None, "tried_ms": None, "usage_estimated": False, "response": None,
            "usage_unexplained": None,
        }  # fmt: skip


@asynccontextmanager
async def world_of(dsn: str) -> AsyncIterator[World]:
    """Open a world in the migrated database of `dsn`, emptied: `small` costs a tenth of `large`."""
    owner = await connect(dsn, None)
    app = await connect(dsn)
    try:
        world = World(dsn, owner, app)
        await world.reset()
        yield world
    finally:
        await app.close()
        await owner.close()
