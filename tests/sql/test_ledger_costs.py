"""Costs in the ledger, and prices of a tenant's own."""

from __future__ import annotations

import asyncpg
import pytest

from tests.support.ledger import routed
from tests.support.sql_world import START, World, uuid7


@pytest.mark.parametrize(
    ("model", "tokens", "usd"),
    [
        ("large", (1000, None, 100), 1000 * 10e-6 + 100 * 20e-6),
        ("large", (1000, 0, 0), 1000 * 10e-6),
        ("large", (1000, 400, 100), 600 * 10e-6 + 400 * 1e-6 + 100 * 20e-6),
        ("small", (1000, 400, 100), 1000 * 1e-6 + 100 * 2e-6),
        ("large", (100, 400, 0), 100 * 1e-6),
        ("large", (None, None, 100), None),
        ("large", (1000, None, None), None),
        ("large", (None, None, None), None),
        ("priceless", (1000, None, 100), None),
    ],
)
async def test_cost_is_known_or_null_and_never_zero_for_want_of_knowing(
    world: World, model: str, tokens: tuple[int | None, ...], usd: float | None
) -> None:
    await world.model("priceless", None, None)
    number = await world.owner.fetchval("select model_id from router.models where name = $1", model)
    usage = dict(zip(("prompt_tokens", "cached_tokens", "completion_tokens"), tokens, strict=True))
    entry = {**await routed(world), "model_id": number, **usage}
    await world.log(entry)
    spent, default = await world.owner.fetchrow("select spent_usd, default_usd from router.decisions")
    assert spent == (None if usd is None else pytest.approx(usd))
    assert (default is None) == (None in (tokens[0], tokens[2]))


async def test_without_a_policy_there_is_no_default_to_compare_with(world: World) -> None:
    await world.log({**await routed(world), "policy_id": None, "requested": "small", "reason": "off"})
    row = await world.owner.fetchrow("select spent_usd, default_usd from router.decisions")
    assert row["spent_usd"] > 0
    assert row["default_usd"] is None


async def put_price(world: World, tenant: int, model: str, *prices: float | None) -> bool:
    found: bool = await world.owner.fetchval(
        "select router.put_price($1, $2, $3, $4, $5, '2026-01-02')", tenant, model, *prices
    )
    return found


async def test_the_ledger_counts_what_the_tenant_pays(world: World) -> None:
    common = await routed(world)
    other = {**await routed(world, "other"), "decision_id": uuid7(START, 7)}
    await put_price(world, common["tenant_id"], "small", 4.0, 0.5, 8.0)
    used = {"prompt_tokens": 1000, "cached_tokens": 400, "completion_tokens": 100, "reasoning_tokens": 60}
    await world.log({**common, **used}, {**other, **used})
    rows = await world.owner.fetch(
        "select spent_usd, default_usd, reasoning_tokens from router.decisions order by tenant_id"
    )
    assert rows[0]["spent_usd"] == pytest.approx((600 * 4 + 400 * 0.5 + 100 * 8) / 1e6)
    assert rows[1]["spent_usd"] == pytest.approx((1000 * 1 + 100 * 2) / 1e6)
    assert rows[0]["default_usd"] == rows[1]["default_usd"] == pytest.approx((600 * 10 + 400 * 1 + 100 * 20) / 1e6)
    assert rows[0]["reasoning_tokens"] == 60


async def test_the_default_is_counted_at_what_the_tenant_would_pay(world: World) -> None:
    common = await routed(world)
    await put_price(world, common["tenant_id"], "large", 5.0, None, 5.0)
    await world.log({**common, "prompt_tokens": 1000, "cached_tokens": 500, "completion_tokens": 100})
    # The model's own prices no longer apply, nor does its price of cached tokens.
    assert await world.owner.fetchval("select default_usd from router.decisions") == pytest.approx(1100 * 5 / 1e6)


async def test_prices_say_whose_they_are_and_of_when(world: World) -> None:
    tenant = await world.tenant()
    await world.model("half", 1.0, None)
    assert await put_price(world, tenant, "small", 4.0, None, 8.0)
    assert not await put_price(world, tenant, "small", 4.0, 0.5, 9.0)
    rows = await world.app.fetch("select * from router.prices($1)", tenant)
    assert {row["model"]: (row["origin"], row["output_price"], str(row["priced_on"])) for row in rows} == {
        "half": ("unpriced", None, "None"), "large": ("model", 20.0, "None"), "small": ("tenant", 9.0, "2026-01-02"),
    }  # fmt: skip
    assert await world.owner.fetchval("select router.drop_price($1, 'small')", tenant)
    assert not await world.owner.fetchval("select router.drop_price($1, 'small')", tenant)
    rows = await world.app.fetch("select * from router.prices($1)", tenant)
    assert {row["model"]: row["origin"] for row in rows}["small"] == "model"


async def test_a_price_of_its_own_lets_a_tenant_weigh_a_model_that_has_none(world: World) -> None:
    tenant = await world.tenant()
    await world.model("priceless", None, None)
    with pytest.raises(asyncpg.PostgresError, match="priceless has no price"):
        await world.policy(tenant, ["small", "priceless"])
    await put_price(world, tenant, "priceless", 1.0, None, 1.0)
    await world.policy(tenant, ["small", "priceless"])


async def test_a_price_that_a_policy_needs_is_kept(world: World) -> None:
    tenant = await world.tenant()
    await world.model("priceless", None, None)
    await put_price(world, tenant, "priceless", 1.0, None, 1.0)
    await world.policy(tenant, ["small", "priceless"])
    with pytest.raises(asyncpg.PostgresError, match="policy auto weighs its cost") as caught:
        await world.owner.fetchval("select router.drop_price($1, 'priceless')", tenant)
    assert caught.value.sqlstate == "RT011"
    await world.policy(tenant, ["small"])
    assert await world.owner.fetchval("select router.drop_price($1, 'priceless')", tenant)


@pytest.mark.parametrize(
    ("tenant", "model", "prices", "sqlstate"),
    [
        (None, "small", (1.0, None, 1.0), "RT001"), (0, "absent", (1.0, None, 1.0), "RT003"),
        (0, "small", (-1.0, None, 1.0), "23514"), (0, "small", (1.0, None, None), "23502"),
        (0, "small", (1.0, float("nan"), 1.0), "23514"),
    ],
)  # fmt: skip
async def test_a_bad_price_is_refused(
    world: World, tenant: int | None, model: str, prices: tuple[float | None, ...], sqlstate: str
) -> None:
    number = 10**6 if tenant is None else await world.tenant()
    with pytest.raises(asyncpg.PostgresError) as caught:
        await put_price(world, number, model, *prices)
    assert caught.value.sqlstate == sqlstate


async def test_a_new_input_price_ends_the_price_of_cached_tokens_that_belonged_to_the_old(world: World) -> None:
    await world.model("large", None, 30.0)
    assert await world.owner.fetchval("select cached_input_price from router.models where name = 'large'") == 1.0
    await world.model("large", 5.0, None)
    row = await world.owner.fetchrow("select * from router.models where name = 'large'")
    assert (row["input_price"], row["cached_input_price"], row["output_price"]) == (5.0, None, 30.0)
