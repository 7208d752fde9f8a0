"""Requests to the proxy in each API, and their answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from app.store import models, policies, providers
from scripts.fake_provider.server import Running
from tests.support.proxy import CHEAP, SPEAKS, STRONG, Proxy

OTHER = "other"
#: A model that the second provider serves.
THIRD = "third"


@dataclass
class Said:
    """An answer: its status, its headers and its JSON."""

    status: int
    headers: Any
    body: dict[str, Any]

    @property
    def by(self) -> tuple[str | None, str | None]:
        """Return the serving model and the reason."""
        return self.headers.get("x-router-model"), self.headers.get("x-router-reason")


async def call(http: aiohttp.ClientSession, method: str, path: str, body: Any = None, **headers: str) -> Said:
    async with http.request(method, f"/v1{path}", json=body, headers=headers) as response:
        raw = await response.read()
        is_json = response.content_type == "application/json"
        return Said(response.status, response.headers, orjson.loads(raw) if is_json else {})


async def respond(http: aiohttp.ClientSession, model: str, **fields: Any) -> Said:
    return await call(http, "POST", "/responses", {"model": model, "input": "hi", **fields})


async def add_third(proxy: Proxy, provider: str, prices: tuple[float, float]) -> None:
    await models.put_model(proxy.admin, THIRD, provider, input_price=prices[0], output_price=prices[1])
    await policies.put_policy(
        proxy.admin, proxy.tenant_id, "auto", backend="knn", default=STRONG, models=(CHEAP, STRONG, THIRD),
        settings={"alpha": 0.3},
    )  # fmt: skip
    proxy.services.directory.invalidate()


async def with_second(proxy: Proxy, second: Running) -> None:
    await providers.put_provider(proxy.admin, OTHER, second.url, None, speaks=SPEAKS)
    await add_third(proxy, OTHER, (5.0, 20.0))
    await policies.put_policy(proxy.admin, proxy.tenant_id, "careful", backend="none", default=THIRD, models=(THIRD,))
    proxy.services.directory.invalidate()
