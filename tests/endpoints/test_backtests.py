"""Promises of backtest, calibrate and savings to whoever uses them, over HTTP and on the command line."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import app.cli
from app.cli import main
from app.store import policies as policies_store
from tests.conftest import ProxyFactory
from tests.support.proxy import CHEAP, STRONG, Proxy
from tests.support.separable_prompts import easy, hard, lessons

BACKTEST = "/v1/router/backtest"
SAVINGS = "/v1/router/savings"
#: What the two kinds of prompts make, as some come twice.
TAUGHT = len({lesson["prompt"] for lesson in lessons(120)})
REFERENCES = {"cheapest", "default", "best_single", "oracle", "always", "blend"}

Command = Callable[..., Result]


async def post(proxy: Proxy, body: Any, key: str | None = None) -> tuple[int, Any]:
    async with proxy.http(key) as http, http.post(BACKTEST, json=body) as response:
        return response.status, await response.json()


async def get(proxy: Proxy, path: str, key: str | None = None) -> tuple[int, Any]:
    async with proxy.http(key) as http, http.get(path) as response:
        return response.status, await response.json()


@pytest.fixture
def run(database: str, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs a command on the database of `proxy`, away from the running loop, and expects the exit code `code`."""
    monkeypatch.setenv("DATABASE_URL", database)

    def invoke(*arguments: str | Path, code: int = 0, columns: int = 100) -> Result:
        result = CliRunner(env={"COLUMNS": str(columns)}).invoke(main, [str(argument) for argument in arguments])
        assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
        assert "Traceback" not in result.stderr
        return result

    return invoke


async def said(run: Command, *arguments: str | Path, **options: int) -> str:
    """What a command prints."""
    return (await asyncio.to_thread(run, *arguments, **options)).stdout


async def complaint(run: Command, *arguments: str | Path) -> str:
    """What a command that fails says: one line, and nothing on stdout."""
    result = await asyncio.to_thread(run, *arguments, code=1)
    assert not result.stdout
    assert result.stderr.count("\n") == 1, result.stderr
    return result.stderr


# Backtests over HTTP


async def test_a_backtest_gives_the_curve_beside_what_it_is_compared_with(proxy: Proxy) -> None:
    await proxy.rank(lessons(120))
    status, found = await post(proxy, {})
    assert status == 200
    assert (found["object"], found["policy"], found["rows"], found["skipped"]) == ("router.backtest", "auto", TAUGHT, 0)
    assert set(found["references"]) == REFERENCES
    assert found["references"]["cheapest"]["model"] == CHEAP
    assert found["references"]["default"]["model"] == STRONG
    assert found["references"]["default"]["cost_ratio"] == pytest.approx(1)
    assert [point["alpha"] for point in found["curve"]] == sorted(point["alpha"] for point in found["curve"])
    assert [point["in_use"] for point in found["curve"]].count(True) == 1
    for point in found["curve"]:
        assert sum(point["shares"].values()) == pytest.approx(1)
        assert point["quality_low"] <= point["quality"] <= point["quality_high"]


async def test_a_backtest_sees_that_the_two_kinds_can_be_told_apart(proxy: Proxy) -> None:
    await proxy.rank(lessons(120))
    _, found = await post(proxy, {"alphas": [0.3]})
    point = next(point for point in found["curve"] if point["alpha"] == 0.3)
    assert point["quality"] > 0.95
    assert point["shares"][CHEAP] == pytest.approx(0.5, abs=0.05)
    assert point["gain_low"] > 0.2


async def test_settings_stand_in_for_the_policys_own(proxy: Proxy) -> None:
    await proxy.rank(lessons(120))
    _, plain = await post(proxy, {"alphas": [0.3], "settings": {"alpha": 0.3}})
    _, prior = await post(proxy, {"alphas": [0.3], "settings": {"alpha": 0.3, "n0": 1e6}})
    assert plain["curve"][0]["in_use"]
    assert plain["curve"][0]["shares"][STRONG] < 0.6
    assert prior["curve"][0]["shares"][STRONG] == 1, "with that prior no neighbour counts"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"sample": 29}, "sample"),
        ({"sample": "30"}, "sample"),
        ({"alphas": []}, "alphas"),
        ({"alphas": [0.1, -1]}, "alphas[1]"),
        ({"alphas": [0.1] * 101}, "alphas"),
        ({"settings": {"k": 0}}, "settings.k"),
        ({"settings": {"tau": 0}}, "settings.tau"),
        ({"settings": {"seed_count": 1}}, "settings.seed_count"),
        ({"confidence": 1}, "confidence"),
        ({"seconds": 31}, "seconds"),
        ({"policy": 7}, "policy"),
        ({"model": "auto", "policy": "auto"}, None),
        ({"polcy": "auto"}, "polcy"),
    ],
)
async def test_a_bad_backtest_is_refused_by_its_field(proxy: Proxy, body: Any, param: str | None) -> None:
    status, refused = await post(proxy, body)
    assert (status, refused["error"]["param"]) == (400, param)


async def test_a_setting_past_all_numbers_is_refused_rather_than_answered_as_null(proxy: Proxy) -> None:
    async with proxy.http() as http, http.post(BACKTEST, data=b'{"settings": {"tau": 1e400}}') as response:
        assert (response.status, (await response.json())["error"]["param"]) == (400, "settings.tau")


async def test_an_empty_name_is_no_policy(proxy: Proxy) -> None:
    status, refused = await post(proxy, {"policy": ""})
    assert (status, refused["error"]["param"]) == (404, "policy")


async def test_an_unknown_policy_is_not_found_under_the_name_it_was_given(proxy: Proxy) -> None:
    for param in ("model", "policy"):
        status, refused = await post(proxy, {param: "nope"})
        assert (status, refused["error"]["param"]) == (404, param)
    status, refused = await get(proxy, f"{SAVINGS}?policy=nope")
    assert (status, refused["error"]["param"]) == (404, "policy")


async def test_too_little_memory_is_said_with_how_much_there_is(proxy: Proxy) -> None:
    await proxy.rank([*lessons(10), *({"prompt": easy(seed), "scores": {CHEAP: 1}} for seed in range(100, 140))])
    status, refused = await post(proxy, {})
    assert (status, refused["error"]["code"]) == (422, "unsupported_by_memory")
    assert "10 of 50 memories" in refused["error"]["message"]


async def test_a_backtest_needs_a_key_and_sees_its_tenant_alone(proxy: Proxy) -> None:
    await proxy.rank(lessons(120))
    _, other = await proxy.new_tenant("other", models=(CHEAP, STRONG))
    assert (await post(proxy, {}, key="rk-nobody"))[0] == 401
    status, refused = await post(proxy, {}, key=other)
    assert status == 422
    assert "0 of 0 memories" in refused["error"]["message"]
    await proxy.rank(lessons(40), other)
    assert (await post(proxy, {}, key=other))[1]["rows"] == 40
    assert (await post(proxy, {}))[1]["rows"] == TAUGHT


async def test_one_backtest_runs_at_a_time_and_others_are_told_when_to_come_again(proxy: Proxy) -> None:
    async with proxy.services.measuring, proxy.http() as http, http.post(BACKTEST, json={}) as response:
        assert response.status == 429
        assert int(response.headers["retry-after"]) >= 1
        assert (await response.json())["error"]["code"] == "busy"
    await proxy.rank(lessons(40))
    assert (await post(proxy, {}))[0] == 200


async def test_a_failed_backtest_makes_room_for_the_next(proxy: Proxy) -> None:
    assert (await post(proxy, {}))[0] == 422
    await proxy.rank(lessons(40))
    assert (await post(proxy, {}))[0] == 200


async def test_one_connection_is_left_for_requests_meanwhile(proxies: ProxyFactory) -> None:
    async with proxies(pool_size=2) as proxy:
        await proxy.rank(lessons(120))
        measuring = [asyncio.create_task(post(proxy, {"seconds": 5})) for _ in range(8)]
        status, _ = await get(proxy, "/v1/router/status")
        assert status == 200
        statuses = [status for status, _ in await asyncio.gather(*measuring)]
        assert set(statuses) <= {200, 429}
        assert 200 in statuses


# Backtests on the command line


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


async def test_without_matplotlib_it_is_said_how_to_get_it_before_anything_is_measured(
    proxy: Proxy, run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.axes", None)
    monkeypatch.delitem(sys.modules, "app.cli.plot_png", raising=False)
    monkeypatch.delattr(app.cli, "plot_png", raising=False)
    told = await complaint(run, "backtest", "--tenant", "nobody", "--png", tmp_path / "curve.png")
    assert "pip install 'pgrouter[plot]'" in told


async def test_who_or_what_there_is_not_is_named(proxy: Proxy, run: Command) -> None:
    for command in (["backtest"], ["calibrate", "--target", "0.9"], ["savings"]):
        assert "no tenant 'nobody'" in await complaint(run, *command, "--tenant", "nobody")
        assert "no policy 'nope'" in await complaint(run, *command, "--tenant", "acme", "--policy", "nope")
    assert "--tau=0 is outside" in await complaint(run, "backtest", "--tenant", "acme", "--tau", "0")


async def test_too_little_memory_is_a_sentence(proxy: Proxy, run: Command) -> None:
    for command in (["backtest"], ["calibrate", "--target", "0.9"]):
        assert "0 of 0 memories label every candidate" in (told := await complaint(run, *command, "--tenant", "acme"))
        assert "The candidates are cheap, strong." in told


async def test_a_policy_that_does_not_learn_is_said_to(proxy: Proxy, run: Command) -> None:
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


# Calibrating, and what came of it


async def test_calibrating_says_what_to_expect_and_sets_the_policy(proxy: Proxy, run: Command) -> None:
    await proxy.rank(lessons(400))
    text = await said(run, "calibrate", "--tenant", "acme", "--target", "0.95")
    assert re.match(
        r"\d[\d.]*% of strong at \d[\d.]*% of its cost, expected "
        r"\(at least \d[\d.]*% with 90% confidence; (\d+) of \1 memories\)\.\n",
        text,
    )
    row = await calibrated(proxy, run)
    alpha = row["alpha"]
    assert f"alpha 0.3 -> {alpha:g}" in text
    assert "cheap " in text.splitlines()[2]
    assert row["quality_ratio_low"] >= 0.95
    policies = await policies_store.settings(proxy.admin, proxy.tenant_id)
    assert policies[0]["alpha"] == alpha


async def test_a_dry_run_changes_nothing(proxy: Proxy, run: Command) -> None:
    await proxy.rank(lessons(200))
    before = [dict(row) for row in await policies_store.settings(proxy.admin, proxy.tenant_id)]
    text = await said(run, "calibrate", "--tenant", "acme", "--target", "0.9", "--dry-run")
    assert "Would set policy auto" in text
    assert [dict(row) for row in await policies_store.settings(proxy.admin, proxy.tenant_id)] == before


async def test_no_tune_leaves_all_but_alpha(proxy: Proxy, run: Command) -> None:
    await proxy.rank(lessons(200))
    before = (await policies_store.settings(proxy.admin, proxy.tenant_id))[0]
    row = await calibrated(proxy, run, "--no-tune")
    assert row["tuned"] is False
    after = (await policies_store.settings(proxy.admin, proxy.tenant_id))[0]
    assert [before[name] for name in ("k", "tau", "n0", "n0_task")] == [
        after[name] for name in ("k", "tau", "n0", "n0_task")
    ]
    assert row["before"]["alpha"] == before["alpha"]


async def test_a_target_out_of_reach_is_refused_with_the_best_there_is(proxy: Proxy, run: Command) -> None:
    # Neither model is ever any better than the other, so nothing beats the default.
    await proxy.rank([{"prompt": easy(seed), "scores": {CHEAP: 0.5, STRONG: 0.5}} for seed in range(200)])
    before = [dict(row) for row in await policies_store.settings(proxy.admin, proxy.tenant_id)]
    told = await complaint(run, "calibrate", "--tenant", "acme", "--target", "1.2")
    assert "1.2" in told
    assert "the best supported target is" in told
    assert [dict(row) for row in await policies_store.settings(proxy.admin, proxy.tenant_id)] == before


async def test_savings_hold_the_expectation_against_the_ledger(proxy: Proxy, run: Command) -> None:
    await proxy.rank(lessons(400))
    expected = await calibrated(proxy, run)
    await ask(proxy, *(kind(seed) for seed in range(1000, 1010) for kind in (easy, hard)))
    await proxy.ledger(20)
    _, answered = await get(proxy, SAVINGS)
    row = answered["data"][0]
    assert (answered["object"], row["policy"], row["requests"]) == ("list", "auto", 20)
    assert row["expected_cost_ratio"] == pytest.approx(expected["cost_ratio"])
    assert row["expected_shares"] == pytest.approx(expected["shares"])
    assert sum(row["shares"].values()) == pytest.approx(1)
    assert row["saved_usd"] == pytest.approx(row["default_usd"] - row["spent_usd"])
    printed = json.loads(await said(run, "savings", "--tenant", "acme", "--json"))
    assert {**printed[0], "until": None} == {**row, "until": None}
    text = await said(run, "savings", "--tenant", "acme")
    assert "20 requests" in text
    assert re.search(r"served by cheap +\d+% +\d+%", text)
    assert row["verdict"] in " ".join(text.split())


async def test_savings_before_any_calibration_say_how_to_get_an_expectation(proxy: Proxy, run: Command) -> None:
    text = await said(run, "savings", "--tenant", "acme", "--since", "7d")
    assert "0 requests" in text
    assert "pgrouter calibrate --tenant acme" in text


async def test_savings_are_the_tenants_own(proxy: Proxy) -> None:
    _, other = await proxy.new_tenant("other")
    await ask(proxy, "hi")
    await proxy.ledger(1)
    assert [row["requests"] for row in (await get(proxy, SAVINGS))[1]["data"]] == [1]
    assert [row["requests"] for row in (await get(proxy, SAVINGS, key=other))[1]["data"]] == [0]
    assert (await get(proxy, SAVINGS, key="rk-nobody"))[0] == 401


@pytest.mark.parametrize("since", ["soon", "7x", "2999-01-01", "", "999999w"])
async def test_a_bad_since_is_refused_by_its_name(proxy: Proxy, run: Command, since: str) -> None:
    status, refused = await get(proxy, f"{SAVINGS}?since={since}")
    assert (status, refused["error"]["param"]) == (400, "since")
    assert "since" in await complaint(run, "savings", "--tenant", "acme", "--since", since)


async def calibrated(proxy: Proxy, run: Command, *options: str) -> Any:
    """What `pgrouter calibrate` for 95% of the default's quality says in JSON."""
    return json.loads(await said(run, "calibrate", "--tenant", "acme", "--target", "0.95", "--json", *options))


async def ask(proxy: Proxy, *prompts: str) -> None:
    """Have `auto` answer, one prompt after the other."""
    async with proxy.client() as client:
        for prompt in prompts:
            await client.chat.completions.create(model="auto", messages=[{"role": "user", "content": prompt}])
