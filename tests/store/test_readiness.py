"""/readyz: one check for all callers, whose result counts for a while, and whose details only the log has."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from app.errors import DatabaseUnavailable, SchemaError
from app.store import readiness
from app.store.readiness import Readiness
from tests.support.proxy import Proxy


class Checked:
    """A database whose checks take a moment and raise `errors`, one after the other, then nothing."""

    available = True

    def __init__(self, *errors: Exception) -> None:
        self.checks = 0
        self.errors = list(errors)

    async def check_revision(self) -> None:
        self.checks += 1
        await asyncio.sleep(0.05)
        if self.errors:
            raise self.errors.pop(0)

    async def check_schema(self) -> None:
        """Find nothing wrong."""


async def test_concurrent_callers_share_a_check_and_its_result_counts_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    db: Any = Checked()
    ready = Readiness(db)
    impatient = asyncio.create_task(ready.problem())
    await asyncio.sleep(0)
    impatient.cancel()
    assert await asyncio.gather(*(ready.problem() for _ in range(50))) == [None] * 50
    assert (await ready.problem(), db.checks) == (None, 1)
    monkeypatch.setattr(readiness, "SECONDS", 0.0)
    ready = Readiness(db)
    for _ in range(2):
        await ready.problem()
    assert db.checks == 3


async def test_a_lack_of_free_connections_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "SECONDS", 0.0)
    busy = DatabaseUnavailable("busy", cause="pool")
    db: Any = Checked(busy, SchemaError("router_app may not", "grants are missing"), busy)
    ready = Readiness(db)
    assert [await ready.problem() for _ in range(4)] == [None, "grants are missing", "grants are missing", None]


@pytest.mark.parametrize(
    ("change", "undo"),
    [
        ("revoke usage on schema router from router_app", "grant usage on schema router to router_app"),
        ("revoke select on router.models from router_app", "grant select on router.models to router_app"),
    ],
)
async def test_the_answer_names_the_command_and_no_role(
    proxy: Proxy, caplog: pytest.LogCaptureFixture, change: str, undo: str
) -> None:
    await proxy.admin.fetch(change)
    try:
        with caplog.at_level(logging.ERROR, "pgrouter.store"):
            async with proxy.http() as http, http.get("/readyz") as reply:
                assert reply.status == 503
                reason = (await reply.json())["reason"]
    finally:
        await proxy.admin.fetch(undo)
    assert "`pgrouter migrate`" in reason
    assert "router_app" not in reason
    assert "not ready: " in caplog.text
    assert ("router_app" in caplog.text) or ("permission denied" in caplog.text)
