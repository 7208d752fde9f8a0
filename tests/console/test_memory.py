"""The view Memory: taught prompts on a map and in a list, opened, corrected, found and forgotten."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.console.conftest import ADMIN_KEY, Demo, OpenTab, Tab
from tests.support.accessibility import violations
from tests.support.frames import frame_costs
from tests.support.psql_chips import rows_of_chip

pytestmark = [pytest.mark.server, pytest.mark.slow]

CANVAS = ".map-stage canvas"
RESTING = f"{CANVAS}[data-resting=true]"


def api(demo: Demo, key: str | None = None) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=demo.url, headers={"authorization": f"Bearer {demo.key if key is None else key}"}, timeout=30
    )


async def teach(demo: Demo, *prompts: str, key: str | None = None, **fields: Any) -> list[int]:
    """Teach prompts; return their ids."""
    common = {"scores": {"demo-small": 0.5, "demo-large": 1.0}, **fields}
    async with api(demo, key) as client:
        reply = await client.post(
            "/v1/router/preferences/rank", json={"examples": [{"prompt": prompt, **common} for prompt in prompts]}
        )
        assert reply.status_code == 200, reply.text
        return list(reply.json()["memory_ids"])


async def memories(demo: Demo, search: str) -> list[dict[str, Any]]:
    async with api(demo) as client:
        reply = await client.get("/v1/router/memories", params={"search": search, "limit": 1000})
        return list(reply.json()["data"])


async def new_tenant(demo: Demo, name: str) -> str:
    """Create a tenant with the demo's models; return its key."""
    async with api(demo, ADMIN_KEY) as client:
        reply = await client.post(
            "/v1/router/admin/tenants", json={"name": name, "models": ["demo-small", "demo-medium", "demo-large"]}
        )
        assert reply.status_code == 201, reply.text
        return str(reply.json()["api_key"])


async def listed(tab: Tab, count: int) -> None:
    """Wait until the list has so many memories."""
    await tab.until(f"document.querySelector('.memory-list h2')?.innerText.startsWith('{count} memor')")


async def open_row(tab: Tab, text: str) -> None:
    await tab.page.click(f".memory-rows li:has-text('{text}') .memory-open")
    await tab.page.wait_for_selector("dialog .memory-scores")


async def test_the_map_and_the_list_have_every_taught_prompt(open_tab: OpenTab, demo: Demo) -> None:
    async with api(demo) as client:
        total = (await client.get("/v1/router/memories/graph")).json()["total"]
    tab = await open_tab(demo.address("memory"))
    await tab.page.wait_for_selector(RESTING)
    assert total >= 304
    assert f"{total} memories" in await tab.page.inner_text(".memory-list h2")
    assert f"Map of {total} taught prompts" in str(await tab.page.get_attribute(CANVAS, "aria-label"))
    assert await tab.page.locator(".memory-rows li").count() == 10
    assert f"1–10 of {total}" in await tab.page.inner_text(".pages")
    await tab.page.click(".pages button:has-text('Next')")
    assert f"11–20 of {total}" in await tab.page.inner_text(".pages")


async def test_a_memory_is_opened_from_the_map(open_tab: OpenTab, demo: Demo) -> None:
    tab = await open_tab(demo.address("memory"))
    await tab.page.wait_for_selector(RESTING)
    # A row points at its memory on the map; the place of the tip is that of the memory.
    await tab.page.hover(".memory-rows li:first-child .memory-open")
    tip = await tab.page.wait_for_selector(".map-tip")
    assert tip is not None
    x, y = await tip.evaluate("e => [parseFloat(e.style.left), parseFloat(e.style.top)]")
    await tab.page.hover(CANVAS, position={"x": x, "y": y})
    hovered = await tab.page.inner_text(".map-tip")
    await tab.page.click(CANVAS, position={"x": x, "y": y})
    await tab.page.wait_for_selector("dialog .memory-scores")
    assert (await tab.page.inner_text("dialog .memory-prompt"))[:80] == hovered[:80]
    assert "memory=" in tab.page.url
    await tab.page.keyboard.press("Escape")
    await tab.page.wait_for_selector("dialog", state="detached")
    assert "memory=" not in tab.page.url


async def test_scores_are_corrected_and_the_correction_undone(open_tab: OpenTab, demo: Demo) -> None:
    await teach(demo, "correct me kangaroo", task="animals", completion_tokens={"demo-small": 7})
    tab = await open_tab(demo.address("memory", search="correct me kangaroo"))
    await listed(tab, 1)
    await open_row(tab, "correct me kangaroo")
    await tab.page.fill("#score-demo-small", "0.9")
    await tab.page.click("text=Save scores")
    await tab.page.wait_for_selector(".toast:has-text('saved')")
    (memory,) = await memories(demo, "correct me kangaroo")
    assert memory["scores"] == {"demo-small": 0.9, "demo-large": 1}
    assert (memory["task"], memory["completion_tokens"]) == ("animals", {"demo-small": 7})
    await tab.page.keyboard.press("Escape")
    # What was shown changed at once: the small model is enough now.
    await tab.page.select_option("select[aria-label='model that suffices']", "demo-small")
    await listed(tab, 1)
    await tab.page.click(".toast button")
    await tab.page.wait_for_selector(".toast:has-text('as they were')")
    assert (await memories(demo, "correct me kangaroo"))[0]["scores"]["demo-small"] == 0.5
    await listed(tab, 0)


async def test_one_memory_is_forgotten_and_taught_again(open_tab: OpenTab, demo: Demo) -> None:
    await teach(demo, "forget me narwhal", source="judge", completion_tokens={"demo-large": 30})
    (before,) = await memories(demo, "narwhal")
    tab = await open_tab(demo.address("memory", search="narwhal"))
    await open_row(tab, "narwhal")
    await tab.page.click("text=Forget it")
    await tab.page.wait_for_selector("dialog", state="detached")
    await listed(tab, 0)
    await tab.page.wait_for_selector(".toast:has-text('1 memory forgotten')")
    assert await memories(demo, "narwhal") == []
    await tab.page.click(".toast button:has-text('Undo')")
    await tab.page.wait_for_selector(".toast:has-text('taught again')")
    (after,) = await memories(demo, "narwhal")
    changing = {"id", "taught_at"}
    assert {name: after[name] for name in after if name not in changing} == {
        name: before[name] for name in before if name not in changing
    }
    await listed(tab, 1)


async def test_many_are_selected_forgotten_and_taught_again(open_tab: OpenTab, demo: Demo) -> None:
    await teach(demo, *(f"flock of wombat {i}" for i in range(13)))
    tab = await open_tab(demo.address("memory", search="flock of wombat"))
    await listed(tab, 13)
    await tab.page.check(".memory-all input")
    await tab.page.uncheck(".memory-rows li:first-child input")
    assert "12 selected" in await tab.page.inner_text(".memory-selection")
    await tab.page.click(".memory-selection button:has-text('Forget 12')")
    await listed(tab, 1)
    await tab.page.wait_for_selector(".toast:has-text('12 memories forgotten')")
    assert len(await memories(demo, "flock of wombat")) == 1
    await tab.page.click(".toast button:has-text('Undo')")
    await tab.page.wait_for_selector(".toast:has-text('12 memories taught again')")
    assert len(await memories(demo, "flock of wombat")) == 13
    await listed(tab, 13)


async def test_a_lasso_selects_what_it_surrounds(open_tab: OpenTab, demo: Demo) -> None:
    tab = await open_tab(demo.address("memory"))
    await tab.page.wait_for_selector(RESTING)
    box = await tab.page.locator(CANVAS).bounding_box()
    assert box is not None
    corners = [(0.02, 0.02), (0.98, 0.02), (0.98, 0.98), (0.02, 0.98), (0.02, 0.1)]
    points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
    await tab.page.keyboard.down("Shift")
    await tab.page.mouse.move(*points[0])
    await tab.page.mouse.down()
    for point in points[1:]:
        await tab.page.mouse.move(*point, steps=4)
    await tab.page.mouse.up()
    await tab.page.keyboard.up("Shift")
    title = await tab.page.inner_text(".memory-list h2")
    assert f"{title.split()[0]} selected" in await tab.page.inner_text(".memory-selection")
    await tab.page.keyboard.press("Escape")
    await tab.page.wait_for_selector(".memory-selection", state="detached")


async def test_dragging_and_keys_move_the_map_without_opening_anything(open_tab: OpenTab, demo: Demo) -> None:
    tab = await open_tab(demo.address("memory"))
    await tab.page.wait_for_selector(RESTING)
    picture = f"document.querySelector('{CANVAS}').toDataURL()"
    seen = [await tab.page.evaluate(picture)]
    await tab.page.focus(CANVAS)
    for key in ("+", "ArrowLeft", "-", "0"):
        await tab.page.keyboard.press(key)
        await tab.page.wait_for_timeout(300)
        seen.append(await tab.page.evaluate(picture))
    await tab.page.hover(CANVAS, position={"x": 200, "y": 200})
    await tab.page.mouse.wheel(0, -300)
    await tab.page.mouse.down()
    await tab.page.mouse.move(600, 500, steps=5)
    await tab.page.mouse.up()
    await tab.page.wait_for_timeout(300)
    seen.append(await tab.page.evaluate(picture))
    assert all(before != after for before, after in pairwise(seen))
    assert await tab.page.locator("dialog").count() == 0


async def test_filters_are_in_the_address_and_a_link_opens_them(open_tab: OpenTab, demo: Demo) -> None:
    await teach(demo, "yak one", "yak two", task="yaks", source="judge", scores={"demo-medium": 0.8})
    await teach(demo, "yak three", task="yaks", scores={"demo-large": 0.1})
    tab = await open_tab(demo.address("memory"))
    await tab.page.select_option("select[aria-label=task]", "yaks")
    await listed(tab, 3)
    await tab.page.select_option("select[aria-label='model that suffices']", "demo-medium")
    await listed(tab, 2)
    await tab.page.select_option("select[aria-label=source]", "human")
    await listed(tab, 0)
    assert "task=yaks" in tab.page.url
    other = await open_tab(demo.address("memory", task="yaks", suffices="(none)", colour="task"))
    await listed(other, 1)
    assert await other.page.get_attribute("text=Colour by >> xpath=.. >> text=task", "aria-pressed") == "true"
    await other.page.click("text=Show all")
    await other.until("parseInt(document.querySelector('.memory-list h2').innerText) > 300")


async def test_the_keyboard_alone_finds_opens_and_forgets(open_tab: OpenTab, demo: Demo) -> None:
    await teach(demo, "keyboard quokka")
    tab = await open_tab(demo.address("memory"))
    await tab.page.wait_for_selector(".memory-rows li")
    press = tab.page.keyboard.press
    await press("/")
    await tab.page.keyboard.type("keyboard quokka")
    await listed(tab, 1)
    await tab.page.focus(".memory-rows li input")
    await press("Space")
    await press("Tab")
    await press("Enter")
    await tab.page.wait_for_selector("dialog .memory-scores")
    await press("Escape")
    await tab.page.wait_for_selector("dialog", state="detached")
    await press("Delete")
    await tab.page.wait_for_selector(".toast:has-text('1 memory forgotten')")
    assert await memories(demo, "keyboard quokka") == []


async def test_a_prompt_of_markup_stays_text(open_tab: OpenTab, demo: Demo) -> None:
    markup = "<img src=x onerror=\"document.title='taken'\"> okapi"
    await teach(demo, markup)
    tab = await open_tab(demo.address("memory", search="okapi"))
    await open_row(tab, "okapi")
    assert await tab.page.inner_text("dialog .memory-prompt") == markup
    await tab.page.wait_for_selector(RESTING)
    assert await tab.page.locator("#view img").count() == 0
    assert await tab.page.title() == "Memory · pgrouter"


async def test_a_memory_of_another_tenant_is_not_there(open_tab: OpenTab, demo: Demo) -> None:
    key = await new_tenant(demo, "neighbour")
    (theirs,) = await teach(demo, "secret of the neighbour", key=key)
    tab = await open_tab(demo.address("memory", memory=str(theirs)))
    await tab.page.wait_for_selector("dialog .empty")
    assert "no such memory" in await tab.page.inner_text("dialog")
    assert "secret of the neighbour" not in await tab.page.content()


async def test_an_empty_memory_has_the_next_step(open_tab: OpenTab, demo: Demo) -> None:
    key = await new_tenant(demo, "newcomer")
    tab = await open_tab(f"{demo.url}/console/memory#key={key}")
    await tab.page.wait_for_selector(".empty .warmth")
    shown = await tab.page.inner_text(".empty")
    assert "pgrouter import examples.jsonl --tenant 'newcomer'" in shown
    assert "0 memories of 100" in shown
    assert await violations(tab.page) == []
    await tab.page.click("text=Teach the first prompt")
    # The page adds the prompt that it proposes.
    assert tab.page.url.partition("#")[0].endswith("/console/teach")


async def test_every_chip_of_sql_returns_the_rows_of_its_panel(open_tab: OpenTab, demo: Demo) -> None:
    await teach(demo, "it's an ibex", "another ibex", task="goats")
    tab = await open_tab(demo.address("memory"))
    await tab.page.wait_for_selector(".memory-rows li")
    chips = tab.page.locator("#view .chip", has_text="psql")
    count = int((await tab.page.inner_text(".memory-list h2")).split()[0].replace(",", ""))
    assert [await rows_of_chip(tab.page, chips.nth(i), demo.home) for i in range(2)] == [count, count]
    for filters in ({"search": "it's an ibex"}, {"task": "goats", "suffices": "demo-large"}):
        tab = await open_tab(demo.address("memory", **filters))
        await listed(tab, 1 if "search" in filters else 2)
        chip = tab.page.locator(".memory-list .chip", has_text="psql")
        assert await rows_of_chip(tab.page, chip, demo.home) == (1 if "search" in filters else 2)
    await open_row(tab, "another ibex")
    assert await rows_of_chip(tab.page, tab.page.locator("dialog .chip", has_text="psql"), demo.home) == 1


@pytest.mark.parametrize("phone", [False, True])
@pytest.mark.parametrize("dark", [False, True])
async def test_it_is_accessible_and_fits_the_screen(open_tab: OpenTab, demo: Demo, *, phone: bool, dark: bool) -> None:
    tab = await open_tab(demo.address("memory"), phone=phone, dark=dark)
    await tab.page.wait_for_selector(RESTING)
    await tab.page.check(".memory-rows li:first-child input")
    assert await violations(tab.page) == []
    assert await tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await tab.page.click(".memory-rows li:first-child .memory-open")
    await tab.page.wait_for_selector("dialog .memory-near")
    assert await violations(tab.page) == []
    assert await tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_a_frame_of_2000_memories_fits_60_times_into_a_second(
    open_tab: OpenTab, demo: Demo, tmp_path: Path
) -> None:
    key = await new_tenant(demo, "large")
    topics = ("bread", "taxes", "stars", "boats", "chess", "trees", "soup", "rivers")
    prompts = [f"Question {i} about {topics[i % 8]} and {topics[i // 8 % 8]} in {1900 + i % 120}" for i in range(2100)]
    for begin in range(0, len(prompts), 700):
        await teach(demo, *prompts[begin : begin + 700], key=key)
    tab = await open_tab(f"{demo.url}/console/memory#key={key}")
    await tab.page.wait_for_selector(f"{CANVAS}[data-resting=false]")
    assert "2,000 memories of 2,100" in await tab.page.inner_text(".memory-list h2")
    trace = tmp_path / "trace.json"
    costs = await frame_costs(tab.page, seconds=5, path=trace)
    assert len(costs) > 20
    assert costs[len(costs) // 2] < 1000 / 60, costs
