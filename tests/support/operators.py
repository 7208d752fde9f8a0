"""An operator with the master key of a running proxy."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import aiohttp

from tests.support.proxy import CHEAP, Proxy

MASTER = "master-key-of-the-tests-0123456789abcdef"
ADMIN = "/v1/router/admin"


@dataclass
class Operator:
    """A caller of a proxy's admin API."""

    proxy: Proxy
    http: aiohttp.ClientSession

    async def __call__(self, method: str, path: str, body: Any = None, *, code: int = 200) -> Any:
        async with self.http.request(method, f"{ADMIN}{path}", json=body) as reply:
            said = await reply.json()
            assert reply.status == code, (reply.status, said)
            return said

    async def serves(self, key: str) -> int:
        """Return the status of a chat request with a tenant's key."""
        body = {"model": CHEAP, "messages": [{"role": "user", "content": "hi"}]}
        async with self.proxy.http(key) as http, http.post("/v1/chat/completions", json=body) as reply:
            return reply.status

    async def comes_to(self, key: str, status: int) -> None:
        """Wait until a request with `key` gets `status`: processes are notified of changes."""
        for _ in range(200):
            if await self.serves(key) == status:
                return
            await asyncio.sleep(0.02)
        raise AssertionError(f"it is still not {status}")
