"""Conversations stay with their model."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.support.decisions import CONVERSATION, converse, order, reason, taught
from tests.support.sql_world import START, World, direction, uuid7


async def test_a_conversation_stays_with_its_model(world: World) -> None:
    tenant, policy = await taught(world)
    await converse(world, tenant, policy, world.large)
    rows = await world.decide(tenant, policy, direction(0), conversation=CONVERSATION, continues=True)
    assert (reason(rows), order(rows)) == ("sticky", [world.large, world.small])


async def test_a_first_turn_does_not_stick(world: World) -> None:
    tenant, policy = await taught(world)
    await converse(world, tenant, policy, world.large)
    rows = await world.decide(tenant, policy, direction(0), conversation=CONVERSATION, continues=False)
    assert (reason(rows), order(rows)[0]) == ("learned", world.small)


async def test_an_expired_conversation_is_decided_anew(world: World) -> None:
    tenant, policy = await taught(world, sticky_seconds=60)
    await converse(world, tenant, policy, world.large)
    question: dict[str, Any] = {"conversation": CONVERSATION, "continues": True}
    for seconds, why in ((59, "sticky"), (60, "learned")):
        rows = await world.decide(tenant, policy, direction(0), now=START + timedelta(seconds=seconds), **question)
        assert reason(rows) == why


async def test_a_conversation_whose_model_is_no_candidate_is_decided_anew(world: World) -> None:
    tenant, policy = await taught(world)
    third = await world.model("third", 1, 1)
    await converse(world, tenant, policy, third)
    question: dict[str, Any] = {"conversation": CONVERSATION, "continues": True}
    assert reason(await world.decide(tenant, policy, direction(0), **question)) == "learned"
    await converse(world, tenant, policy, world.small, decision_id=uuid7(START, 2))
    unable = await world.decide(tenant, policy, direction(0), models=[world.large], **question)
    assert (reason(unable), order(unable)) == ("single_candidate", [world.large])


async def test_a_conversation_of_another_policy_or_tenant_does_not_stick(world: World) -> None:
    tenant, policy = await taught(world)
    other = await world.policy(tenant, name="other")
    await converse(world, tenant, other, world.large)
    rows = await world.decide(tenant, policy, direction(0), conversation=CONVERSATION, continues=True)
    assert reason(rows) == "learned"


async def test_a_weighted_conversation_stays_too(world: World) -> None:
    tenant = await world.tenant()
    policy = await world.policy(tenant, backend="weighted")
    await converse(world, tenant, policy, world.small, reason="weighted")
    question: dict[str, Any] = {"conversation": CONVERSATION, "continues": True}
    for draw in range(10):
        rows = await world.decide(tenant, policy, random=draw / 10, **question)
        assert (reason(rows), order(rows)[0]) == ("sticky", world.small)


async def test_a_step_policy_may_switch_but_weighs_cache_and_penalty(world: World) -> None:
    tenant, policy = await taught(world, granularity="step", alpha=0, switch_penalty=0.3)
    await converse(world, tenant, policy, world.large, prompt_tokens=400)
    question: dict[str, Any] = {"conversation": CONVERSATION, "prompt_tokens": 1000}
    fresh = {row["model_id"]: row for row in await world.decide(tenant, policy, direction(0), **question)}
    rows = await world.decide(tenant, policy, direction(0), continues=True, **question)
    assert (reason(rows), order(rows)) == ("learned", [world.small, world.large])
    step = {row["model_id"]: row for row in rows}
    assert step[world.small]["score"] == pytest.approx(fresh[world.small]["score"] - 0.3)
    assert step[world.large]["score"] == pytest.approx(fresh[world.large]["score"])
    assert step[world.small]["cost_usd"] == fresh[world.small]["cost_usd"]
    # 400 tokens at 1 instead of 10 USD per million.
    assert fresh[world.large]["cost_usd"] - step[world.large]["cost_usd"] == pytest.approx(400 * 9 / 1e6)
    await world.policy(tenant, granularity="step", alpha=0, switch_penalty=2.0)
    assert order(await world.decide(tenant, policy, direction(0), continues=True, **question))[0] == world.large
