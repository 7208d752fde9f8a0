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
    """The server that a client calls. `url` has no path; if `proxy` is None it is the provider itself."""

    url: str
    key: str
    upstream: Running
    proxy: Proxy | None = None

    def clean(self) -> None:
        """Clear the log of requests and close the breakers."""
        self.upstream.clear()
        if self.proxy is not None:
            self.proxy.services.breakers.reset()

    def model(self, name: str) -> str:
        """Return `name`; a provider without a proxy has no policies, so for `auto` return a model."""
        return STRONG if self.proxy is None and name == "auto" else name

    def openai(self) -> openai.AsyncOpenAI:
        """Return OpenAI's official client."""
        return openai.AsyncOpenAI(base_url=f"{self.url}/v1", api_key=self.key, max_retries=0)

    def anthropic(self) -> anthropic.AsyncAnthropic:
        """Return Anthropic's official client, which adds `/v1` to the base URL."""
        return anthropic.AsyncAnthropic(base_url=self.url, api_key=self.key, max_retries=0)

    def http(self) -> aiohttp.ClientSession:
        """Return an HTTP client that sends the key and does not decompress bodies."""
        return aiohttp.ClientSession(
            self.url,
            headers={"authorization": f"Bearer {self.key}"},
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )


@asynccontextmanager
async def front_of(kind: str, dsn: str, upstream: Running) -> AsyncIterator[Front]:
    """Run a proxy on `dsn` before the provider, or return the provider itself."""
    if kind == STRAIGHT:
        yield Front(upstream.url.removesuffix("/v1"), "sk-fake", upstream)
        return
    async with running_proxy(dsn, upstream.url) as proxy:
        yield Front(proxy.url, proxy.key, upstream, proxy)
