"""The expected cost of a request: prices, lengths, tokens, a cached prefix."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from tests.support.sql_world import START, Taught, World, direction, uuid7

CONVERSATION = b"0123456789abcdef"


async def ranked(world: World, tenant: int, policy: int, **question: Any) -> dict[int, asyncpg.Record]:
    """Return the decision's rows by model, the chosen one first."""
    return {row["model_id"]: row for row in await world.decide(tenant, policy, direction(0), **question)}


async def taught(world: World, tokens: dict[int, float] | None = None, **settings: Any) -> tuple[int, int]:
    tenant = await world.tenant()
    policy = await world.policy(tenant, **settings)
    lesson = {world.small: 1.0, world.large: 1.0}
    await world.teach(tenant, *(Taught(f"{i}", lesson, tokens=tokens or {}) for i in range(4)))
    return tenant, policy


# Prices.


async def test_a_tenants_own_prices_replace_all_of_the_models(world: World) -> None:
    tenant, policy = await taught(world, {world.small: 100, world.large: 100})
    await world.own_prices(tenant, world.large, 5.0, None, 7.0)
    rows = await ranked(world, tenant, policy, prompt_tokens=1000)
    large = rows[world.large]
    assert (large["input_price"], large["cached_input_price"], large["output_price"]) == (5.0, 5.0, 7.0)
    assert large["cost_usd"] == pytest.approx((1000 * 5 + 100 * 7) / 1e6)
    assert rows[world.small]["cost_usd"] == pytest.approx((1000 * 1 + 100 * 2) / 1e6)
    # The unit uses the tenant's prices too: 10 prompt tokens on average.
    assert large["unit_usd"] == pytest.approx((10 * 5 + 100 * 7) / 1e6)


async def test_another_tenants_prices_are_its_own(world: World) -> None:
    tenant, policy = await taught(world)
    before = await ranked(world, tenant, policy)
    other = await world.tenant("other")
    await world.own_prices(other, world.large, 5.0, None, 7.0)
    assert await ranked(world, tenant, policy) == before


async def test_a_tenants_price_makes_an_unpriced_model_priced(world: World) -> None:
    free = await world.model("priceless", None, None)
    tenant = await world.tenant()
    with pytest.raises(asyncpg.PostgresError, match="priceless") as refused:
        await world.policy(tenant, ["small", "large", "priceless"])
    assert refused.value.sqlstate == "RT004"
    await world.own_prices(tenant, free, 0.1, None, 0.1)
    policy = await world.policy(tenant, ["small", "large", "priceless"])
    await world.teach(tenant, Taught("one", {world.small: 0.5, world.large: 0.5, free: 1.0}))
    rows = await ranked(world, tenant, policy)
    assert next(iter(rows)) == free
    assert rows[free]["reason"] == "learned"
    other = await world.tenant("other")
    with pytest.raises(asyncpg.PostgresError, match="priceless"):
        await world.policy(other, ["small", "large", "priceless"])


# Lengths and tokens.


async def test_lengths_of_the_ledger_count_where_few_were_taught(world: World) -> None:
    tenant, policy = await taught(world, {world.small: 100}, n1=5, n0=2, tau=1e9)
    await world.seen(tenant, world.small, 600.0, None)
    await world.seen(tenant, world.large, 700.0, None)
    rows = await ranked(world, tenant, policy)
    assert rows[world.large]["completion_tokens"] == pytest.approx(700)
    mean = (4 * 100 + 5 * 600) / 9
    assert rows[world.small]["completion_tokens"] == pytest.approx((4 * 100 + 2 * mean) / 6, rel=1e-6)


async def test_a_model_of_unknown_length_takes_the_mean_of_the_others_or_256(world: World) -> None:
    tenant, policy = await taught(world)
    rows = await ranked(world, tenant, policy)
    assert {row["completion_tokens"] for row in rows.values()} == {256}
    await world.seen(tenant, world.small, 40.0, None)
    rows = await ranked(world, tenant, policy)
    assert {row["completion_tokens"] for row in rows.values()} == {40}


async def test_prompt_tokens_are_scaled_by_what_each_provider_counts(world: World) -> None:
    tenant, policy = await taught(world, {world.small: 0.0, world.large: 0.0})
    await world.seen(tenant, world.large, None, 1.5)
    rows = await ranked(world, tenant, policy, prompt_tokens=1000)
    assert (rows[world.small]["prompt_tokens"], rows[world.large]["prompt_tokens"]) == (1000, 1500)
    assert rows[world.large]["cost_usd"] == pytest.approx(1500 * 10 / 1e6)


# Changes of model within a conversation, which granularity `step` allows.


async def conversing(world: World, saved: float, lead: float, **settings: Any) -> tuple[int, int]:
    """Make a conversation with `home`, whose cached prefix saves `saved` of `alpha`; `away` is better by `lead`.

    Both have the same prices; 1,000 tokens are cached, and the unit is 1,000 tokens at the full price.
    """
    home = await world.model("home", 10.0, 0.0, cached=10.0 * (1 - saved))
    away = await world.model("away", 10.0, 0.0, cached=10.0 * (1 - saved))
    tenant = await world.tenant()
    policy = await world.policy(
        tenant, ["home", "away"], default="away", granularity="step", alpha=1.0, n0=0, **settings
    )
    scores = {home: 0.5, away: 0.5 + lead}
    tokens = {home: 0.0, away: 0.0}
    await world.teach(tenant, *(Taught(f"{i}", scores, tokens=tokens, prompt_tokens=1000) for i in range(3)))
    await world.log({
        "tenant_id": tenant, "policy_id": policy, "decision_id": uuid7(START), "model_id": home,
        "conversation": CONVERSATION, "prompt_tokens": 1000,
    })  # fmt: skip
    return tenant, policy


@pytest.mark.parametrize(("lead", "stays"), [(0.0, True), (0.19, True), (0.21, False)])
async def test_staying_wins_exactly_when_the_cached_prefix_saves_more_than_the_quality_lost(
    world: World, lead: float, stays: bool
) -> None:
    tenant, policy = await conversing(world, saved=0.2, lead=lead)
    names = dict(await world.owner.fetch("select model_id, name from router.models"))
    away = next(number for number, name in names.items() if name == "away")
    question: dict[str, Any] = {"default": away, "prompt_tokens": 1500, "conversation": CONVERSATION}
    rows = await ranked(world, tenant, policy, continues=True, **question)
    assert names[next(iter(rows))] == ("home" if stays else "away")
    assert {row["reason"] for row in rows.values()} == {"learned"}
    # Without the conversation there are no savings.
    rows = await ranked(world, tenant, policy, continues=False, **question)
    assert all(row["cached_tokens"] == 0 for row in rows.values())
    assert (lead > 0) <= (names[next(iter(rows))] == "away")


@pytest.mark.parametrize(("lead", "stays"), [(0.29, True), (0.31, False)])
async def test_the_switch_penalty_adds_to_what_the_cache_saves(world: World, lead: float, stays: bool) -> None:
    tenant, policy = await conversing(world, saved=0.2, lead=lead, switch_penalty=0.1)
    away = await world.owner.fetchval("select model_id from router.models where name = 'away'")
    rows = await ranked(
        world, tenant, policy, default=away, prompt_tokens=1000, conversation=CONVERSATION, continues=True
    )
    assert (next(iter(rows)) != away) == stays
    assert rows[away]["penalty"] == 0.1


async def test_a_prefix_is_cached_for_ten_minutes(world: World) -> None:
    tenant, policy = await conversing(world, saved=0.2, lead=0.1)
    away = await world.owner.fetchval("select model_id from router.models where name = 'away'")
    question: dict[str, Any] = {"default": away, "conversation": CONVERSATION, "continues": True}
    for minutes, stays in ((9, True), (11, False)):
        rows = await ranked(
            world, tenant, policy, now=START + timedelta(minutes=minutes), prompt_tokens=1000, **question
        )
        assert (next(iter(rows)) != away) == stays


async def test_no_more_is_cached_than_the_prompt_has(world: World) -> None:
    tenant, policy = await conversing(world, saved=0.2, lead=0.1)
    home = await world.owner.fetchval("select model_id from router.models where name = 'home'")
    await world.seen(tenant, home, None, 0.5)
    rows = await ranked(world, tenant, policy, prompt_tokens=600, conversation=CONVERSATION, continues=True)
    assert (rows[home]["prompt_tokens"], rows[home]["cached_tokens"]) == (300, 300)
    assert rows[home]["cost_usd"] == pytest.approx(300 * 8 / 1e6)
