"""Savings: the ledger compared with the calibration's expectation, and a verdict that explains the difference."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from scripts.support.connection import connect
from tests.support.backtests import calibrate, specialists
from tests.support.sql_world import START, World, uuid7

LATER = START + timedelta(days=7)


async def savings(world: World, tenant: int, policy: int | None = None, **arguments: Any) -> list[asyncpg.Record]:
    """Return the rows of router.savings a week after START, called with the proxy's role."""
    given = {"until": LATER, **arguments}
    names = "".join(f", p_{name} => ${number}" for number, name in enumerate(given, 3))
    rows: list[asyncpg.Record] = await world.app.fetch(
        f"select * from router.savings($1, $2{names})", tenant, policy, *given.values()
    )
    return rows


async def serve(world: World, tenant: int, policy: int, model: int, many: int, **entry: Any) -> None:
    """Log requests of 1,000 and 100 tokens: 0.0012 USD by small, 0.012 by large."""
    first = entry.pop("first", 0)
    at = entry.pop("at", START + timedelta(hours=1))
    await world.log(
        *(
            {
                "tenant_id": tenant, "policy_id": policy, "decision_id": uuid7(at + timedelta(seconds=i), first + i),
                "model_id": model, **entry,
            }
            for i in range(many)
        )
    )  # fmt: skip


async def calibrated(world: World) -> tuple[int, int, float]:
    """Make a tenant whose policy is expected to cost this share of large, which serves about half."""
    tenant, policy = await specialists(world, 200)
    row = await calibrate(world, tenant, policy, 1.0, tune=False)
    assert 0.4 < row["cost_ratio"] < 0.65
    return tenant, policy, row["cost_ratio"]


async def test_the_verdict_as_expected_has_both_numbers(world: World) -> None:
    tenant, policy, expected = await calibrated(world)
    large = round(1000 * (expected - 0.1) / 0.9)
    await serve(world, tenant, policy, world.large, large)
    await serve(world, tenant, policy, world.small, 1000 - large, at=START + timedelta(days=1))
    (row,) = await savings(world, tenant, policy)
    assert row["cost_ratio"] == pytest.approx(expected, abs=0.01)
    assert row["verdict"] == (
        f"as expected: {round(100 * row['cost_ratio'])}% of large's cost, {round(100 * expected)}% expected"
    )
    assert (row["policy"], row["requests"], row["learned"], row["since"]) == ("auto", 1000, 1, START)
    assert row["default_usd"] == pytest.approx(12)
    assert row["spent_usd"] == pytest.approx(large * 0.012 + (1000 - large) * 0.0012)
    assert row["saved_usd"] == pytest.approx(row["default_usd"] - row["spent_usd"])
    assert row["models"] == ["large", "small"]
    assert row["shares"] == pytest.approx([large / 1000, 1 - large / 1000])
    assert sum(row["expected_shares"]) == pytest.approx(1)
    assert (row["target"], row["calibrated_at"], row["expected_cost_ratio"]) == (1.0, START, expected)
    assert row["expected_quality_ratio"] >= row["expected_quality_ratio_low"] >= 1
    assert (row["memories_then"], row["memories_now"]) == (200, 200)


async def test_the_verdict_dearer_has_the_declines(world: World) -> None:
    tenant, policy, _ = await calibrated(world)
    await serve(world, tenant, policy, world.large, 60, reason="cold")
    await serve(world, tenant, policy, world.large, 140, at=START + timedelta(days=1))
    (row,) = await savings(world, tenant, policy)
    assert row["verdict"].startswith("dearer than expected: 100% of large's cost, ")
    assert row["verdict"].endswith("; 30% of requests were cold")
    assert row["learned"] == pytest.approx(0.7)


async def test_the_verdict_may_be_cheaper(world: World) -> None:
    tenant, policy, _ = await calibrated(world)
    await serve(world, tenant, policy, world.small, 100)
    assert (await savings(world, tenant))[0]["verdict"].startswith("cheaper than expected: 10% of large's cost")


async def test_a_few_requests_are_too_early(world: World) -> None:
    tenant, policy, expected = await calibrated(world)
    assert (await savings(world, tenant))[0]["verdict"] == "nothing served yet"
    await serve(world, tenant, policy, world.small, 99)
    (row,) = await savings(world, tenant)
    assert row["verdict"] == (
        f"too early to say: 99 of 100 requests, at 10% of large's cost, {round(100 * expected)}% expected"
    )


async def test_without_a_calibration_there_is_nothing_to_compare_with(world: World) -> None:
    tenant, policy = await specialists(world, 30)
    await serve(world, tenant, policy, world.large, 100)
    await serve(world, tenant, policy, world.large, 100, at=LATER - timedelta(days=31))
    (row,) = await savings(world, tenant)
    assert row["verdict"] == "not calibrated: 100% of large's cost"
    assert (row["requests"], row["since"]) == (100, LATER - timedelta(days=30))
    assert (row["target"], row["expected_shares"], row["memories_then"]) == (None, None, None)


async def test_only_answers_of_the_policy_since_then_count(world: World) -> None:
    tenant, policy, _ = await calibrated(world)
    other = await world.policy(tenant, name="other")
    await serve(world, tenant, policy, world.small, 100)
    await serve(world, tenant, policy, world.large, 50, at=START - timedelta(hours=1))
    await serve(world, tenant, policy, world.large, 50, at=LATER)
    await serve(world, tenant, other, world.large, 50, at=START + timedelta(hours=2))
    await serve(world, tenant, policy, world.large, 20, at=START + timedelta(hours=3), status=502)
    rows = {row["policy"]: row for row in await savings(world, tenant)}
    assert set(rows) == {"auto", "other"}
    assert (rows["auto"]["requests"], rows["auto"]["cost_ratio"]) == (100, pytest.approx(0.1))
    assert "20 more failed" in rows["auto"]["verdict"]
    assert rows["other"]["verdict"] == "not calibrated: 100% of large's cost"
    (since,) = await savings(world, tenant, policy, since=START - timedelta(days=1))
    assert (since["requests"], since["calibrated_at"]) == (150, START)


async def test_what_has_no_cost_is_not_called_free(world: World) -> None:
    tenant, policy, _ = await calibrated(world)
    await serve(world, tenant, policy, world.small, 100, prompt_tokens=None)
    (row,) = await savings(world, tenant)
    assert (row["requests"], row["cost_ratio"]) == (100, None)
    assert row["verdict"] == "cost unknown: no tokens or prices in the ledger, or large costs nothing"


async def test_changes_since_the_calibration_are_reported(world: World) -> None:
    tenant, policy, _ = await calibrated(world)
    await serve(world, tenant, policy, world.small, 100)
    await world.policy(tenant, alpha=0.123)
    (row,) = await savings(world, tenant)
    assert row["verdict"].endswith("; the policy has been changed since it was calibrated")
    await world.app.fetch("select router.forget($1, null, true)", tenant)
    (row,) = await savings(world, tenant)
    assert row["verdict"].endswith("; 200 memories then, 0 now: calibrate again")


@pytest.mark.parametrize("change", ["models", "disabled", "backend"])
async def test_other_candidates_than_it_was_calibrated_with_are_a_change(world: World, change: str) -> None:
    tenant, policy, _ = await calibrated(world)
    await serve(world, tenant, policy, world.small, 100)
    await world.model("middle", 2.0, 4.0)
    assert "changed" not in (await savings(world, tenant))[0]["verdict"]
    if change == "models":
        await world.policy(tenant, ["small", "middle", "large"])
    elif change == "backend":
        await world.policy(tenant, backend="cheapest")
    else:
        await world.model("small", None, None, enabled=False)
    assert "the policy has been changed since it was calibrated" in (await savings(world, tenant))[0]["verdict"]


async def test_the_verdict_has_the_certificate_as_long_as_it_holds(world: World) -> None:
    tenant, policy = await specialists(world, 200)
    row = await calibrate(world, tenant, policy, None, at_most=0.125, margin=0.05, confidence=0.95, tune=False)
    await serve(world, tenant, policy, world.small, 100)
    (found,) = await savings(world, tenant)
    assert (found["at_most"], found["confidence"], found["target"]) == (0.125, 0.95, None)
    assert found["expected_worse_share"] == row["worse_share"]
    assert found["verdict"].endswith(
        f"expected; certified: at most 12.5% worse than large by more than 0.05 with 95% confidence, "
        f"measured {100 * row['worse_share']:g}% on 100 rows, at {round(100 * row['cost_ratio'])}% of its cost"
    )
    await world.policy(tenant, alpha=0.123)
    (found,) = await savings(world, tenant)
    assert found["verdict"].endswith("; the policy has been changed since it was calibrated and is no longer certified")


async def test_what_was_free_when_it_was_calibrated_has_no_expectation(world: World) -> None:
    tenant, policy = await specialists(world, 40)
    for model in ("small", "large"):
        await world.model(model, 0.0, 0.0)
    await calibrate(world, tenant, policy, 0.5, tune=False)
    await world.model("small", 1.0, 2.0)
    await world.model("large", 10.0, 20.0)
    await serve(world, tenant, policy, world.small, 100)
    (row,) = await savings(world, tenant)
    assert row["verdict"] == "calibrated when the default model cost nothing: 10% of large's cost now"


async def test_the_last_calibration_is_the_one_to_keep(world: World) -> None:
    tenant, policy, _ = await calibrated(world)
    again = START + timedelta(days=2)
    row = await calibrate(world, tenant, policy, 0.5, tune=False, now=again)
    (found,) = await savings(world, tenant)
    assert (found["calibrated_at"], found["since"], found["expected_cost_ratio"]) == (again, again, row["cost_ratio"])
    (found,) = await savings(world, tenant, until=again)
    assert found["calibrated_at"] == again
    (found,) = await savings(world, tenant, until=again - timedelta(seconds=1))
    assert found["calibrated_at"] == START


async def test_an_unknown_policy_is_an_error_and_another_tenants_is_unknown(world: World) -> None:
    tenant, policy = await specialists(world, 30)
    other = await world.tenant("other")
    for asked, number in ((tenant, policy + 100), (other, policy)):
        with pytest.raises(asyncpg.PostgresError) as caught:
            await savings(world, asked, number)
        assert caught.value.sqlstate == "RT002"
    assert await savings(world, other) == []


async def test_a_reader_may_ask(world: World) -> None:
    tenant, policy, _ = await calibrated(world)
    await serve(world, tenant, policy, world.small, 120)
    await world.owner.execute("select router.grant_tenant('router_reader', null)")
    reader = await connect(world.dsn, "router_reader")
    try:
        rows = await reader.fetch("select * from router.savings($1, p_until => $2)", tenant, LATER)
        assert rows == await savings(world, tenant)
    finally:
        await reader.close()
        await world.owner.execute("select router.revoke_tenant('router_reader', null)")
