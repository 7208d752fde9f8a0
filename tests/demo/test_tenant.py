"""The demo tenant after a first start: the same key every time, and a memory with which routing pays."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from app.demo.dataset import memory
from app.demo.models import MODELS
from app.demo.tenant import ALPHA, prepare
from app.memory import embedders
from app.memory.backtest import Backtest
from app.memory.embedders import CachedEmbedder
from app.settings import Settings
from app.store import backtests, policies, spaces, tenants
from app.store.database import Database


@pytest_asyncio.fixture
async def db(database: str) -> AsyncIterator[Database]:
    db = Database(database, size=1, role=None)
    await db.open()
    try:
        yield db
    finally:
        await db.close()


@pytest_asyncio.fixture
async def embedder(db: Database) -> AsyncIterator[CachedEmbedder]:
    embedder = embedders.create(Settings(), await spaces.width(db))
    try:
        yield embedder
    finally:
        await embedder.close()


async def test_a_first_start_teaches_and_a_second_finds_all_of_it(
    db: Database, embedder: CachedEmbedder, tmp_path: Path
) -> None:
    key = await prepare(db, embedder, tmp_path, "http://127.0.0.1:9", environ={})
    assert await prepare(db, embedder, tmp_path, "http://127.0.0.1:9", environ={}) == key
    (tenant,) = await tenants.list_tenants(db, "demo")
    assert (tenant.memories, tenant.keys) == (len(memory()), 1)


async def test_auto_gains_two_points_over_the_static_blend_and_is_not_perfect(
    db: Database, embedder: CachedEmbedder, tmp_path: Path
) -> None:
    await prepare(db, embedder, tmp_path, "http://127.0.0.1:9", environ={})
    (tenant,) = await tenants.list_tenants(db, "demo")
    space_id = await spaces.register_space(db, embedder.space, embedder.dimensions)
    (policy,) = await policies.policies(db, tenant.tenant_id)
    rows = await backtests.backtest(
        db, tenant.tenant_id, policy.policy_id, space_id, sample=500, alphas=[ALPHA], confidence=0.9, seconds=60
    )
    found = Backtest.of(rows)
    auto = found.in_use
    assert found.rows == len(memory())
    assert auto.gain is not None
    assert auto.gain > 0.02
    assert auto.cost_usd < 0.9 * found.default.cost_usd
    assert found.cheapest.quality < auto.quality < found.oracle.quality - 0.02
    assert all(auto.shares[model] > 0.05 for model in MODELS)
