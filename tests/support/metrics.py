"""Metrics as a scrape of /metrics shows them."""

from __future__ import annotations

import aiohttp


async def chat(http: aiohttp.ClientSession, model: str, text: str = "hello", **headers: str) -> aiohttp.ClientResponse:
    body = {"model": model, "messages": [{"role": "user", "content": text}]}
    async with http.post("/v1/chat/completions", json=body, headers=headers) as response:
        await response.read()
        return response
