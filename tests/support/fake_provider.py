"""Requests to the fake provider."""

from __future__ import annotations

import asyncio
from typing import Any

from scripts.fake_provider.server import Running

HELLO: Any = [{"role": "user", "content": "Hello"}]


def ask(**fields: Any) -> dict[str, Any]:
    return {"model": "gpt-4o", "input": "Hello", **fields}


def chat(model: str = "gpt-4o", **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": HELLO, **fields}


async def until_disconnected(upstream: Running) -> None:
    async with asyncio.timeout(5):
        while not upstream.log()[-1]["disconnected"]:
            await asyncio.sleep(0.01)
