"""The decision: the formula, the ranking and its execution."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from pgvector import HalfVector

from scripts.support.connection import connect
from tests.support.decisions import order, reason, taught
from tests.support.randomness import seeds
from tests.support.sql_world import Taught, World, direction, vector


@dataclass(frozen=True)
class Twin:
    """Compute the estimates of the documented formula for one prompt; prices by model: input, cached input, output.

    `ledger` has the completion tokens and the token ratio of each model, None: unknown.
    """

    lessons: Sequence[Taught]
    prices: Mapping[int, tuple[float, float, float]]
    k: int
    tau: float
    n0: float
    n0_task: float
    n1: float
    alpha: float
    switch_penalty: float
    ledger: Mapping[int, tuple[float | None, float | None]]

    def estimates(
        self, embedding: HalfVector, task: str | None, prompt_tokens: int, current: int | None, cached: int
    ) -> dict[int, dict[str, float | None]]:
        """Return by model: quality, labels, confidence, completion_tokens, cost_usd, score."""
        near = self._nearest(embedding)
        found = {model: self._model(model, near, task) for model in self.prices}
        lengths = [f["length"] for f in found.values() if f["length"] is not None]
        prompts = [lesson.prompt_tokens for lesson in self.lessons]
        average = sum(prompts) / len(prompts) if prompts else prompt_tokens
        units = []
        for model, f in found.items():
            f["completion_tokens"] = (
                f["length"] if f["length"] is not None else sum(lengths) / len(lengths) if lengths else 256
            )
            price, cached_price, output_price = self.prices[model]
            ratio = self.ledger.get(model, (None, None))[1] or 1.0
            prompt = prompt_tokens * ratio
            read = min(cached, prompt) if model == current else 0
            f["cost_usd"] = (
                (prompt - read) * price + read * cached_price + f["completion_tokens"] * output_price
            ) / 1e6
            mean = f["mean_length"] if f["mean_length"] is not None else f["completion_tokens"]
            units.append((average * ratio * price + mean * output_price) / 1e6)
        for model, f in found.items():
            switch = self.switch_penalty if current is not None and model != current else 0
            f["score"] = (
                None
                if f["quality"] is None
                else f["quality"] - self.alpha * (f["cost_usd"] / max(units) if max(units) else 0) - switch
            )
        return found

    def _nearest(self, embedding: HalfVector) -> list[tuple[float, Taught]]:
        a = np.asarray(embedding.to_numpy(), np.float64)
        pairs = []
        for lesson in self.lessons:
            b = np.asarray(lesson.embedding.to_numpy(), np.float64)
            similarity = float(a @ b / math.sqrt((a @ a) * (b @ b)))
            pairs.append((math.exp((similarity - 1) / self.tau), similarity, lesson))
        pairs.sort(key=lambda pair: -pair[1])
        return [(weight, lesson) for weight, _, lesson in pairs[: self.k]]

    def _model(self, model: int, near: list[tuple[float, Taught]], task: str | None) -> dict[str, Any]:
        labels = [lesson.scores[model] for lesson in self.lessons if model in lesson.scores]
        of_task = [lesson.scores[model] for lesson in self.lessons if model in lesson.scores and lesson.task == task]
        lengths = [lesson.tokens[model] for lesson in self.lessons if model in lesson.tokens]
        of_task_lengths = [
            lesson.tokens[model] for lesson in self.lessons if model in lesson.tokens and lesson.task == task
        ]
        if task is None:
            of_task = of_task_lengths = []
        n0 = self.n0_task if of_task else self.n0
        votes = [(weight, lesson.scores[model]) for weight, lesson in near if model in lesson.scores]
        length_votes = [(weight, lesson.tokens[model]) for weight, lesson in near if model in lesson.tokens]
        support = sum(weight for weight, _ in votes)
        mean = sum(labels) / len(labels) if labels else None
        mean_length = self._mean_length(lengths, self.ledger.get(model, (None, None))[0])
        return {
            "labels": len(votes),
            "quality": _blend(votes, self._prior(mean, of_task), n0),
            "prior": self._prior(mean, of_task),
            "confidence": support / (support + n0) if support + n0 else 0.0,
            "length": _blend(length_votes, self._prior(mean_length, of_task_lengths), n0),
            "mean_length": mean_length,
        }

    def _mean_length(self, lengths: Sequence[float], seen: float | None) -> float | None:
        if seen is None:
            return sum(lengths) / len(lengths) if lengths else None
        weight = len(lengths) + self.n1
        return (sum(lengths) + self.n1 * seen) / weight if weight else seen

    def _prior(self, mean: float | None, of_task: Sequence[float]) -> float | None:
        if mean is None:
            return None
        weight = len(of_task) + self.n1
        return (sum(of_task) + self.n1 * mean) / weight if weight else mean


def _blend(votes: Sequence[tuple[float, float]], prior: float | None, n0: float) -> float | None:
    support, total = sum(weight for weight, _ in votes), sum(weight * value for weight, value in votes)
    if prior is None:
        return total / support if support else None
    return (total + n0 * prior) / (support + n0) if support + n0 else None


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
            "alpha": dice.choice([0.0, 0.3, 2.0]),
            "switch_penalty": dice.choice([0.0, 0.1]),
        }
        policy = await world.policy(tenant, names, name=f"p{attempt}", **settings)
        twin = Twin(lessons, prices, ledger=ledger, **settings)
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
                for column in ("quality", "labels", "confidence", "completion_tokens", "cost_usd", "score", "prior"):
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
    policy = await world.policy(tenant, k=4, tau=math.inf, n0=0)
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
async def test_a_tiny_tau_is_no_error(world: World, tau: float, n0: float) -> None:
    tenant = await world.tenant()
    policy = await world.policy(tenant, tau=tau, n0=n0, alpha=0)
    await world.teach(
        tenant,
        Taught("near", {world.small: 1e-37, world.large: 0.0}, direction(0.2)),
        Taught("far", {world.small: 0.0, world.large: 1.0}, direction(3.1)),
    )
    rows = await world.decide(tenant, policy, direction(0))
    assert reason(rows) == "learned"
    assert all(0 <= row["quality"] <= 1 and 0 <= row["confidence"] <= 1 for row in rows)


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
