"""Requests to a proxy's own JSON API."""

from __future__ import annotations

from typing import Any

from tests.support.proxy import Proxy


async def get(proxy: Proxy, path: str, key: str | None = None, method: str = "GET") -> tuple[int, Any]:
    async with proxy.http(key) as http, http.request(method, path) as response:
        return response.status, await response.json()


async def post(proxy: Proxy, path: str, body: Any, key: str | None = None) -> tuple[int, Any]:
    async with proxy.http(key) as http, http.post(path, json=body) as response:
        return response.status, await response.json()
