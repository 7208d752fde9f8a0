"""The curve of a backtest, its sample, and its errors."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from app.policy_settings import POLICY_SETTINGS
from scripts.support.connection import connect
from tests.support.backtests import backtest, ruled, specialists
from tests.support.sql_world import Taught, World


def settings(**chosen: Any) -> tuple[Any, ...]:
    """Return a `policy_settings` with these values."""
    return tuple(chosen.get(setting) for setting in POLICY_SETTINGS)


async def test_the_curve_goes_from_the_best_to_the_cheapest(world: World) -> None:
    tenant, policy = await specialists(world)
    rows = await backtest(world, tenant, policy)
    policies = ruled(rows, "policy")
    alphas = [row["alpha"] for row in policies]
    assert alphas == sorted(set(alphas))
    assert alphas[0] == 0
    assert [row["alpha"] for row in policies if row["in_use"]] == [0.1]
    (cheapest,) = ruled(rows, "cheapest")
    assert (cheapest["model"], cheapest["alpha"]) == ("small", None)
    assert policies[-1]["cost_usd"] == pytest.approx(cheapest["cost_usd"])
    assert policies[-1]["shares"] == [1.0, 0.0]
    # Choosing by topic is worth more than any mixture.
    assert policies[0]["gain_low"] > 0.05
    assert policies[0]["quality_ratio"] > 1
    assert policies[0]["cost_ratio"] < 0.7


async def test_every_rule_is_there_and_adds_up(world: World) -> None:
    tenant, policy = await specialists(world)
    rows = await backtest(world, tenant, policy)
    assert {row["model"] for row in ruled(rows, "always")} == {"small", "large"}
    singles = {row["model"]: row for row in ruled(rows, "always")}
    (default,), (best,), (oracle,) = (ruled(rows, rule) for rule in ("default", "best_single", "oracle"))
    assert (default["model"], default["quality_ratio"], default["cost_ratio"]) == ("large", 1, 1)
    assert best["quality"] == max(row["quality"] for row in singles.values())
    assert oracle["quality"] >= max(row["quality"] for row in rows)
    for row in rows:
        assert row["models"] == ["small", "large"]
        assert sum(row["shares"]) == pytest.approx(1)
        assert row["quality_low"] <= row["quality"] <= row["quality_high"]
        assert row["gain"] == pytest.approx(row["quality"] - row["blend_quality"])
        assert row["quality_ratio_low"] <= row["quality_ratio"] + 1e-6
        assert row["cost_ratio"] == pytest.approx(row["cost_usd"] / singles["large"]["cost_usd"])
        assert (row["rows"], row["skipped"], row["sampled"]) == (120, 0, False)


async def test_a_mixture_of_single_models_gains_nothing(world: World) -> None:
    found = await world.owner.fetch(
        "select c, router_internal._static_blend(array[1, 3, 2, 5], array[0.5, 0.9, 0.55, 0.7], c)"
        " from unnest(array[0.5, 1, 2, 3, 4, 9]::float8[]) as c"
    )
    assert [row[1] for row in found] == pytest.approx([0.5, 0.5, 0.7, 0.9, 0.9, 0.9])


async def test_settings_given_replace_the_policys(world: World) -> None:
    tenant, policy = await specialists(world)
    plain: dict[str, Any] = {"k": 3, "tau": float("inf"), "n0": 0, "n0_task": 0, "alpha": 0.05}
    given = await backtest(world, tenant, policy, settings=settings(**plain))
    await world.policy(tenant, **plain)
    assert given == await backtest(world, tenant, policy)
    assert [row["alpha"] for row in given if row["in_use"]] == [0.05]


async def test_alphas_given_are_the_curve_with_the_policys_own(world: World) -> None:
    tenant, policy = await specialists(world)
    rows = await backtest(world, tenant, policy, alphas=[1.0, 0.05])
    found = [(row["alpha"], row["in_use"]) for row in ruled(rows, "policy")]
    assert found == [(0.05, False), (0.1, True), (1.0, False)]


async def test_a_choice_without_support_is_the_default(world: World) -> None:
    tenant, policy = await specialists(world, confidence_floor=1)
    for row in ruled(await backtest(world, tenant, policy), "policy"):
        assert row["shares"] == [0.0, 1.0]


# The sample.


async def test_a_seed_chooses_the_rows(world: World) -> None:
    tenant, policy = await specialists(world)
    once = await backtest(world, tenant, policy, sample=40, seed=3)
    assert once == await backtest(world, tenant, policy, sample=40, seed=3)
    assert once != await backtest(world, tenant, policy, sample=40, seed=4)
    assert {(row["rows"], row["sampled"]) for row in once} == {(40, True)}


async def test_a_backtest_that_runs_out_of_time_has_the_number_of_rows(world: World) -> None:
    tenant, policy = await specialists(world)
    rows = await backtest(world, tenant, policy, seconds=0.0)
    assert {(row["rows"], row["sampled"]) for row in rows} == {(30, True)}


async def test_memories_that_do_not_label_every_candidate_are_skipped(world: World) -> None:
    tenant, policy = await specialists(world)
    await world.teach(tenant, *(Taught(f"half {i}", {world.small: 1.0}) for i in range(7)))
    rows = await backtest(world, tenant, policy)
    assert {(row["rows"], row["skipped"], row["sampled"]) for row in rows} == {(120, 7, False)}


async def test_too_few_labels_are_an_error_that_counts_them(world: World) -> None:
    tenant, policy = await specialists(world, 29)
    await world.teach(tenant, Taught("half", {world.small: 1.0}))
    with pytest.raises(asyncpg.PostgresError, match="29 of 30 memories label every candidate, 30 are needed") as caught:
        await backtest(world, tenant, policy)
    assert caught.value.sqlstate == "RT010"


async def test_bad_questions_name_what_is_wrong(world: World) -> None:
    tenant, policy = await specialists(world)
    await world.model("free", None, None)
    unpriced = await world.policy(tenant, ["free"], default="small", name="unpriced", backend="none")
    for code, number, arguments in (
        ("RT002", policy + 100, {}),
        ("RT004", unpriced, {}),
        ("22023", policy, {"sample": 29}),
        ("22023", policy, {"sample": 16001}),
        ("22023", policy, {"confidence": 1.0}),
        ("22023", policy, {"alphas": [-1.0]}),
        ("22023", policy, {"resamples": 1}),
    ):
        with pytest.raises(asyncpg.PostgresError) as caught:
            await backtest(world, tenant, number, **arguments)
        assert caught.value.sqlstate == code


async def test_it_only_reads(world: World) -> None:
    tenant, policy = await specialists(world)
    async with world.app.transaction(readonly=True):
        assert await backtest(world, tenant, policy)


async def test_a_reader_sees_what_the_proxy_sees(world: World) -> None:
    tenant, policy = await specialists(world)
    await world.owner.execute("select router.grant_tenant('router_reader', null)")
    reader = await connect(world.dsn, "router_reader")
    try:
        assert await backtest(world, tenant, policy, by=reader) == await backtest(world, tenant, policy)
    finally:
        await reader.close()
        await world.owner.execute("select router.revoke_tenant('router_reader', null)")


@pytest.mark.parametrize("wrong", [
    {"sample": None}, {"confidence": None}, {"resamples": None}, {"seconds": None}, {"seconds": float("nan")},
    {"seconds": -1.0}, {"alphas": [0.1, None]}, {"settings": settings(k=0)}, {"settings": settings(tau=0.0)},
    {"settings": settings(tau=float("nan"))}, {"settings": settings(n0=-1.0)}, {"settings": settings(n1=float("nan"))},
    {"settings": settings(alpha=101.0)}, {"settings": settings(confidence_floor=2.0)},
])  # fmt: skip
async def test_what_is_null_or_out_of_range_is_named(world: World, wrong: dict[str, Any]) -> None:
    tenant, policy = await specialists(world, 30)
    with pytest.raises(asyncpg.InvalidParameterValueError) as caught:
        await backtest(world, tenant, policy, **wrong)
    assert caught.value.column_name == next(iter(wrong))
