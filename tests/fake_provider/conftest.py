"""A separate fake provider for each module, and clients of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import aiohttp
import openai
import pytest
import pytest_asyncio

from scripts.fake_provider.server import Running, running_upstream


@pytest.fixture(scope="module")
def upstream() -> Iterator[Running]:
    with running_upstream() as running:
        yield running


@pytest.fixture(autouse=True)
def clean(upstream: Running) -> None:
    upstream.clear()


@pytest_asyncio.fixture
async def client(upstream: Running) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=upstream.url, api_key="sk-fake", max_retries=0) as client:
        yield client


@pytest_asyncio.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session
