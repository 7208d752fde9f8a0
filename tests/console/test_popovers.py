"""Texts that open over the page: they fit every screen, and a key reaches them as soon as they are there."""

from __future__ import annotations

import pytest

from tests.console.conftest import Demo, OpenTab

pytestmark = [pytest.mark.server, pytest.mark.slow]

WIDTHS = (360, 390, 480, 600, 761, 900, 1024, 1280, 1600)

#: Opens the first chip and presses Escape before the browser draws a frame; returns whether the chip's text was there.
ESCAPE_AT_ONCE = """async () => {
    document.querySelector('.walk .source .chip').click();
    for (let turn = 0; turn < 50 && !document.querySelector('.source-text'); turn++) await null;
    const shown = document.querySelector('.source-text') !== null;
    dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape' }));
    return shown;
}"""

#: Presses a key in the moment in which the steps of the walk are added to the page.
ARROW_AT_ONCE = """new MutationObserver((_, observer) => {
    if (!document.querySelector('.walk')) return;
    observer.disconnect();
    dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight' }));
}).observe(document, { childList: true, subtree: true })"""

#: Pairs of controls that cover each other.
OVERLAPPING = """() => {
    const controls = [...document.querySelectorAll('main :is(button, select, summary, input, a)')]
        .filter(each => each.checkVisibility());
    const places = controls.map(each => each.getBoundingClientRect());
    return controls.flatMap((each, i) => controls.slice(i + 1).flatMap((other, j) => {
        const [a, b] = [places[i], places[i + 1 + j]];
        const apart = a.right <= b.left + 1 || b.right <= a.left + 1 || a.bottom <= b.top + 1 || b.bottom <= a.top + 1;
        return apart || each.contains(other) ? [] : [`${each.outerHTML} ${other.outerHTML}`];
    }));
}"""


async def test_escape_closes_a_chip_in_the_moment_in_which_it_opens(open_tab: OpenTab) -> None:
    tab = await open_tab()
    await tab.page.wait_for_selector(".walk")
    assert await tab.page.evaluate(ESCAPE_AT_ONCE)
    await tab.page.wait_for_selector(".source-text", state="detached")


async def test_an_arrow_key_works_in_the_moment_in_which_the_steps_appear(open_tab: OpenTab, demo: Demo) -> None:
    tab = await open_tab("about:blank")
    await tab.page.add_init_script(ARROW_AT_ONCE)
    await tab.page.goto(demo.address())
    await tab.page.wait_for_selector(".walk > li:nth-child(2).current")


@pytest.mark.parametrize("width", WIDTHS)
async def test_controls_are_apart_and_what_they_open_fits_the_screen(open_tab: OpenTab, width: int) -> None:
    tab = await open_tab()
    await tab.page.set_viewport_size({"width": width, "height": 860})
    await tab.page.wait_for_selector(".walk")
    assert await tab.page.evaluate(OVERLAPPING) == []
    openers = await tab.page.locator("main :is(.source .chip, .dial-help summary)").all()
    assert len(openers) > 12
    for opener in openers:
        await opener.click()
        text = tab.page.locator(":is(.source-text, .dial-help[open] p)")
        await tab.until(
            "(box => box && box.left >= 0 && box.right <= innerWidth)"
            "(document.querySelector('.source-text, .dial-help[open] p')?.getBoundingClientRect())",
            seconds=5,
        )
        assert await tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        if await opener.evaluate("each => each.matches('summary')"):
            await opener.click()
        else:
            await tab.page.keyboard.press("Escape")
        await text.wait_for(state="hidden")
