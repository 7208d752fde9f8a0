"""What a frame of a page costs its main thread."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.async_api import Page

#: Everything of a frame on the main thread: scripts, layout, and painting the canvas.
_FRAME = "ProxyMain::BeginMainFrame"


async def frame_costs(page: Page, *, seconds: float, path: Path) -> list[float]:
    """Record the page for some seconds; return the milliseconds of processor time of each frame, ascending.

    Processor time, as a busy machine delays frames that are cheap. `path` is where the trace is written.
    """
    browser = page.context.browser
    assert browser is not None
    await browser.start_tracing(page=page, path=path, categories=["devtools.timeline", "cc", "toplevel"])
    await page.wait_for_timeout(seconds * 1000)
    await browser.stop_tracing()
    events = json.loads(path.read_text())["traceEvents"]
    return sorted(each["tdur"] / 1000 for each in events if each["name"] == _FRAME and each.get("tdur", 0) > 300)
