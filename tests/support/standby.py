"""A primary, its standby, and a proxy on both."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from app.operations.migrate import migrate
from app.store import pool
from scripts.fake_provider.server import Running
from tests.support.proxy import CHEAP, STRONG, Proxy, running_proxy
from tests.support.replication import Server, folder
from tests.support.separable_prompts import lessons


@dataclass
class Pair:
    """A primary, its standby, and a proxy whose DATABASE_URL names both, the standby first."""

    primary: Server
    standby: Server
    proxy: Proxy

    @property
    def dsn(self) -> str:
        return both(self.standby, self.primary)

    async def sql(self, server: Server, statement: str) -> str:
        return await asyncio.to_thread(server.sql, statement)

    async def caught_up(self) -> None:
        """Wait until the standby has replayed the primary's log."""
        at = await self.sql(self.primary, "select pg_current_wal_insert_lsn()")

        async def replayed() -> bool:
            return await self.sql(self.standby, f"select pg_last_wal_replay_lsn() >= '{at}'::pg_lsn") == "t"

        await until(replayed)

    @asynccontextmanager
    async def lag(self) -> AsyncIterator[None]:
        """Pause replay: the standby receives the primary's log, but does not apply it."""
        await self.caught_up()
        await self.sql(self.standby, "select pg_wal_replay_pause()")
        try:
            yield
        finally:
            await self.sql(self.standby, "select pg_wal_replay_resume()")


@asynccontextmanager
async def a_pair(upstream: Running) -> AsyncIterator[Pair]:
    """Run a pair whose tenant was taught 120 examples."""
    upstream.clear()
    with folder() as path, pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "POLL_INTERVAL", 0.3)
        primary = Server(path / "one", fsync="off")
        await asyncio.to_thread(primary.start)
        await asyncio.to_thread(migrate, primary.dsn)
        standby = await asyncio.to_thread(primary.standby, path / "two")
        try:
            # Long timeouts, because a slow machine must not count as a server that is away.
            async with running_proxy(both(standby, primary), upstream.url, decision_deadline=5.0) as proxy:
                pair = Pair(primary, standby, proxy)
                await proxy.rank(lessons(120))
                await pair.caught_up()
                yield pair
        finally:
            await asyncio.to_thread(standby.stop)
            await asyncio.to_thread(primary.stop)


def both(first: Server, second: Server) -> str:
    """Return the DSN of two servers with the same password."""
    return first.dsn.replace(first.address, f"{first.address},{second.address}")


async def until(holds: Callable[[], Awaitable[bool]], within: float = 10.0) -> None:
    deadline = time.monotonic() + within
    while not await holds():
        assert time.monotonic() < deadline, f"not within {within} s"
        await asyncio.sleep(0.02)


@dataclass(frozen=True)
class Answer:
    """The answer to a request, and its time."""

    at: float
    status: int
    model: str | None = None
    reason: str | None = None
    error: dict[str, Any] = field(default_factory=dict)


async def chat(http: aiohttp.ClientSession, prompt: str) -> Answer:
    body = {"model": "auto", "messages": [{"role": "user", "content": prompt}]}
    async with http.post("/v1/chat/completions", json=body) as response:
        await response.read()
        headers = response.headers
        return Answer(time.monotonic(), response.status, headers.get("x-router-model"), headers.get("x-router-reason"))


async def teach(http: aiohttp.ClientSession, prompt: str) -> Answer:
    lesson = {"prompt": prompt, "scores": {CHEAP: 1.0, STRONG: 1.0}}
    async with http.post("/v1/router/preferences/rank", json=lesson) as response:
        return Answer(time.monotonic(), response.status, error=(await response.json()).get("error") or {})
