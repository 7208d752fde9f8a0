"""The decision: the formula, the ranking and its execution."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pytest
from pgvector import HalfVector

from scripts.support.connection import connect
from tests.support.decisions import order, reason, taught
from tests.support.estimates import Fit, Twin
from tests.support.randomness import seeds
from tests.support.sql_world import Taught, World, direction, vector


async def fitted(
    world: World, tenant: int, policy: int, dice: random.Random, models: list[int], memories: int, settings: Any
) -> Fit | None:
    """Write any fit of a policy, or none."""
    if dice.random() < 0.3:
        return None
    transfer = [[dice.gauss(0, 0.5) for _ in models] for _ in models] if dice.random() < 0.7 else None
    fit = Fit(dice.choice([5.0, 40.0]), dice.random() < 0.5, models, transfer)
    async with world.owner.transaction():
        await world.owner.execute(f"select router_internal._enter({tenant})")
        await world.owner.execute(
            "insert into router.fits (tenant_id, policy_id, space_id, fitted_at, memories, rows, pairs, models, k, tau,"
            " n0, guess, transfer) values ($1, $2, $3, now(), $4, 1, 1, $5, $6, $7, $8, $9, $10)",
            tenant, policy, world.space, dice.choice([memories, 2 * memories]), models, settings["k"], settings["tau"],
            fit.n0, fit.guess, None if transfer is None else [value for row in transfer for value in row],
        )  # fmt: skip
    return fit


@pytest.mark.property
@pytest.mark.parametrize("seed", seeds(12))
async def test_estimates_are_the_formula(world: World, seed: int) -> None:
    dice = random.Random(seed)
    prices = {world.small: (1.0, 1.0, 2.0), world.large: (10.0, 1.0, 20.0)}
    for number in range(3):
        added = await world.model(f"m{number}", number + 0.5, 2.0 * number)
        prices[added] = (number + 0.5, number + 0.5, 2.0 * number)
    names = ["small", "large", "m0", "m1", "m2"]
    tenant = await world.tenant()
    for model in [model for model in prices if dice.random() < 0.3]:
        prices[model] = (dice.random(), dice.random(), dice.random())
        await world.own_prices(tenant, model, *prices[model])
    ledger = {
        model: (dice.choice([None, 40.0, 700.0]), dice.choice([None, 0.8, 1.3]))
        for model in prices
        if dice.random() < 0.6
    }
    for model, (length, ratio) in ledger.items():
        await world.seen(tenant, model, length, ratio)

    def embedding() -> HalfVector:
        return vector([dice.gauss(0, 1) for _ in range(8)])

    lessons = []
    for number in range(dice.choice([1, 5, 60, 160])):
        # An example without any score cannot be taught.
        known = [model for model in prices if dice.random() < 0.7][: dice.choice([2, 5])] or [world.small]
        lessons.append(
            Taught(
                f"prompt {number}",
                {model: float(np.float32(dice.random())) for model in known},
                embedding(),
                {model: float(dice.randint(1, 900)) for model in known if dice.random() < 0.6},
                dice.choice([None, "sums", "jokes"]),
                prompt_tokens=dice.randint(1, 500),
            )
        )
    await world.teach(tenant, *lessons)
    for attempt in range(6):
        settings: dict[str, Any] = {
            "k": dice.choice([1, 5, 20, 100]),
            "tau": dice.choice([0.05, 0.2, 1.0, math.inf]),
            "n0": dice.choice([0.0, 2.0, 30.0]),
            "n0_task": dice.choice([0.0, 10.0]),
            "n1": dice.choice([0.0, 5.0]),
            "n2": dice.choice([0.0, 20.0]),
            "ease": dice.choice([2.0, 0.5, math.inf]),
            "transfer": dice.choice([0.0, 0.5, 1.0]),
            "alpha": dice.choice([0.0, 0.3, 2.0]),
            "switch_penalty": dice.choice([0.0, 0.1]),
        }
        policy = await world.policy(tenant, names, name=f"p{attempt}", **settings)
        fit = await fitted(world, tenant, policy, dice, sorted(prices), len(lessons), settings)
        twin = Twin(lessons, prices, ledger=ledger, fit=fit, **settings)
        for task in (None, "sums", "never seen"):
            asked, tokens = embedding(), dice.randint(1, 3000)
            current, cached = dice.choice([(None, 0), (world.large, 200), (world.small, 9000)])
            rows = await world.owner.fetch(
                "select * from router.estimates($1, $2, $3, $4, $5, $6, $7, p_current => $8, p_cached_tokens => $9)",
                tenant, policy, world.space, asked, task, tokens, world.large, current, cached,
            )  # fmt: skip
            expected = twin.estimates(asked, task, tokens, current, cached)
            assert {row["model_id"] for row in rows} == set(prices)
            for row in rows:
                for column in (
                    "quality",
                    "labels",
                    "confidence",
                    "completion_tokens",
                    "cost_usd",
                    "score",
                    "prior",
                    "mean",
                ):
                    want = expected[row["model_id"]][column]
                    assert row[column] == (want if want is None else pytest.approx(want, rel=1e-5, abs=1e-5)), column
                assert row["cost_usd"] == pytest.approx(expected[row["model_id"]]["cost_usd"], rel=1e-5)


async def test_the_ranking_is_by_score(world: World) -> None:
    dice = random.Random(7)
    tenant = await world.tenant()
    policy = await world.policy(tenant, alpha=0.01, k=5)
    await world.teach(
        tenant,
        *(
            Taught(f"{i}", {world.small: dice.random(), world.large: dice.random()}, direction(i / 10))
            for i in range(30)
        ),
    )
    winners = set()
    for step in range(30):
        rows = await world.decide(tenant, policy, direction(step / 10))
        assert reason(rows) == "learned"
        assert rows[0]["score"] >= rows[1]["score"]
        winners.add(rows[0]["model_id"])
    assert winners == {world.small, world.large}


async def test_the_plain_mean_of_k_stays_reachable(world: World) -> None:
    tenant = await world.tenant()
    policy = await world.policy(tenant, k=4, tau=math.inf, n0=0, n2=0, ease=math.inf)
    scores = [0.1, 0.9, 0.4, 0.2, 1.0, 1.0]
    await world.teach(
        tenant,
        *(Taught(f"{i}", {world.small: s, world.large: 1 - s}, direction(i / 5)) for i, s in enumerate(scores)),
    )
    rows = {row["model_id"]: row for row in await world.decide(tenant, policy, direction(0))}
    assert rows[world.small]["quality"] == pytest.approx(sum(scores[:4]) / 4)
    assert rows[world.large]["quality"] == pytest.approx(1 - sum(scores[:4]) / 4)
    assert rows[world.small]["confidence"] == 1


@pytest.mark.parametrize("n0", [0.0, 2.0])
@pytest.mark.parametrize("tau", [0.0001, 0.001, 0.005])
@pytest.mark.parametrize("near", [0.2, 0.6, 2.0])
async def test_a_tiny_tau_is_no_error(world: World, tau: float, n0: float, near: float) -> None:
    tenant = await world.tenant()
    policy = await world.policy(tenant, tau=tau, n0=n0, alpha=0)
    await world.teach(
        tenant,
        Taught("near", {world.small: 1e-37, world.large: 0.0}, direction(near)),
        Taught("far", {world.small: 0.0, world.large: 1.0}, direction(3.1)),
    )
    rows = await world.decide(tenant, policy, direction(0))
    assert reason(rows) == "learned"
    assert all(-1e-9 <= row["quality"] <= 1 + 1e-9 and 0 <= row["confidence"] <= 1 for row in rows)


async def test_equally_good_models_are_a_win_for_the_cheaper(world: World) -> None:
    tenant = await world.tenant()
    policy = await world.policy(tenant, alpha=0)
    await world.teach(tenant, *(Taught(f"{i}", {world.small: 1, world.large: 1}) for i in range(5)))
    rows = await world.decide(tenant, policy, direction(0))
    assert (order(rows), reason(rows)) == ([world.small, world.large], "learned")
    assert rows[0]["score"] == rows[1]["score"]


async def test_a_longer_prompt_weighs_cost_more(world: World) -> None:
    """The unit of cost is the tenant's average prompt: a request's own dearest candidate would hide its length."""
    tenant = await world.tenant()
    policy = await world.policy(tenant, alpha=0.2)
    await world.teach(
        tenant, *(Taught(f"{i}", {world.small: 0.7, world.large: 1.0}, prompt_tokens=100) for i in range(20))
    )
    assert order(await world.decide(tenant, policy, direction(0), prompt_tokens=100))[0] == world.large
    assert order(await world.decide(tenant, policy, direction(0), prompt_tokens=2000))[0] == world.small


async def test_a_request_may_bring_its_own_alpha(world: World) -> None:
    tenant = await world.tenant()
    policy = await world.policy(tenant, alpha=0)
    await world.teach(tenant, Taught("one", {world.small: 0.5, world.large: 1.0}))
    assert order(await world.decide(tenant, policy, direction(0)))[0] == world.large
    assert order(await world.decide(tenant, policy, direction(0), alpha=1.0))[0] == world.small
    assert order(await world.decide(tenant, policy, direction(0), alpha=0.0))[0] == world.large


# Execution.


async def test_decide_only_reads(world: World) -> None:
    tenant, policy = await taught(world)
    async with world.app.transaction(readonly=True):
        assert reason(await world.decide(tenant, policy, direction(0))) == "learned"


async def test_the_first_and_the_twentieth_execution_answer_alike(world: World) -> None:
    dice = random.Random(11)
    tenants = []
    for number in range(3):
        tenant = await world.tenant(f"t{number}")
        tenants.append((tenant, await world.policy(tenant)))
        await world.teach(
            tenant,
            *(
                Taught(f"{i}", {world.small: dice.random(), world.large: dice.random()}, direction(dice.uniform(0, 3)))
                for i in range(40)
            ),
        )
    generic = await connect(world.dsn)
    custom = await connect(world.dsn, plan_cache_mode="force_custom_plan")
    try:
        for turn in range(20):
            tenant, policy = tenants[turn % 3]
            asked = direction(turn / 7)
            rows = await world.decide(tenant, policy, asked, by=generic)
            again = await world.decide(tenant, policy, asked, by=custom)
            assert order(rows) == order(again)
            # The order of sums of floats is not determined.
            assert [row["score"] for row in rows] == pytest.approx([row["score"] for row in again])
            assert reason(rows) == reason(again) == "learned"
    finally:
        await generic.close()
        await custom.close()
