"""The view Traffic: a decision arrives, is opened with the numbers of then, and declines name their cure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import pytest

from tests.console.conftest import ADMIN_KEY, Demo, OpenTab
from tests.support.accessibility import violations
from tests.support.psql_chips import rows_of_chip

pytestmark = [pytest.mark.server, pytest.mark.slow]


async def ask(demo: Demo, prompt: str = "Fix the grammar: we was there", **fields: Any) -> str:
    """Send a chat request to the policy; return the id of its decision."""
    async with httpx.AsyncClient(base_url=demo.url, headers={"authorization": f"Bearer {demo.key}"}) as client:
        reply = await client.post(
            "/v1/chat/completions",
            json={"model": "auto", "max_tokens": 8, "messages": [{"role": "user", "content": prompt}], **fields},
        )
        assert reply.status_code == 200
        return reply.headers["x-router-decision"]


NEEDS_SCHEMA: dict[str, Any] = {
    "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
}


async def test_a_decision_arrives_and_is_opened(open_tab: OpenTab, demo: Demo) -> None:
    tab = await open_tab(demo.address("traffic"))
    await tab.page.wait_for_selector(".pulse.on")
    decision = await ask(demo)
    await tab.page.click(f"a[href$='{decision}']")
    await tab.page.wait_for_selector("dialog .facts-list")
    assert decision in await tab.page.inner_text("dialog .facts-list")
    assert await tab.page.locator("dialog .bars li").count() == 3
    assert f"decision={decision}" in tab.page.url
    await tab.page.keyboard.press("Escape")
    await tab.page.wait_for_selector("dialog", state="detached")
    assert "decision=" not in tab.page.url


async def test_a_decline_names_its_cure(open_tab: OpenTab, demo: Demo) -> None:
    await ask(demo, **NEEDS_SCHEMA)
    tab = await open_tab(demo.address("traffic"))
    await tab.until("document.querySelector('.reasons')?.innerText.includes('capability')")
    assert "Add a cheaper model that can" in await tab.page.inner_text(".reasons")


async def test_filters_are_in_the_address_and_apply_to_what_arrives(open_tab: OpenTab, demo: Demo) -> None:
    tab = await open_tab(demo.address("traffic"))
    await tab.page.wait_for_selector(".pulse.on")
    await tab.page.select_option("select[aria-label=reason]", "capability")
    assert "reason=capability" in tab.page.url
    await tab.page.wait_for_selector(".pulse.on")
    plain, wanted = await ask(demo), await ask(demo, **NEEDS_SCHEMA)
    await tab.page.wait_for_selector(f"a[href$='{wanted}']")
    assert await tab.page.locator(f"a[href$='{plain}']").count() == 0


async def test_a_decision_of_another_tenant_is_a_clear_404(open_tab: OpenTab, demo: Demo) -> None:
    headers = {"authorization": f"Bearer {ADMIN_KEY}"}
    async with httpx.AsyncClient(base_url=f"{demo.url}/v1/router/admin", headers=headers) as admin:
        made = await admin.post("/tenants", json={"name": "other"})
        assert made.status_code == 201, made.text
        key = (await admin.post("/tenants/other/keys", json={})).json()["api_key"]
    foreign = await ask(replace(demo, key=key))
    tab = await open_tab(demo.address("traffic", decision=foreign))
    tab.expected.add(404)
    await tab.page.wait_for_selector("dialog [role=alert]")
    assert "decision" in await tab.page.inner_text("dialog [role=alert]")


async def test_every_chip_of_sql_returns_the_rows_of_its_panel(open_tab: OpenTab, demo: Demo) -> None:
    await ask(demo)
    tab = await open_tab(demo.address("traffic"))
    await tab.page.wait_for_selector(".decision-rows tbody tr")
    chips = tab.page.locator("#view .chip", has_text="psql")
    shown = [await tab.page.locator(rows).count() for rows in (".reasons li", ".days li", ".decision-rows tbody tr")]
    assert [await rows_of_chip(tab.page, chips.nth(i), demo.home) for i in range(3)] == shown


@pytest.mark.parametrize("phone", [False, True])
@pytest.mark.parametrize("dark", [False, True])
async def test_it_is_accessible_and_fits_the_screen(open_tab: OpenTab, demo: Demo, *, phone: bool, dark: bool) -> None:
    decision = await ask(demo)
    tab = await open_tab(demo.address("traffic"), phone=phone, dark=dark)
    await tab.page.wait_for_selector(f"a[href$='{decision}']")
    assert await violations(tab.page) == []
    assert await tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await tab.page.click(f"a[href$='{decision}']")
    await tab.page.wait_for_selector("dialog .facts-list")
    assert await violations(tab.page) == []
