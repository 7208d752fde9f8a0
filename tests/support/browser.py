"""Chromium, and the page that it opens, on an origin of its own."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

if TYPE_CHECKING:
    from playwright.async_api import Browser

CLIENTS = Path(__file__).parents[1] / "clients"
#: Where a browser is looked for, besides CHROMIUM_PATH.
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium() -> str:
    """Return the path of the browser. Skips the test if there is none."""
    named = os.environ.get("CHROMIUM_PATH")
    found = named or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("Chromium is not installed: install it, or set CHROMIUM_PATH")
    return found


@asynccontextmanager
async def browsing() -> AsyncIterator[Browser]:
    """Run Chromium. Skips the test if it or Playwright is missing."""
    playwright: Any = pytest.importorskip("playwright.async_api", reason="playwright is not installed")
    path = chromium()
    async with playwright.async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def page_server() -> AsyncIterator[str]:
    """Serve the page and OpenAI's client for browsers on a free port; yields the origin."""
    app = web.Application()
    app.router.add_get("/", _page)
    openai = CLIENTS / "node" / "node_modules" / "openai"
    if openai.is_dir():
        app.router.add_static("/openai", openai)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def _page(_: web.Request) -> web.Response:
    return web.Response(text=(CLIENTS / "browser.html").read_text(encoding="utf-8"), content_type="text/html")
