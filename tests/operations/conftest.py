"""The databases of the proxy and of the owner."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from app.operations.maintenance import opened
from app.store.database import Database
from tests.support.graduation import let_a_minute_pass
from tests.support.maintenance import kept
from tests.support.sql_world import World


@pytest.fixture
async def app(world: World) -> AsyncIterator[Database]:
    """The database with the proxy's role, after all due maintenance."""
    async with opened(world.dsn) as db:
        await let_a_minute_pass(world)
        await kept(db)
        yield db
