"""Calibration and savings, over HTTP and on the command line."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest

from app.store import policies as policies_store
from tests.support.backtest_commands import SAVINGS, Command, complaint, get, said
from tests.support.proxy import CHEAP, STRONG, Proxy
from tests.support.separable_prompts import easy, hard, lessons


async def test_calibrating_prints_the_expectation_and_sets_the_policy(proxy: Proxy, run: Command) -> None:
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
    policies = await policies_store.list_policies(proxy.admin, proxy.tenant_id)
    assert policies[0]["alpha"] == alpha


async def test_a_dry_run_changes_nothing(proxy: Proxy, run: Command) -> None:
    await proxy.rank(lessons(200))
    before = [dict(row) for row in await policies_store.list_policies(proxy.admin, proxy.tenant_id)]
    text = await said(run, "calibrate", "--tenant", "acme", "--target", "0.9", "--dry-run")
    assert "Would set policy auto" in text
    assert [dict(row) for row in await policies_store.list_policies(proxy.admin, proxy.tenant_id)] == before


async def test_no_tune_leaves_all_but_alpha(proxy: Proxy, run: Command) -> None:
    await proxy.rank(lessons(200))
    before = (await policies_store.list_policies(proxy.admin, proxy.tenant_id))[0]
    row = await calibrated(proxy, run, "--no-tune")
    assert row["tuned"] is False
    after = (await policies_store.list_policies(proxy.admin, proxy.tenant_id))[0]
    assert [before[name] for name in ("k", "tau", "n0", "n0_task")] == [
        after[name] for name in ("k", "tau", "n0", "n0_task")
    ]
    assert row["before"]["alpha"] == before["alpha"]


async def test_a_target_out_of_reach_is_refused_with_the_best_there_is(proxy: Proxy, run: Command) -> None:
    # Neither model is ever better than the other, so no mixture beats the default.
    await proxy.rank([{"prompt": easy(seed), "scores": {CHEAP: 0.5, STRONG: 0.5}} for seed in range(200)])
    before = [dict(row) for row in await policies_store.list_policies(proxy.admin, proxy.tenant_id)]
    message = await complaint(run, "calibrate", "--tenant", "acme", "--target", "1.2")
    assert "1.2" in message
    assert "the best supported target is" in message
    assert [dict(row) for row in await policies_store.list_policies(proxy.admin, proxy.tenant_id)] == before


async def test_a_certificate_is_printed_with_what_was_measured(proxy: Proxy, run: Command) -> None:
    await proxy.rank(lessons(400))
    text = await said(run, "calibrate", "--tenant", "acme", "--at-most", "5%", "--delta", "0.2", "--by", "0.05")
    assert re.match(
        r"At most 5% of requests worse than strong by more than 0\.05 with 80% confidence: measured \d\.\d% on \d+ "
        r"memories that chose no setting, at \d+% of its cost\.\nSet policy auto: alpha 0\.3 -> ",
        text,
    )
    row = json.loads(await said(run, "calibrate", "--tenant", "acme", "--at-most", "0.05", "--dry-run", "--json"))
    assert (row["at_most"], row["by"], row["confidence"], row["target"]) == (0.05, 0, 0.9, None)
    assert row["worse_share"] < 0.05
    text = " ".join((await said(run, "savings", "--tenant", "acme")).split())
    assert "certified: at most 5% worse than strong by more than 0.05 with 80% confidence, measured " in text


async def test_a_share_out_of_reach_is_refused_with_the_best_there_is(proxy: Proxy, run: Command) -> None:
    await proxy.rank(lessons(200))
    message = await complaint(run, "calibrate", "--tenant", "acme", "--at-most", "0.1%")
    assert "at_most 0.001 is out of reach at confidence 0.9: the best supported share is 0.0" in message
    assert "Teach more examples" in message


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ((), "--target"),
        (("--target", "98%", "--at-most", "5%"), "--at-most"),
        (("--target", "98%", "--delta", "0.1"), "--delta"),
        (("--target", "98%", "--by", "0.1"), "--by"),
        (("--at-most", "5%", "--delta", "0.1", "--confidence", "0.9"), "--delta"),
        (("--at-most", "some"), "'some' is not a share such as 0.05 or 5%"),
        (("--at-most", "5"), "not in the range from 0.0001 to 0.99"),
    ],
)
async def test_a_wrong_goal_is_named(proxy: Proxy, run: Command, options: tuple[str, ...], named: str) -> None:
    result = await asyncio.to_thread(run, "calibrate", "--tenant", "acme", *options, code=2)
    assert named in " ".join(result.stderr.replace("│", " ").split())


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
    """Return the JSON of `pgrouter calibrate` for 95% of the default's quality."""
    return json.loads(await said(run, "calibrate", "--tenant", "acme", "--target", "0.95", "--json", *options))


async def ask(proxy: Proxy, *prompts: str) -> None:
    """Let `auto` answer prompts one after the other."""
    async with proxy.client() as client:
        for prompt in prompts:
            await client.chat.completions.create(model="auto", messages=[{"role": "user", "content": prompt}])
