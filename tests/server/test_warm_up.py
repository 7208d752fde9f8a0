"""The warm-up before the port answers: statements of the first request are prepared."""

from __future__ import annotations

import asyncio

import pytest

from app.errors import DatabaseUnavailable
from app.server import warm_up as module
from app.server.warm_up import CONNECTIONS, warm_up
from app.store.decision_batches import DECIDE
from tests.support.proxy import Proxy


async def prepared_on_each(proxy: Proxy) -> list[int]:
    """Return how often the statement of a decision is prepared on each connection, with all of them busy."""
    db = proxy.services.db
    statement = "select count(*) from pg_prepared_statements, pg_sleep(0.2) where statement = $1"
    rows = await asyncio.gather(*(db.read(statement, DECIDE) for _ in range(CONNECTIONS)))
    return [found[0][0] for found in rows]


async def test_an_embedding_is_made_and_the_statements_of_a_request_are_prepared(proxy: Proxy) -> None:
    misses = proxy.services.spaces.misses
    await warm_up(proxy.services)
    assert proxy.services.spaces.misses == misses + 1
    assert await prepared_on_each(proxy) == [1] * CONNECTIONS


async def test_a_warm_up_writes_nothing(proxy: Proxy) -> None:
    await warm_up(proxy.services)
    for table in ("decisions", "conversations", "reservations", "memories"):
        assert not await proxy.admin.fetch(f"select from router.{table}"), table


async def test_a_start_does_not_depend_on_it(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    async def unavailable(*_: object) -> None:
        raise DatabaseUnavailable("away")

    monkeypatch.setattr(module, "warm_up_connections", unavailable)
    await warm_up(proxy.services)
