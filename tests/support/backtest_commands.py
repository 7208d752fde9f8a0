"""Backtests over HTTP and by the command line of a running proxy's database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from typer.testing import Result

from tests.support.proxy import Proxy
from tests.support.separable_prompts import lessons

BACKTEST = "/v1/router/backtest"
SAVINGS = "/v1/router/savings"
#: The number of different prompts of both kinds: some are written twice.
TAUGHT = len({lesson["prompt"] for lesson in lessons(120)})
Command = Callable[..., Result]


async def post(proxy: Proxy, body: Any, key: str | None = None) -> tuple[int, Any]:
    async with proxy.http(key) as http, http.post(BACKTEST, json=body) as response:
        return response.status, await response.json()


async def get(proxy: Proxy, path: str, key: str | None = None) -> tuple[int, Any]:
    async with proxy.http(key) as http, http.get(path) as response:
        return response.status, await response.json()


async def said(run: Command, *arguments: str | Path, **options: int) -> str:
    """Run a command and return its stdout."""
    return (await asyncio.to_thread(run, *arguments, **options)).stdout


async def complaint(run: Command, *arguments: str | Path) -> str:
    """Run a command that fails and return its error: one line, with nothing on stdout."""
    result = await asyncio.to_thread(run, *arguments, code=1)
    assert not result.stdout
    assert result.stderr.count("\n") == 1, result.stderr
    return result.stderr
