"""Embedders and moves between them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

import pytest
from typer.testing import CliRunner, Result

from app.cli import main
from app.memory.embedders import CachedEmbedder
from app.memory.embedders.static import StaticEmbedder
from app.operations import reembed
from scripts.fake_provider.server import Running
from tests.support.proxy import Proxy, ProxyFactory
from tests.support.spaces import LESSONS, Run, Spaces
from tests.support.sql_world import World
from tests.support.vectors import WIDTH


@pytest.fixture(scope="module")
def static() -> StaticEmbedder:
    return StaticEmbedder()


@pytest.fixture
def cached(static: StaticEmbedder) -> CachedEmbedder:
    return CachedEmbedder(static, WIDTH, capacity=100, deadline=30.0)


@pytest.fixture
async def two(world: World) -> Spaces:
    """A tenant without memories and two spaces, the first of which is the world's."""
    new = await world.owner.fetchval("select router.register_space('other', 384)")
    return Spaces(world, await world.tenant(), world.space, new)


@pytest.fixture
def environment(database: str, upstream: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database, and the fake provider as the endpoint of remote embedders."""
    for name in [name for name in os.environ if name.startswith(("ROUTER_", "OPENAI_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("ROUTER_EMBEDDING_URL", upstream.url)
    monkeypatch.setattr(reembed, "SETTLE", 0.05)


@pytest.fixture
def run(environment: None) -> Run:
    """Run commands in a thread, because each runs a loop of its own, and expect the exit code `code`."""

    async def invoke(*arguments: str, code: int = 0, answer: str | None = None) -> Result:
        result = await asyncio.to_thread(CliRunner().invoke, main, list(arguments), input=answer)
        assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
        return result

    return invoke


@pytest.fixture
async def warm(proxies: ProxyFactory, environment: None, upstream: Running) -> AsyncIterator[Proxy]:
    """A proxy whose tenant was taught 120 examples with the static embedder; it may use the remote one."""
    upstream.clear()
    async with proxies(embedding_url=upstream.url, embedding_deadline=5.0) as proxy:
        await proxy.rank(LESSONS)
        yield proxy
