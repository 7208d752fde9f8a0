"""Exploration: a candidate without labels gets a bounded share of requests, if the policy allows it."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import asyncpg
import pytest

from tests.support.decisions import CONVERSATION, converse, order, reason
from tests.support.proxy import CHEAP, STRONG
from tests.support.rest import post
from tests.support.separable_prompts import easy, lessons
from tests.support.sql_world import Taught, World, direction

MODELS = ("small", "large", "new")


async def warm(world: World, **settings: Any) -> tuple[int, int, int]:
    """Make a tenant whose `small` is best and whose candidate `new` has no labels."""
    new = await world.model("new", 0.1, 0.1)
    tenant = await world.tenant()
    policy = await world.policy(tenant, MODELS, **settings)
    await world.teach(tenant, *(Taught(f"{i}", {world.small: 1.0, world.large: 0.0}) for i in range(30)))
    return tenant, policy, new


async def test_it_is_off_by_default(world: World) -> None:
    tenant, policy, _ = await warm(world)
    rows = await world.decide(tenant, policy, direction(0), random=0.0)
    assert (reason(rows), order(rows)[0]) == ("learned", world.small)


async def test_the_share_is_bounded_and_exact(world: World) -> None:
    tenant, policy, new = await warm(world, explore_share=0.2)
    first = Counter[tuple[str, int]]()
    for step in range(200):
        rows = await world.decide(tenant, policy, direction(0), random=step / 200)
        first[(reason(rows), order(rows)[0])] += 1
    assert first == {("explore", new): 40, ("learned", world.small): 160}
    with pytest.raises(asyncpg.CheckViolationError, match="policies_explore_share_check"):
        await world.policy(tenant, MODELS, explore_share=0.21)


async def test_after_the_explored_one_the_ranking_is_by_score(world: World) -> None:
    tenant, policy, new = await warm(world, explore_share=0.1)
    assert order(await world.decide(tenant, policy, direction(0), random=0.05)) == [new, world.small, world.large]


async def test_it_ends_when_there_are_labels_enough(world: World) -> None:
    tenant, policy, new = await warm(world, explore_share=0.1, explore_labels=3)
    for number in range(3):
        assert reason(await world.decide(tenant, policy, direction(0), random=0.05)) == "explore"
        await world.teach(tenant, Taught(f"label {number}", {new: 0.0}))
    assert reason(await world.decide(tenant, policy, direction(0), random=0.05)) == "learned"


async def test_the_least_labelled_goes_first_and_equals_take_turns(world: World) -> None:
    newer = await world.model("newer", 0.1, 0.1)
    tenant, _, new = await warm(world)
    policy = await world.policy(tenant, (*MODELS, "newer"), explore_share=0.2)
    dice = random.Random(2)

    async def explored() -> set[int]:
        return {
            order(await world.decide(tenant, policy, direction(0), random=dice.random() * 0.2))[0] for _ in range(40)
        }

    assert await explored() == {new, newer}
    await world.teach(tenant, Taught("label", {newer: 1.0}))
    assert await explored() == {new}


async def test_labels_of_another_space_do_not_count(world: World) -> None:
    tenant, policy, new = await warm(world, explore_share=0.1, explore_labels=1)
    other = await world.owner.fetchval("select router.register_space('other', 64)")
    await world.teach(tenant, Taught("elsewhere", {new: 1.0}), space=other)
    assert order(await world.decide(tenant, policy, direction(0), random=0.05))[0] == new


async def test_a_continuing_conversation_is_never_explored(world: World) -> None:
    question: dict[str, Any] = {"random": 0.0, "continues": True}
    tenant, policy, _ = await warm(world, explore_share=0.2)
    assert reason(await world.decide(tenant, policy, direction(0), **question)) == "learned"
    await converse(world, tenant, policy, world.large)
    rows = await world.decide(tenant, policy, direction(0), conversation=CONVERSATION, **question)
    assert (reason(rows), order(rows)[0]) == ("sticky", world.large)


async def test_an_explored_conversation_stays_with_its_model(world: World) -> None:
    tenant, policy, new = await warm(world, explore_share=0.2)
    await converse(world, tenant, policy, new, reason="explore")
    rows = await world.decide(tenant, policy, direction(0), conversation=CONVERSATION, continues=True, random=0.9)
    assert (reason(rows), order(rows)[0]) == ("sticky", new)


async def test_only_candidates_that_can_serve_are_explored(world: World) -> None:
    tenant, policy, _ = await warm(world, explore_share=0.2)
    rows = await world.decide(tenant, policy, direction(0), models=[world.small], random=0.0)
    assert (reason(rows), order(rows)[0]) == ("learned", world.small)


async def test_the_cold_and_the_speechless_explore_nothing(world: World) -> None:
    tenant, policy, _ = await warm(world, explore_share=0.2, seed_count=31)
    assert reason(await world.decide(tenant, policy, direction(0), random=0.0)) == "cold"
    await world.policy(tenant, MODELS, seed_count=1)
    assert reason(await world.decide(tenant, policy, None, random=0.0)) == "no_signal"


async def test_a_candidate_without_a_price_is_not_explored(world: World) -> None:
    tenant, policy, _ = await warm(world, explore_share=0.2)
    await world.owner.execute("update router.models set input_price = null where name = 'new'")
    rows = await world.decide(tenant, policy, direction(0), random=0.0)
    assert (reason(rows), order(rows)[0]) == ("unpriced", world.large)


async def test_a_candidate_without_labels_never_wins_by_itself(world: World) -> None:
    tenant, policy, new = await warm(world, alpha=100)
    for step in range(20):
        rows = await world.decide(tenant, policy, direction(step / 7), random=step / 20)
        assert order(rows)[-1] == new
        assert rows[-1]["score"] is None


async def test_other_backends_explore_nothing(world: World) -> None:
    tenant, policy, _ = await warm(world, explore_share=0.2, backend="cheapest")
    assert reason(await world.decide(tenant, policy, direction(0), random=0.0)) == "cheapest"


async def test_a_request_that_explores_has_that_reason_and_an_explanation_never_explores(
    proxies: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.routing.router.random.random", lambda: 0.01)
    async with proxies(policy={"explore_share": 0.1, "explore_labels": 121}) as proxy:
        await proxy.rank(lessons(120))
        await proxy.rank([{"prompt": "one more", "scores": {CHEAP: 1.0}}])
        async with proxy.client() as client:
            raw = await client.chat.completions.with_raw_response.create(
                model="auto", messages=[{"role": "user", "content": easy(2000)}]
            )
        assert (raw.headers["x-router-reason"], raw.headers["x-router-model"]) == ("explore", STRONG)
        _, explained = await post(proxy, "/v1/router/explain", {"prompt": easy(2000)})
        assert (explained["reason"], explained["model"]) == ("learned", CHEAP)
