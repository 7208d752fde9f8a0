"""Certificates: at most a share of requests is served worse than the default model serves them."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from tests.support.backtests import calibrate, specialists
from tests.support.certificates import Draw
from tests.support.sql_world import START, Taught, World, direction


async def certify(world: World, tenant: int, policy: int, at_most: float | None, **arguments: Any) -> asyncpg.Record:
    """Return the row of router.calibrate for a certificate."""
    return await calibrate(world, tenant, policy, None, at_most=at_most, **arguments)


async def sequence(world: World, *arguments: Any) -> list[tuple[int, int, bool]]:
    """Return the sequence of tests: candidate, worse rows, and whether it is certified."""
    rows = await world.owner.fetch("select * from router_internal._fixed_sequence($1, $2, $3, $4, $5, $6)", *arguments)
    assert [row["place"] for row in rows] == list(range(1, len(rows) + 1))
    return [(row["candidate"], row["worse"], row["certified"]) for row in rows]


async def test_candidates_are_tested_from_safe_to_risky_until_one_fails(world: World) -> None:
    # Of 100 rows at most 1 may be worse for 5% at an error of 0.1: P(Bin(100, 0.05) <= 1) = 0.037, <= 2: 0.118.
    found = await sequence(world, [9, 0, 3, 6], [1.0, 8.0, 4.0, 2.0], [0, 0, 1, 2], 100, 0.05, 0.1)
    assert found == [(2, 0, True), (3, 1, True), (4, 2, False), (1, 0, False)]


async def test_candidates_that_are_riskier_and_no_cheaper_are_not_tested(world: World) -> None:
    found = await sequence(world, [0, 2, 1], [5.0, 5.0, 4.0], [0, 0, 0], 100, 0.05, 0.1)
    assert found == [(1, 0, True), (3, 0, True)]


async def test_of_equally_safe_candidates_the_dearest_is_first(world: World) -> None:
    found = await sequence(world, [0, 0, 0], [1.0, 3.0, 2.0], [9, 0, 0], 100, 0.05, 0.1)
    assert found == [(2, 0, True), (3, 0, True), (1, 9, False)]


async def test_the_order_is_that_of_other_rows_than_the_tested_ones(world: World) -> None:
    # The third would pass, and is cheapest, but the second has failed before it.
    found = await sequence(world, [0, 1, 2], [3.0, 2.0, 1.0], [0, 50, 0], 100, 0.05, 0.1)
    assert found == [(1, 0, True), (2, 50, False), (3, 0, False)]


async def test_a_certificate_is_chosen_written_down_and_undone(world: World) -> None:
    tenant, policy = await specialists(world, 300, alpha=0.0)
    row = await certify(world, tenant, policy, 0.1)
    assert (row["at_most"], row["margin"], row["confidence"], row["target"]) == (0.1, 0, 0.9, None)
    assert row["rows"] == 150, "one half chooses, the other is tested"
    assert row["worse_share"] < 0.1
    assert row["cost_ratio"] < 0.8
    kept = await world.owner.fetchrow("select * from router.calibrations")
    for name in ("at_most", "margin", "worse_share", "target", "confidence", "cost_ratio", "quality_ratio"):
        assert kept[name] == row[name]
    assert (kept["trials"], kept["calibrated_at"]) == (150, START)
    change = await world.owner.fetchrow("select * from router.list_policy_changes($1) limit 1", tenant)
    assert (change["cause"], change["at_most"], change["target"], change["operator_only"]) == (
        "calibrate", 0.1, None, False,
    )  # fmt: skip
    await world.app.fetch("select router.undo_policy_change($1, $2, p_key => 7)", tenant, change["change_id"])
    assert await world.owner.fetchval("select alpha from router.policies where policy_id = $1", policy) == 0


async def test_a_smaller_share_costs_more(world: World) -> None:
    draw = await Draw.of(world, 1, 800)
    rows = [
        await certify(world, draw.tenant, draw.policy, share, tune=False, write=False) for share in (0.04, 0.1, 0.2)
    ]
    costs = [row["cost_ratio"] for row in rows]
    assert costs == sorted(costs, reverse=True)
    assert costs[0] > costs[-1]
    assert all(row["worse_share"] < row["at_most"] for row in rows)


async def test_what_was_measured_is_that_of_the_tested_rows(world: World) -> None:
    # 30 rows choose; the others are worse where small serves them.
    tenant = await world.tenant()
    policy = await world.policy(tenant)
    await world.teach(tenant, *(Taught(f"{i}", {world.small: 1.0, world.large: 1.0}) for i in range(200)))
    row = await certify(world, tenant, policy, 0.05, tune=False)
    assert (row["worse_share"], row["rows"], row["cost_ratio"]) == (0, 100, pytest.approx(0.1))
    assert row["shares"] == [1, 0]


async def test_an_out_of_reach_share_is_refused_with_the_best_that_is_supported(world: World) -> None:
    tenant, policy = await specialists(world, 100)
    with pytest.raises(asyncpg.PostgresError, match=r"the best supported share is 0\.\d+, because \d+ of 50") as caught:
        await certify(world, tenant, policy, 0.001)
    assert (caught.value.sqlstate, caught.value.column_name) == ("RT008", "at_most")
    assert "Teach more examples" in caught.value.hint
    assert await world.owner.fetchval("select count(*) from router.calibrations") == 0
    best = float(str(caught.value).partition("share is ")[2].partition(",")[0])
    assert best >= 1 - 0.1 ** (1 / 50), "no more than 50 rows without a worse one support"
    assert (await certify(world, tenant, policy, best, write=False))["at_most"] == best
    with pytest.raises(asyncpg.PostgresError, match="out of reach"):
        await certify(world, tenant, policy, best - 0.002, write=False)


async def test_answers_that_are_worse_by_no_more_than_the_margin_are_not_worse(world: World) -> None:
    tenant = await world.tenant()
    policy = await world.policy(tenant)
    await world.teach(tenant, *(Taught(f"{i}", {world.small: 0.5, world.large: 0.6}) for i in range(200)))
    strict = await certify(world, tenant, policy, 0.05, tune=False, write=False)
    assert (strict["cost_ratio"], strict["worse_share"]) == (1, 0), "small is worse everywhere, so large serves"
    for margin in (0.1, 0.2):
        row = await certify(world, tenant, policy, 0.05, margin=margin, tune=False, write=False)
        assert (row["cost_ratio"], row["worse_share"], row["margin"]) == (pytest.approx(0.1), 0, margin)
    narrow = await certify(world, tenant, policy, 0.05, margin=0.09, tune=False, write=False)
    assert narrow["cost_ratio"] == 1


async def test_memories_without_all_labels_and_copies_are_no_trials(world: World) -> None:
    tenant = await world.tenant()
    policy = await world.policy(tenant)
    both = {world.small: 1.0, world.large: 1.0}
    await world.teach(
        tenant,
        *(Taught(f"{i}", both, direction(i / 100)) for i in range(100)),
        *(Taught(f"{i}", both, direction(i / 100), source="judge") for i in range(100)),
        *(Taught(f"half {i}", {world.small: 1.0}, direction(i / 100)) for i in range(50)),
    )
    row = await certify(world, tenant, policy, 0.2, tune=False)
    # Of the 200 rows of 100 prompts 100 order the alphas; a prompt is tested if none of its copies did, and once.
    copied = await world.owner.fetchval(
        "select cardinality(router_internal._copied_rows($1, $2, $3, 200, 0))",
        tenant, world.space, [world.small, world.large],
    )  # fmt: skip
    assert copied == 100
    assert 10 < row["rows"] < 40, "a quarter of the prompts have both rows in the half that is tested"
    assert row["memories"] == 250


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"target": None, "at_most": None}, "target"),
        ({"target": 0.9, "at_most": 0.05}, "at_most"),
        ({"target": None, "at_most": 0.0}, "at_most"),
        ({"target": None, "at_most": 1.0}, "at_most"),
        ({"target": None, "at_most": float("nan")}, "at_most"),
        ({"target": None, "at_most": 0.05, "margin": -0.1}, "margin"),
        ({"target": None, "at_most": 0.05, "margin": 1.0}, "margin"),
        ({"target": None, "at_most": 0.05, "margin": None}, "margin"),
        ({"target": None, "at_most": 0.05, "confidence": 1.0}, "confidence"),
    ],
)
async def test_a_wrong_argument_is_named(world: World, arguments: dict[str, Any], field: str) -> None:
    tenant, policy = await specialists(world, 30)
    with pytest.raises(asyncpg.PostgresError) as caught:
        await calibrate(world, tenant, policy, arguments.pop("target"), **arguments)
    assert (caught.value.sqlstate, caught.value.column_name) == ("22023", field)


async def test_settings_are_tuned_on_rows_that_are_not_tested(world: World) -> None:
    # A single neighbour is a poor estimate if every topic has many memories.
    tenant, policy = await specialists(world, 400, k=1, tau=float("inf"), n0=0.0)
    row = await certify(world, tenant, policy, 0.1, write=False)
    assert row["tuned"]
    assert row["k"] > 1
    assert row["rows"] == 200
