"""The view Route: a newcomer sees why a prompt goes to which model, and what would change it."""

from __future__ import annotations

import asyncio
import json
import re
import urllib.request

import psutil
import pytest

from tests.console.conftest import Demo, OpenTab
from tests.support.accessibility import violations
from tests.support.psql_chips import rows_of_chip

pytestmark = [pytest.mark.server, pytest.mark.slow]


async def test_the_first_prompt_is_there_and_explained_at_once(open_tab: OpenTab) -> None:
    tab = await open_tab()
    await tab.page.wait_for_selector(".walk")
    assert (await tab.page.input_value("#prompt")).startswith("Results page")
    assert "demo-small" in await tab.page.inner_text(".verdict")
    assert await tab.page.locator(".walk > li").count() == 6
    assert await tab.page.locator(".neighbour-list li").count() == 6


async def test_the_key_leaves_the_address_bar(open_tab: OpenTab, demo: Demo) -> None:
    tab = await open_tab()
    await tab.page.wait_for_selector(".walk")
    assert demo.key not in tab.page.url
    assert await tab.page.evaluate("sessionStorage.getItem('pgrouter.key')") == demo.key
    assert await tab.page.evaluate("localStorage.length") == 0


async def test_alpha_flips_the_winner_and_back(open_tab: OpenTab) -> None:
    tab = await open_tab()
    await tab.page.wait_for_selector(".flips")
    before = await tab.page.inner_text(".verdict-model .model")
    other = await tab.page.locator(".flips .model").first.inner_text()
    assert other != before
    await tab.page.click(".flips button")
    await tab.until(f"document.querySelector('.verdict-model .model').innerText === '{other}'")
    await tab.page.click(".dial.changed button")
    await tab.until(f"document.querySelector('.verdict-model .model').innerText === '{before}'")


async def test_a_declined_sample_says_which_gate_declined_and_why(open_tab: OpenTab) -> None:
    tab = await open_tab()
    await tab.page.click("button.sample:nth-of-type(4)")
    await tab.page.wait_for_selector(".gates .declined")
    assert "capability" in await tab.page.inner_text(".gates .declined")
    assert "demo-large" in await tab.page.inner_text(".verdict")


async def test_sending_streams_the_answer_with_the_headers(open_tab: OpenTab) -> None:
    tab = await open_tab()
    await tab.page.wait_for_selector(".walk")
    await tab.page.click(".send button.primary")
    await tab.until("document.querySelector('.send .headers')?.innerText.includes('x-router-model')")
    await tab.page.wait_for_selector(".send [aria-busy=false]")
    assert "x-router-reason: learned" in await tab.page.inner_text(".send .headers")
    assert len(await tab.page.inner_text(".send .answer")) > 10


async def test_the_bars_and_the_list_show_how_far_neighbours_move_an_estimate(open_tab: OpenTab, demo: Demo) -> None:
    prompt = "What is the gross pay for 4 night shifts of 7.5 hours at 17.40 an hour, with 25% on top after midnight?"
    tab = await open_tab(demo.address("route", prompt=prompt))
    await tab.page.wait_for_selector(".bars")
    asked = urllib.request.Request(
        f"{demo.url}/v1/router/explain",
        json.dumps({"prompt": prompt, "neighbours": 100}).encode(),
        {"Authorization": f"Bearer {demo.key}", "Content-Type": "application/json"},
    )
    with await asyncio.to_thread(urllib.request.urlopen, asked) as reply:
        explanation = json.load(reply)
    drawn = await tab.page.evaluate(
        "[...document.querySelectorAll('.bars .bar')].map(b => [...b.children].map(c => parseFloat(c.style.width)))"
    )
    lowered = 0
    for widths, candidate in zip(drawn, explanation["candidates"], strict=True):
        moved = candidate["quality"] - candidate["prior"]
        lowered += moved < 0
        expected = [min(candidate["quality"], candidate["prior"]), max(moved, 0), max(-moved, 0)]
        assert widths == pytest.approx([100 * each for each in expected], abs=0.01)
    assert 0 < lowered < len(drawn)
    words = await tab.page.locator(".bars .detail").all_inner_texts()
    for text, candidate in zip(words, explanation["candidates"], strict=True):
        terms = re.findall(r"(?:prior|ease|neighbours|borrowed) ([+−]?[\d.]+)", text)
        assert sum(float(term.replace("−", "-")) for term in terms) == pytest.approx(candidate["quality"], abs=2.1e-3)
    effects = await tab.page.locator(".neighbour-list .effect").all_inner_texts()
    for text, near in zip(effects, explanation["neighbours"], strict=False):
        found = float(text.split()[-1].replace("−", "-"))
        assert found == pytest.approx(near["effects"][explanation["model"]], abs=5.1e-4)
    assert any(float(text.split()[-1].replace("−", "-")) for text in effects)


async def test_a_prompt_of_markup_stays_text(open_tab: OpenTab) -> None:
    tab = await open_tab()
    await tab.page.wait_for_selector(".walk")
    await tab.page.fill("#prompt", "<img src=x onerror=\"document.title='taken'\">")
    await tab.page.press("#prompt", "Enter")
    await tab.until("document.querySelector('.embedded')?.innerText.startsWith('<img')")
    assert await tab.page.locator(".embedded img").count() == 0
    assert await tab.page.title() == "Route · pgrouter"


async def test_arrow_keys_walk_and_a_question_mark_lists_the_keys(open_tab: OpenTab) -> None:
    tab = await open_tab()
    await tab.page.wait_for_selector(".walk")
    await tab.page.focus("#view")
    await tab.page.keyboard.press("ArrowRight")
    await tab.page.keyboard.press("ArrowRight")
    assert (
        await tab.page.evaluate(
            "[...document.querySelectorAll('.walk > li')].findIndex(e => e.classList.contains('current'))"
        )
        == 2
    )
    await tab.page.keyboard.press("?")
    await tab.page.wait_for_selector("dialog .keys")
    await tab.page.keyboard.press("Escape")
    await tab.page.wait_for_selector("dialog", state="detached")


async def test_every_chip_of_sql_runs_in_psql(open_tab: OpenTab, demo: Demo) -> None:
    tab = await open_tab()
    await tab.page.wait_for_selector(".walk")
    chips = tab.page.locator(".walk .chip", has_text="psql")
    assert await chips.count() == 6
    shown = await tab.page.locator(".bars li").count()
    for i in range(6):
        rows = await rows_of_chip(tab.page, chips.nth(i), demo.home)
        assert rows == (100 if i == 2 else shown if i > 2 else 1)


async def test_a_link_opens_the_same_question(open_tab: OpenTab, demo: Demo) -> None:
    tab = await open_tab(demo.address("route", prompt="Translate 'good morning' into French", alpha="0.9"))
    await tab.page.wait_for_selector(".walk")
    assert await tab.page.input_value("#prompt") == "Translate 'good morning' into French"
    await tab.page.wait_for_selector(".dial.changed")
    assert "key=" not in tab.page.url


@pytest.mark.parametrize("phone", [False, True])
@pytest.mark.parametrize("dark", [False, True])
async def test_it_is_accessible_and_fits_the_screen(open_tab: OpenTab, *, phone: bool, dark: bool) -> None:
    tab = await open_tab(phone=phone, dark=dark)
    await tab.page.wait_for_selector(".walk")
    assert await violations(tab.page) == []
    assert await tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_a_wrong_key_shows_the_words_of_the_server(open_tab: OpenTab, demo: Demo) -> None:
    tab = await open_tab(f"{demo.url}/console")
    tab.expected.add(401)
    await tab.page.fill("#tenant-key", "rk-wrong")
    await tab.page.press("#tenant-key", "Enter")
    await tab.page.wait_for_selector("[role=alert]")
    assert "Incorrect API key" in await tab.page.inner_text("[role=alert]")
    await tab.page.fill("#tenant-key", demo.key)
    await tab.page.press("#tenant-key", "Enter")
    await tab.page.wait_for_selector(".walk")
    await tab.page.click("text=Sign out")
    await tab.page.wait_for_selector("#tenant-key")
    assert await tab.page.evaluate("sessionStorage.length") == 0


async def test_a_stopped_postgres_is_said_and_recovered_from(open_tab: OpenTab, demo: Demo) -> None:
    tab = await open_tab()
    tab.expected.add(503)
    await tab.page.wait_for_selector(".walk")
    pid = int((demo.home / "postgres" / "postmaster.pid").read_text().split()[0])
    workers = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    for process in workers:
        process.suspend()
    try:
        await tab.page.click("button.sample:nth-of-type(3)")
        await tab.page.wait_for_selector(".outage, [role=alert]", timeout=30_000)
    finally:
        for process in workers:
            process.resume()
    await tab.page.wait_for_selector(".outage", state="detached", timeout=30_000)
    assert re.search("learned|demo", await tab.page.inner_text(".verdict"))
