"""Time that advances without waiting."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.failover_world import WORLDS


@pytest.fixture
def no_real_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `asyncio.sleep` move the clock of the newest world, if there is one, and return at once."""
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        if WORLDS:
            await WORLDS[-1].sleep(seconds)
        await real(0)

    monkeypatch.setattr("app.upstream.failover.asyncio.sleep", sleep)
