"""The view Teach: answers are judged blind, the memory becomes warm, and what was taught can be undone."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from tests.console.conftest import ADMIN_KEY, Demo, OpenTab, Tab
from tests.support.accessibility import violations
from tests.support.psql_chips import rows_of_chip

pytestmark = [pytest.mark.server, pytest.mark.slow]
MODELS = ["demo-small", "demo-medium", "demo-large"]
READY = ".answers .submit .primary:not([disabled])"


@dataclass(frozen=True)
class Fresh:
    """A tenant of the test's own, which was taught nothing."""

    demo: Demo
    key: str

    def address(self, **parameters: str) -> str:
        return Demo(self.demo.url, self.key, self.demo.home, self.demo.serve).address("teach", **parameters)

    async def call(self, path: str, **options: Any) -> Any:
        async with httpx.AsyncClient(base_url=self.demo.url, headers={"authorization": f"Bearer {self.key}"}) as client:
            reply = await client.request(options.pop("method", "GET"), path, **options)
            assert reply.status_code == 200, reply.text
            return reply.json()

    async def memories(self) -> list[Any]:
        found: list[Any] = (await self.call("/v1/router/memories"))["data"]
        return found


@pytest.fixture
async def fresh(demo: Demo, request: pytest.FixtureRequest) -> Fresh:
    """A new tenant with the demo's models."""
    name = f"t{abs(hash(request.node.name)) % 10**9}"
    async with httpx.AsyncClient(base_url=demo.url, headers={"authorization": f"Bearer {ADMIN_KEY}"}) as admin:
        made = await admin.post("/v1/router/admin/tenants", json={"name": name, "models": MODELS})
        assert made.status_code == 201, made.text
        key = await admin.post(f"/v1/router/admin/tenants/{name}/keys", json={})
        assert key.status_code == 201, key.text
    return Fresh(demo, key.json()["api_key"])


async def answered(tab: Tab) -> None:
    """Get answers to the prompt that is there, and wait for the suggested scores."""
    await tab.until("document.querySelector('#prompt')?.value.length > 0 && document.querySelector('.candidate')")
    await tab.page.click("form.asking [type=submit]")
    await tab.page.wait_for_selector(READY)


async def warmth(tab: Tab) -> int:
    return int(await tab.page.get_attribute(".memory-warmth [role=progressbar]", "aria-valuenow") or -1)


async def test_three_lessons_move_the_warmth_and_are_in_the_memory(open_tab: OpenTab, fresh: Fresh) -> None:
    tab = await open_tab(fresh.address())
    for taught in range(3):
        await answered(tab)
        assert await warmth(tab) == taught
        await tab.page.click(READY)
        await tab.until(f"document.querySelector('.memory-warmth strong').innerText.startsWith('{taught + 1} ')")
        assert "missing" in await tab.page.inner_text(".memory-warmth")
        await tab.page.click(".answers .submit .primary")
        await tab.page.wait_for_selector(".answers", state="detached")
    await tab.until(
        "document.querySelectorAll('.lessons li:not(.pending)').length === 3"
        " && document.querySelector('.memory-warmth').innerText.includes('teach 97 more')"
    )
    found = await fresh.memories()
    assert len({each["prompt"] for each in found}) == 3
    assert all(set(each["scores"]) == set(MODELS) for each in found)


async def test_blind_labels_stay_with_their_texts_until_the_models_are_shown(open_tab: OpenTab, fresh: Fresh) -> None:
    tab = await open_tab(fresh.address())
    await answered(tab)
    texts = """Object.fromEntries([...document.querySelectorAll('.answer-card')].map(
        each => [each.dataset.label, each.querySelector('.answer-text').innerText]))"""
    places = "[...document.querySelectorAll('.answer-card')].map(e => e.dataset.label)"
    before = await tab.page.evaluate(texts)
    assert list(before) == ["A", "B", "C"]
    for name in MODELS:
        assert name not in await tab.page.inner_text(".answers")
    await tab.page.focus("[data-label=A] input")
    await tab.page.keyboard.press("Home")
    await tab.page.click("text=best first")
    assert (await tab.page.evaluate(places))[-1] == "A"
    for _ in range(8):
        await tab.page.click("text=shuffle")
        assert await tab.page.evaluate(texts) == before
    await tab.page.click(READY)
    await tab.page.wait_for_selector(".answer-card .model")
    assert await tab.page.evaluate(texts) == before
    prompt = await tab.page.input_value("#prompt")
    samples = (await fresh.call("/v1/router/samples"))["data"]
    sample = next(each for each in samples if each["prompt"] == prompt)
    recorded = {each["model"]: each["text"] for each in sample["answers"]}
    for label, text in before.items():
        model = await tab.page.inner_text(f"[data-label={label}] .model")
        assert " ".join(recorded[model.strip()].split()) == " ".join(text.split())
    (memory,) = await fresh.memories()
    shown = await tab.page.inner_text("[data-label=A] .model")
    assert memory["scores"][shown.strip()] == 0


async def test_teaching_needs_no_mouse(open_tab: OpenTab, fresh: Fresh) -> None:
    tab = await open_tab(fresh.address(prompt="Say hello to a new colleague", models="demo-small,demo-large"))
    await tab.page.wait_for_selector(".candidate")
    await tab.page.keyboard.press("/")
    await tab.page.keyboard.press("Enter")
    await tab.until("document.querySelectorAll('.answer-card[aria-busy=false]').length === 2")
    await tab.page.wait_for_selector(".judge")
    await tab.page.keyboard.press("1")
    await tab.page.keyboard.press("End")
    await tab.page.keyboard.press("2")
    for _ in range(3):
        await tab.page.keyboard.press("ArrowLeft")
    await tab.page.evaluate("document.activeElement.blur()")
    await tab.page.keyboard.press("ArrowUp")
    scores = [await tab.page.inner_text(f"[data-label={label}] output") for label in "AB"]
    assert scores == ["1.00", "0.40"]
    await tab.page.keyboard.press("?")
    await tab.page.wait_for_selector("dialog .keys")
    assert "Choose answer B" in await tab.page.inner_text("dialog")
    await tab.page.keyboard.press("Escape")
    await tab.page.wait_for_selector("dialog", state="detached")
    await tab.page.keyboard.press("Enter")
    await tab.page.wait_for_selector(".taught-note")
    await tab.page.wait_for_selector(".lessons li:not(.pending)")
    (memory,) = await fresh.memories()
    assert sorted(memory["scores"].values()) == [0.4, 1.0]
    await tab.page.keyboard.press("u")
    await tab.page.wait_for_selector(".lessons", state="detached")
    await until_memories(fresh, [])


async def until_memories(fresh: Fresh, scores: list[dict[str, float]]) -> None:
    async with asyncio.timeout(10):
        while [each["scores"] for each in await fresh.memories()] != scores:
            await asyncio.sleep(0.1)


async def test_undo_teaches_an_overwritten_memory_its_earlier_scores(open_tab: OpenTab, fresh: Fresh) -> None:
    prompt = "Name three uses for a paper clip"
    earlier = {"demo-small": 0.25, "demo-large": 0.75}
    lesson = {"prompt": prompt, "scores": earlier, "completion_tokens": {"demo-small": 7}, "task": "ideas"}
    await fresh.call("/v1/router/preferences/rank", method="POST", json=lesson)
    before = await fresh.memories()
    tab = await open_tab(fresh.address(prompt=prompt))
    await tab.page.wait_for_selector(".candidate")
    await tab.page.click("form.asking [type=submit]")
    await tab.page.wait_for_selector(".answers .note:has-text('taught this prompt before')")
    await tab.page.wait_for_selector(".judge")
    await tab.page.focus("[data-label=A] input")
    await tab.page.keyboard.press("End")
    await tab.page.click(READY)
    await tab.page.wait_for_selector(".lessons .badge:has-text('replaced')")
    await tab.page.wait_for_selector(".taught button:not([disabled]):has-text('Undo')")
    assert list((await fresh.memories())[0]["scores"].values()) == [1.0]
    await tab.page.click(".taught button:has-text('Undo')")
    await until_memories(fresh, [earlier])
    (after,) = await fresh.memories()
    assert {name: after[name] for name in after if name != "taught_at"} == {
        name: before[0][name] for name in before[0] if name != "taught_at"
    }


async def test_a_file_with_a_bad_line_names_it_and_teaches_nothing(
    open_tab: OpenTab, fresh: Fresh, tmp_path: Path
) -> None:
    good = [{"prompt": f"Add {n} and 2", "scores": {"demo-small": 1, "demo-large": 1}} for n in range(4)]
    lines = [orjson.dumps(each) for each in good]
    bad, mended = tmp_path / "bad.jsonl", tmp_path / "good.jsonl"
    bad.write_bytes(b"\n".join([*lines[:2], b'{"prompt": "<b>x</b>", "scores": {"demo-small": 7}}', *lines[2:]]))
    mended.write_bytes(b"\n".join(lines))
    tab = await open_tab(fresh.address())
    await tab.page.set_input_files("#examples", bad)
    await tab.page.click(".picked .primary")
    await tab.page.wait_for_selector(".outcome .note.bad")
    assert await tab.page.inner_text(".file-errors .line") == "line 3"
    assert "less than or equal to 1" in await tab.page.inner_text(".file-errors li")
    assert await fresh.memories() == []
    await tab.page.set_input_files("#examples", mended)
    await tab.page.click(".picked button:has-text('Check')")
    await tab.until("document.querySelector('.outcome')?.innerText.includes('4 examples would be taught')")
    assert await fresh.memories() == []
    await tab.page.click(".picked .primary")
    await tab.until("document.querySelector('.outcome')?.innerText.includes('4 new')")
    await tab.until("document.querySelector('.memory-warmth strong').innerText.startsWith('4 ')")
    async with tab.page.expect_download() as download:
        await tab.page.click("text=Export the memory")
    exported = Path(await (await download.value).path()).read_bytes().splitlines()
    assert [orjson.loads(line)["prompt"] for line in exported] == [each["prompt"] for each in good]


async def test_markup_in_prompts_stays_text(open_tab: OpenTab, fresh: Fresh) -> None:
    tab = await open_tab(fresh.address(prompt="<img src=x onerror=\"document.title='taken'\">"))
    await tab.page.wait_for_selector(".candidate")
    await tab.page.click("form.asking [type=submit]")
    await tab.page.wait_for_selector(".judge")
    await tab.page.focus("[data-label=A] input")
    await tab.page.keyboard.press("End")
    await tab.page.click(READY)
    await tab.page.wait_for_selector(".lessons li:not(.pending)")
    assert (await tab.page.inner_text(".lessons .excerpt")).startswith("<img")
    assert await tab.page.locator("#view img").count() == 0
    assert await tab.page.title() == "Teach · pgrouter"


async def test_an_error_is_shown_and_the_warmth_is_taken_back(open_tab: OpenTab, fresh: Fresh) -> None:
    tab = await open_tab(fresh.address())
    tab.expected.add(429)
    await answered(tab)
    refusal = {"error": {"message": "Too many calls.", "code": "busy", "param": None}}
    await tab.page.route("**/preferences/rank", lambda route: route.fulfill(status=429, json=refusal))
    await tab.page.click(READY)
    await tab.page.wait_for_selector(".answers [role=alert]")
    assert "Too many calls." in await tab.page.inner_text(".answers [role=alert]")
    assert await warmth(tab) == 0
    await tab.page.unroute("**/preferences/rank")
    await tab.page.click(".answers [role=alert] button")
    await tab.page.wait_for_selector(".lessons li:not(.pending)")
    assert len(await fresh.memories()) == 1


async def test_every_chip_of_sql_returns_what_its_panel_shows(open_tab: OpenTab, fresh: Fresh) -> None:
    tab = await open_tab(fresh.address())
    await answered(tab)
    await tab.page.click(READY)
    await tab.page.wait_for_selector(".lessons li:not(.pending)")
    for panel, rows in ((".memory-warmth", 1), (".answers", 1), (".taught", 1), (".files", 1)):
        chip = tab.page.locator(f"{panel} .chip", has_text="psql")
        assert await rows_of_chip(tab.page, chip, fresh.demo.home) == rows, panel


@pytest.mark.parametrize("phone", [False, True])
@pytest.mark.parametrize("dark", [False, True])
async def test_it_is_accessible_and_fits_the_screen(
    open_tab: OpenTab, fresh: Fresh, *, phone: bool, dark: bool
) -> None:
    tab = await open_tab(fresh.address(), phone=phone, dark=dark)
    await answered(tab)
    assert await violations(tab.page) == []
    await tab.page.click(READY)
    await tab.page.wait_for_selector(".lessons li:not(.pending)")
    await asyncio.sleep(0.4)
    assert await violations(tab.page) == []
    assert await tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if phone:
        lefts = "new Set([...document.querySelectorAll('.answer-card')].map(e => e.getBoundingClientRect().left)).size"
        assert await tab.page.evaluate(lefts) == 1
