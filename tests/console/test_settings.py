"""The view Settings: an administrator makes tenants, keys, policies and limits as by the admin API."""

from __future__ import annotations

import httpx
import pytest

from tests.console.conftest import ADMIN_KEY, Demo, OpenTab, Tab
from tests.support.accessibility import violations
from tests.support.psql_chips import rows_of_chip

pytestmark = [pytest.mark.server, pytest.mark.slow]

TABS = ("tenants", "keys", "policies", "limits", "prices", "models", "providers")


async def administer(open_tab: OpenTab, demo: Demo, tab: str, **options: bool) -> Tab:
    """Open a tab of the settings with the admin key."""
    opened = await open_tab(demo.address("settings", tab=tab), **options)
    await opened.page.fill("#admin-key", ADMIN_KEY)
    await opened.page.press("#admin-key", "Enter")
    await opened.page.wait_for_selector("section.panel")
    return opened


async def test_a_wrong_admin_key_shows_the_words_of_the_server(open_tab: OpenTab, demo: Demo) -> None:
    tab = await open_tab(demo.address("settings"))
    tab.expected.add(401)
    await tab.page.fill("#admin-key", "wrong")
    await tab.page.press("#admin-key", "Enter")
    await tab.page.wait_for_selector("[role=alert]")
    assert await tab.page.evaluate("sessionStorage.getItem('pgrouter.admin')") is None


async def test_a_new_tenants_key_is_shown_once_and_works(open_tab: OpenTab, demo: Demo) -> None:
    tab = await administer(open_tab, demo, "tenants")
    await tab.page.click("text=Add a tenant")
    await tab.page.fill("#field-name", "newcomer")
    await tab.page.click("dialog button[type=submit]")
    await tab.page.click("button.link:has-text('newcomer')")
    await tab.page.click("text=Make a key")
    await tab.page.fill("#field-name", "first")
    await tab.page.click("dialog button[type=submit]")
    secret = await tab.page.inner_text("[data-secret]")
    async with httpx.AsyncClient(base_url=demo.url, headers={"authorization": f"Bearer {secret}"}) as client:
        assert (await client.get("/v1/router/status")).json()["tenant"] == "newcomer"
    await tab.page.click("text=I have it")
    assert secret not in await tab.page.inner_text("body")
    await tab.page.reload()
    await tab.page.wait_for_selector("table.entities")
    assert secret not in await tab.page.inner_text("body")


async def test_a_change_of_a_policy_is_made_and_an_error_stands_at_its_field(open_tab: OpenTab, demo: Demo) -> None:
    tab = await administer(open_tab, demo, "policies")
    tab.expected.add(400)
    await tab.page.click("[aria-label='Change auto']")
    await tab.page.fill("#field-confidence_floor", "2")
    await tab.page.click("dialog button[type=submit]")
    await tab.page.wait_for_selector(".form-field.wrong")
    assert "confidence_floor" in await tab.page.inner_text(".form-field.wrong")
    await tab.page.fill("#field-confidence_floor", "0.05")
    await tab.page.click("dialog button[type=submit]")
    await tab.page.wait_for_selector("dialog", state="detached")
    async with httpx.AsyncClient(base_url=demo.url, headers={"authorization": f"Bearer {ADMIN_KEY}"}) as client:
        (policy,) = (await client.get("/v1/router/admin/tenants/demo/policies")).json()["data"]
    assert (policy["confidence_floor"], policy["alpha"]) == (0.05, 0.265)


async def test_limits_show_what_is_left_and_are_removed(open_tab: OpenTab, demo: Demo) -> None:
    tab = await administer(open_tab, demo, "limits")
    await tab.page.click("text=Set a limit")
    await tab.page.fill("#field-requests_per_minute", "1000")
    await tab.page.fill("#field-day_usd", "5")
    await tab.page.click("dialog button[type=submit]")
    await tab.page.wait_for_selector("table.entities")
    assert "1000 of 1000" in await tab.page.inner_text("table.entities")
    await tab.page.click("[aria-label='Change the whole tenant']")
    await tab.page.click("dialog .danger")
    await tab.page.click("text=Really delete these limits?")
    await tab.page.wait_for_selector(".empty")


async def test_a_tenants_own_price_is_set_and_removed(open_tab: OpenTab, demo: Demo) -> None:
    tab = await administer(open_tab, demo, "prices")
    await tab.page.click("[aria-label='Change demo-small']")
    await tab.page.fill("#field-output_price", "0.7")
    await tab.page.click("dialog button[type=submit]")
    await tab.page.wait_for_selector("tr:has-text('demo-small') >> text=0.7")
    await tab.page.click("[aria-label='Change demo-small']")
    await tab.page.click("dialog .danger")
    await tab.page.click("dialog .danger")
    await tab.page.wait_for_selector("tr:has-text('demo-small') >> text=0.8")


@pytest.mark.parametrize("name", TABS)
async def test_every_tab_is_accessible_fits_and_has_its_rows_in_psql(open_tab: OpenTab, demo: Demo, name: str) -> None:
    for phone, dark in ((False, False), (True, True)):
        tab = await administer(open_tab, demo, name, phone=phone, dark=dark)
        await tab.page.wait_for_selector("table.entities, .empty")
        assert await violations(tab.page) == []
        assert await tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        if not phone:
            rows = await tab.page.locator("table.entities tbody tr").count()
            chip = tab.page.locator("#view .chip", has_text="psql").first
            assert await rows_of_chip(tab.page, chip, demo.home) == rows
