"""A client of the proxy."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.support.proxy import Proxy


@pytest.fixture
async def http(proxy: Proxy) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of the proxy."""
    async with proxy.http() as session:
        yield session
