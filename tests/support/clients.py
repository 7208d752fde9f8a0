"""The provider and the proxy before it, as base URLs and keys for the official clients."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import anthropic
import openai

from scripts.fake_provider.server import Running
from tests.support.proxy import STRONG, Proxy, running_proxy

STRAIGHT, PROXIED = "straight", "proxied"


@dataclass(frozen=True)
class Front:
    """Where a client is sent. `url` has no path; without a `proxy` it is the provider's own."""

    url: str
    key: str
    upstream: Running
    proxy: Proxy | None = None

    def clean(self) -> None:
        """Forget what was asked, and which models failed."""
        self.upstream.clear()
        if self.proxy is not None:
            breakers = self.proxy.services.breakers
            for provider, model, _ in list(breakers.states()):
                breakers.record_success(provider, model)

    def model(self, name: str) -> str:
        """`name`, unless it is a policy's and nobody is there who has one."""
        return STRONG if self.proxy is None and name == "auto" else name

    def openai(self) -> openai.AsyncOpenAI:
        """The official client of OpenAI."""
        return openai.AsyncOpenAI(base_url=f"{self.url}/v1", api_key=self.key, max_retries=0)

    def anthropic(self) -> anthropic.AsyncAnthropic:
        """The official client of Anthropic, which finds `/v1` by itself."""
        return anthropic.AsyncAnthropic(base_url=self.url, api_key=self.key, max_retries=0)

    def http(self) -> aiohttp.ClientSession:
        """A plain HTTP client with the key, which leaves bodies as they came."""
        return aiohttp.ClientSession(
            self.url,
            headers={"authorization": f"Bearer {self.key}"},
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )


@asynccontextmanager
async def front_of(kind: str, dsn: str, upstream: Running) -> AsyncIterator[Front]:
    """The provider itself, or a proxy on `dsn` before it."""
    if kind == STRAIGHT:
        yield Front(upstream.url.removesuffix("/v1"), "sk-fake", upstream)
        return
    async with running_proxy(dsn, upstream.url) as proxy:
        yield Front(proxy.url, proxy.key, upstream, proxy)
