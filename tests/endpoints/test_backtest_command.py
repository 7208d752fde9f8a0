"""Backtests on the command line print the values of the API."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import app.cli
from app.store import policies as policies_store
from tests.support.backtest_commands import TAUGHT, Command, complaint, post, said
from tests.support.proxy import CHEAP, STRONG, Proxy
from tests.support.separable_prompts import lessons


async def test_the_command_prints_table_references_and_plot(proxy: Proxy, run: Command) -> None:
    await proxy.rank(lessons(120))
    text = await said(run, "backtest", "--tenant", "acme")
    for part in (
        f"all {TAUGHT} memories",
        "cheap (cheapest)",
        "strong (default",
        "oracle",
        "static blend",
        "USD per 1,000",
    ):
        assert part in text
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 100


async def test_the_command_fits_a_narrow_terminal(proxy: Proxy, run: Command) -> None:
    await proxy.rank(lessons(40))
    text = await said(run, "backtest", "--tenant", "acme", columns=50)
    assert max(map(len, text.splitlines())) <= 50


async def test_the_command_and_the_api_say_the_same(proxy: Proxy, run: Command) -> None:
    await proxy.rank(lessons(120))
    printed = json.loads(await said(run, "backtest", "--tenant", "acme", "--alpha", "0.3", "--k", "20", "--json"))
    _, answered = await post(proxy, {"alphas": [0.3], "settings": {"k": 20}})
    assert printed.pop("tenant") == "acme"
    assert answered.pop("object") == "router.backtest"
    assert printed == answered


async def test_the_command_writes_a_png(proxy: Proxy, run: Command, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    await proxy.rank(lessons(40))
    await said(run, "backtest", "--tenant", "acme", "--png", tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


async def test_without_matplotlib_the_install_command_is_printed_before_anything_is_measured(
    proxy: Proxy, run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.axes", None)
    monkeypatch.delitem(sys.modules, "app.cli.plot_png", raising=False)
    monkeypatch.delattr(app.cli, "plot_png", raising=False)
    told = await complaint(run, "backtest", "--tenant", "nobody", "--png", tmp_path / "curve.png")
    assert "pip install 'pgrouter[plot]'" in told


async def test_an_unknown_tenant_policy_or_setting_is_named(proxy: Proxy, run: Command) -> None:
    for command in (["backtest"], ["calibrate", "--target", "0.9"], ["savings"]):
        assert "no tenant 'nobody'" in await complaint(run, *command, "--tenant", "nobody")
        assert "no policy 'nope'" in await complaint(run, *command, "--tenant", "acme", "--policy", "nope")
    assert "--tau=0 is outside" in await complaint(run, "backtest", "--tenant", "acme", "--tau", "0")


async def test_too_little_memory_is_a_sentence(proxy: Proxy, run: Command) -> None:
    for command in (["backtest"], ["calibrate", "--target", "0.9"]):
        assert "0 of 0 memories label every candidate" in (told := await complaint(run, *command, "--tenant", "acme"))
        assert "The candidates are cheap, strong." in told


async def test_a_policy_that_does_not_learn_is_reported(proxy: Proxy, run: Command) -> None:
    await proxy.rank(lessons(60))
    await policies_store.put_policy(
        proxy.admin, proxy.tenant_id, "frugal", backend="cheapest", default=STRONG, models=[CHEAP, STRONG]
    )
    named = ("--tenant", "acme", "--policy", "frugal")
    told = await complaint(run, "calibrate", *named, "--target", "0.9")
    assert told == ("pgrouter: Policy frugal has backend cheapest, which does not learn: only knn can be calibrated.\n")
    assert json.loads(await said(run, "backtest", *named, "--json"))["backend"] == "cheapest"
    text = await said(run, "savings", "--tenant", "acme")
    assert text.count("Never calibrated") == 1, "auto can be calibrated, frugal cannot"
