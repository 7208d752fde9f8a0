"""axe-core's findings about a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.async_api import Page

AXE = Path(__file__).parents[2] / "app" / "console" / "node_modules" / "axe-core" / "axe.min.js"


async def violations(page: Page) -> list[str]:
    """Return the serious and critical violations with the elements concerned. Skips if axe-core is not installed."""
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: run `make page`")
    # Evaluated by the debugger, which the page's Content-Security-Policy does not concern.
    await page.evaluate(AXE.read_text(encoding="utf-8"))
    found = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{each['id']}: {each['help']}: {', '.join(node['html'][:120] for node in each['nodes'][:4])}"
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
    ]
