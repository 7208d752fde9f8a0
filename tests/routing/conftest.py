"""Proxies with a third model or a second provider."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest

from scripts.fake_provider.server import Running, running_upstream
from tests.support.answers import OTHER, with_second
from tests.support.proxy import Proxy


@pytest.fixture
async def http(proxy: Proxy) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of the proxy."""
    async with proxy.http() as session:
        yield session


# ---- stored answers of a provider


@pytest.fixture(scope="module")
def second() -> Iterator[Running]:
    """Another provider."""
    with running_upstream(name=OTHER) as running:
        yield running


@pytest.fixture
async def two(proxy: Proxy, second: Running) -> Proxy:
    """A tenant whose third model belongs to another provider, with a policy for it."""
    second.clear()
    await with_second(proxy, second)
    return proxy
