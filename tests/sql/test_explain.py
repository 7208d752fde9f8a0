"""Explanations: every number of a decision, before and after it is made, and the reason in a sentence."""

from __future__ import annotations

import logging
import random
from typing import Any

import asyncpg
import pytest

from tests.support.decisions import CONVERSATION, converse, fitted
from tests.support.proxy import CHEAP, STRONG, Proxy
from tests.support.rest import get, post
from tests.support.separable_prompts import easy, hard, lessons
from tests.support.sql_world import START, Taught, World, direction, uuid7


async def explained(
    world: World, tenant: int, policy: int, angle: float = 0.0, **question: Any
) -> list[asyncpg.Record]:
    return await world.decide(tenant, policy, direction(angle), function="explain", **{"random": 1.0, **question})


async def why(world: World, tenant: int, policy: int, angle: float = 0.0, **question: Any) -> str:
    """Return the sentence, which is the same for every candidate."""
    (found,) = {row["why"] for row in await explained(world, tenant, policy, angle, **question)}
    return str(found)


async def some(world: World, count: int = 40, **settings: Any) -> tuple[int, int]:
    """A tenant with labels of every value, in two tasks."""
    dice = random.Random(count)
    tenant = await world.tenant()
    policy = await world.policy(tenant, **settings)
    await world.teach(
        tenant,
        *(
            Taught(
                f"{i}",
                {world.small: dice.random(), world.large: dice.random()} if i % 5 else {world.large: dice.random()},
                direction(dice.uniform(0, 2)),
                {world.small: dice.randint(1, 300), world.large: dice.randint(1, 300)} if i % 3 else {},
                task=dice.choice(["sums", "jokes", None]),
                prompt_tokens=dice.randint(5, 300),
            )
            for i in range(count)
        ),
    )
    return tenant, policy


async def test_an_explanation_is_the_decision(world: World) -> None:
    tenant, policy = await some(world)
    await converse(world, tenant, policy, world.small)
    for number in range(20):
        question: dict[str, Any] = {
            "task": ("sums", None)[number % 2], "prompt_tokens": 10 + 50 * number, "conversation": CONVERSATION,
            "continues": number % 4 == 3, "random": 1.0,
        }  # fmt: skip
        decided = await world.decide(tenant, policy, direction(number / 9), **question)
        rows = await explained(world, tenant, policy, number / 9, **question)
        assert [{column: row[column] for column in dict(decided[0])} for row in rows] == [dict(r) for r in decided]


@pytest.mark.parametrize("task", [None, "sums"])
@pytest.mark.parametrize("tau", [0.05, 0.2, float("inf")])
async def test_quality_is_the_prior_and_the_effects_of_the_neighbours(
    world: World, tau: float, task: str | None
) -> None:
    tenant, policy = await some(world, k=25, tau=tau, n1=5)
    for fit in (None, {"n0": 7.0, "guess": False}, {"n0": 7.0, "guess": True, "transfer": [0.4, -0.1, 0.3, 0.2]}):
        if fit is not None:
            await fitted(world, tenant, policy, 25, tau, **fit)
        evidence = await world.app.fetch(
            "select * from router.evidence($1, $2, $3, $4, 25, p_task => $5)",
            tenant, policy, world.space, direction(0.7), task,
        )  # fmt: skip
        for row in await explained(world, tenant, policy, 0.7, task=task):
            votes = [
                (near["weight"], dict(zip(near["models"], near["scores"], strict=True))[row["model"]])
                for near in evidence
                if row["model"] in near["models"]
            ]
            support = sum(weight for weight, _ in votes)
            excess = sum(weight * (score - row["prior"] - row["ease"]) for weight, score in votes)
            assert row["guessed"] == (task is None and bool(fit and fit["guess"]))
            assert row["n0"] == (20 if row["guessed"] or task else 7 if fit else 2)
            if task is not None:
                prior = (row["task_labels"] * row["task_mean"] + 5 * row["mean"]) / (row["task_labels"] + 5)
                assert row["prior"] == pytest.approx(prior, rel=1e-6)
            assert (row["support"], row["labels"]) == (pytest.approx(support, rel=1e-5), len(votes))
            direct = row["prior"] + row["ease"] + excess / (support + row["n0"])
            borrowed = row["prior"] + (row["borrowed"] or 0)
            assert (row["share"] > 0) == (fit is not None and "transfer" in fit)
            assert row["quality"] == pytest.approx((1 - row["share"]) * direct + row["share"] * borrowed, rel=1e-5)
            effects = sum(near["effects"][near["candidates"].index(row["model"])] for near in evidence)
            assert row["quality"] == pytest.approx(row["prior"] + effects, abs=1e-5)
            assert row["confidence"] == pytest.approx(support / (support + row["n0"]), rel=1e-5)


async def test_cost_and_score_can_be_recomputed_from_an_explanation(world: World) -> None:
    tenant, policy = await some(world, granularity="step", switch_penalty=0.05)
    await world.own_prices(tenant, world.small, 0.5, 0.25, 3.0)
    await converse(world, tenant, policy, world.large, prompt_tokens=77)
    rows = await explained(
        world, tenant, policy, 0.7, prompt_tokens=300, alpha=0.7, conversation=CONVERSATION, continues=True
    )
    assert {row["cached_tokens"] for row in rows} == {0, 77}
    for row in rows:
        cost = (
            (row["prompt_tokens"] - row["cached_tokens"]) * row["input_price"]
            + row["cached_tokens"] * row["cached_input_price"]
            + row["completion_tokens"] * row["output_price"]
        ) / 1e6
        assert row["cost_usd"] == pytest.approx(cost, rel=1e-12)
        score = row["quality"] - row["alpha"] * cost / row["unit_usd"] - row["penalty"]
        assert row["score"] == pytest.approx(score, abs=1e-12)
    assert {row["model"]: str(row["priced_on"]) for row in rows} == {"small": "2026-02-01", "large": "None"}


# Explanation of a decision in the ledger.


async def test_every_score_of_a_served_decision_can_be_recomputed(proxy: Proxy) -> None:
    await proxy.rank(lessons(120))
    async with proxy.client() as client:
        for prompt, headers in ((easy(2000), {}), (hard(2000), {"X-Router-Alpha": "0.05", "X-Router-Task": "sums"})):
            raw = await client.chat.completions.with_raw_response.create(
                model="auto", messages=[{"role": "user", "content": prompt}], extra_headers=headers
            )
            await proxy.ledger()
            status, decision = await get(proxy, f"/v1/router/decisions/{raw.headers['x-router-decision']}")
            assert (status, decision["reason"]) == (200, "learned")
            # As at the decision: later teaching, prices and settings do not change it.
            assert decision["alpha"] == pytest.approx(float(headers.get("X-Router-Alpha", 0.3)))
            for candidate in decision["candidates"]:
                cost = (
                    candidate["prompt_tokens"] * candidate["input_price"]
                    + candidate["completion_tokens"] * candidate["output_price"]
                ) / 1e6
                assert candidate["cost_usd"] == pytest.approx(cost, rel=1e-6)
                score = candidate["quality"] - decision["alpha"] * candidate["cost_usd"] / decision["unit_usd"]
                assert candidate["score"] == pytest.approx(score - candidate["penalty"], rel=1e-6, abs=1e-6)


async def test_a_served_decision_is_what_was_explained_before(proxy: Proxy) -> None:
    await proxy.rank(lessons(120))
    _, before = await post(proxy, "/v1/router/explain", {"prompt": easy(2000)})
    async with proxy.client() as client:
        raw = await client.chat.completions.with_raw_response.create(
            model="auto", messages=[{"role": "user", "content": easy(2000)}]
        )
    await proxy.ledger()
    await proxy.admin.fetch("update router.models set input_price = 99")
    _, after = await get(proxy, f"/v1/router/decisions/{raw.headers['x-router-decision']}")
    for name in ("model", "reason", "why", "confidence", "alpha", "unit_usd"):
        expected = before[name]
        assert after[name] == (pytest.approx(expected, rel=1e-6) if isinstance(expected, float) else expected), name
    assert len(after["candidates"]) == len(before["candidates"]) == 2
    for then, now in zip(after["candidates"], before["candidates"], strict=True):
        assert set(then) <= set(now)
        for name, value in then.items():
            if name == "cached_input_price":
                continue  # kept where something was cached
            assert value == (pytest.approx(now[name], rel=1e-6) if isinstance(value, float) else now[name]), name


async def test_numbers_of_single_precision_have_the_digits_they_were_given(proxy: Proxy) -> None:
    await proxy.admin.fetch("update router.models set input_price = 0.15")
    await proxy.rank([*lessons(120), {"prompt": "odd", "scores": {CHEAP: 0.7, STRONG: 0.15}}])
    async with proxy.client() as client:
        raw = await client.chat.completions.with_raw_response.create(
            model="auto", messages=[{"role": "user", "content": easy(2000)}]
        )
    await proxy.ledger()
    _, decision = await get(proxy, f"/v1/router/decisions/{raw.headers['x-router-decision']}")
    assert [candidate["input_price"] for candidate in decision["candidates"]] == [0.15, 0.15]
    _, explained = await post(proxy, "/v1/router/explain", {"prompt": "odd", "neighbours": 1})
    _, listed = await get(proxy, "/v1/router/memories?search=odd")
    assert explained["neighbours"][0]["scores"] == listed["data"][0]["scores"] == {CHEAP: 0.7, STRONG: 0.15}


async def test_a_decision_that_ranked_nothing_can_be_read(proxy: Proxy) -> None:
    async with proxy.client() as client:
        raw = await client.chat.completions.with_raw_response.create(
            model=CHEAP, messages=[{"role": "user", "content": "hello"}]
        )
    (row,) = await proxy.ledger()
    status, decision = await get(proxy, f"/v1/router/decisions/{row['decision_id']}")
    assert (status, decision["candidates"], decision["why"]) == (200, [], "routing was not asked for")
    assert "x-router-decision" not in raw.headers


# Sentences.


async def pair(world: World, small: float, large: float, **settings: Any) -> tuple[int, int]:
    tenant = await world.tenant()
    policy = await world.policy(tenant, **{"alpha": 0.3, **settings})
    tokens = {world.small: 100, world.large: 100}
    await world.teach(
        tenant, *(Taught(f"{i}", {world.small: small, world.large: large}, tokens=tokens) for i in range(9))
    )
    return tenant, policy


async def test_why_a_cheaper_model_is_good_enough(world: World) -> None:
    assert await why(world, *await pair(world, 0.9, 1.0), prompt_tokens=100) == (
        "small: 0.91 expected at $0.00030, large: 0.99 expected at $0.0030; "
        "at alpha 0.3 the difference is not worth its cost"
    )


async def test_why_a_dearer_model_is_worth_it(world: World) -> None:
    assert await why(world, *await pair(world, 0.2, 1.0), prompt_tokens=100) == (
        "large: 0.95 expected at $0.0030, small: 0.25 expected at $0.00030; "
        "at alpha 0.3 the difference is worth its cost"
    )


async def test_why_a_better_and_cheaper_model_wins(world: World) -> None:
    assert (await why(world, *await pair(world, 0.9, 0.8))).endswith("; it is better and no dearer")


async def test_why_a_cheaper_model_as_good_wins(world: World) -> None:
    assert (await why(world, *await pair(world, 0.9, 0.9))).endswith("; it is as good")


async def test_why_a_better_model_is_not_worth_leaving_the_conversations(world: World) -> None:
    tenant, policy = await pair(world, 0.8, 0.7, granularity="step", alpha=0, switch_penalty=1)
    await converse(world, tenant, policy, world.large)
    said = await why(world, tenant, policy, conversation=CONVERSATION, continues=True)
    assert said.endswith("; it is not worth leaving the conversation's model")


async def test_why_nothing_is_decided_yet(world: World) -> None:
    assert await why(world, *await pair(world, 1, 1, seed_count=47)) == (
        "9 memories of 47: large serves until there is more"
    )


async def test_why_a_candidate_without_a_price_is_a_decline_that_names_it(world: World) -> None:
    tenant, policy = await pair(world, 1, 1)
    await world.owner.execute("update router.models set output_price = null where name = 'small'")
    rows = await explained(world, tenant, policy)
    assert {row["reason"] for row in rows} == {"unpriced"}
    assert rows[0]["why"] == "no price is known of small, so costs cannot be compared"


async def test_why_there_is_too_little_support(world: World) -> None:
    tenant, policy = await pair(world, 1, 0.5, confidence_floor=0.95)
    assert await why(world, tenant, policy) == (
        "small scores best, but 0.82 of that estimate comes from neighbours, less than the policy asks for"
    )
    await world.policy(tenant, confidence_floor=0.01, k=3)
    far = [Taught(f"far {i}", {world.large: 0.1}, direction(2)) for i in range(3)]
    await world.teach(tenant, *far)
    assert await why(world, tenant, policy, 2.0) == "small scores best, but no neighbour has a label of it"
    other = await world.tenant("other")
    alone = await world.policy(other)
    await world.teach(other, Taught("one", {world.small: 1.0}))
    assert await why(world, other, alone) == "no label gives the quality of large, the default to compare with"


async def test_why_a_request_explores(world: World) -> None:
    await world.model("new", 0.1, 0.1)
    tenant, _ = await pair(world, 1, 1)
    policy = await world.policy(tenant, ["small", "large", "new"], explore_share=0.1)
    assert await why(world, tenant, policy, random=0.01) == (
        "new is short of labels (it has 0 of 20), so that it is given a few requests"
    )


@pytest.mark.parametrize("backend", ["cheapest", "fastest", "weighted", "none"])
async def test_every_backend_has_a_sentence(world: World, backend: str) -> None:
    tenant, policy = await pair(world, 1, 1, backend=backend)
    assert len(await why(world, tenant, policy)) > 20


async def test_every_reason_has_a_sentence_in_the_ledger(world: World) -> None:
    tenant = await world.tenant()
    policy = await world.policy(tenant)
    reasons = [row[0] for row in await world.owner.fetch("select unnest(enum_range(null::router.reason))::text")]
    for number, reason in enumerate(reasons):
        await world.log({
            "tenant_id": tenant, "policy_id": policy, "decision_id": uuid7(START, number), "reason": reason,
        })  # fmt: skip
        (row,) = await world.app.fetch("select why from router.decision($1, $2)", tenant, uuid7(START, number))
        assert row["why"], reason


async def test_an_unpriced_candidate_is_logged_once_by_its_name(proxy: Proxy, caplog: pytest.LogCaptureFixture) -> None:
    await proxy.rank(lessons(120))
    await proxy.admin.fetch("update router.models set output_price = null where name = $1", CHEAP)
    with caplog.at_level(logging.WARNING, "pgrouter.router"):
        async with proxy.client() as client:
            for _ in range(2):
                raw = await client.chat.completions.with_raw_response.create(
                    model="auto", messages=[{"role": "user", "content": easy(1)}]
                )
    assert (raw.headers["x-router-reason"], raw.headers["x-router-model"]) == ("unpriced", STRONG)
    assert [record.getMessage().count(CHEAP) for record in caplog.records] == [1]
    row = (await proxy.ledger(2))[-1]
    _, decision = await get(proxy, f"/v1/router/decisions/{row['decision_id']}")
    assert decision["why"] == f"no price is known of {CHEAP}, so costs cannot be compared"
