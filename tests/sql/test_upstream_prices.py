"""Prices of models that have none of their own: those of their upstream model."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from tests.support.ledger import routed
from tests.support.sql_world import START, World, uuid7


async def alias(world: World, name: str = "large-low", upstream: str = "large", **columns: Any) -> int:
    found: int = await world.owner.fetchval(
        "select router.put_model($1, 'fake', $2, null, null, null, null, null, null, null, null)", name, upstream
    )
    for column, value in columns.items():
        await world.owner.execute(f"update router.models set {column} = $2 where model_id = $1", found, value)
    return found


async def listed(world: World, name: str = "large-low") -> tuple[Any, ...]:
    row = await world.owner.fetchrow("select * from router.list_models() where name = $1", name)
    catalogued = await world.app.fetchrow("select * from router.catalogue() where name = $1", name)
    prices = ("input_price", "cached_input_price", "output_price")
    assert [row[each] for each in prices] == [catalogued[each] for each in prices]
    return (*(row[each] for each in prices), row["priced_by"])


async def paid(world: World, tenant: int, name: str = "large-low") -> tuple[Any, ...]:
    row = await world.app.fetchrow("select * from router.prices($1) where model = $2", tenant, name)
    return row["input_price"], row["cached_input_price"], row["output_price"], row["origin"]


async def test_a_model_without_prices_has_all_those_of_its_upstream_model(world: World) -> None:
    await alias(world)
    assert await listed(world) == (10.0, 1.0, 20.0, "large")
    assert await paid(world, await world.tenant()) == (10.0, 1.0, 20.0, "upstream")
    await world.model("large", 11.0, 21.0)
    assert await listed(world) == (11.0, None, 21.0, "large")


async def test_a_disabled_upstream_model_still_has_its_prices(world: World) -> None:
    await alias(world)
    await world.model("large", 10.0, 20.0, cached=1.0, enabled=False)
    assert await listed(world) == (10.0, 1.0, 20.0, "large")


async def test_a_price_of_its_own_replaces_them_until_it_is_removed(world: World) -> None:
    await alias(world, output_price=5.0)
    assert await listed(world) == (None, None, 5.0, None)
    put = (
        "select router.put_model('large-low', 'fake', 'large', $1, null, $2, null, null, null, null, null,"
        " p_upstream_price => $3)"
    )
    await world.owner.execute(put, 4.0, 5.0, False)
    assert await listed(world) == (4.0, None, 5.0, None)
    assert await paid(world, await world.tenant()) == (4.0, None, 5.0, "model")
    await world.owner.execute(put, None, None, True)
    assert await listed(world) == (10.0, 1.0, 20.0, "large")


async def test_only_a_plain_model_of_the_same_provider_is_an_upstream_model(world: World) -> None:
    await world.owner.execute("select router.put_provider('other', 'http://127.0.0.1:2/v1', null)")
    await alias(world)
    await alias(world, "large-lower", "large-low")
    await alias(world, "elsewhere")
    await world.owner.execute(
        "update router.models set provider_id = (select provider_id from router.providers where name = 'other')"
        " where name = 'elsewhere'"
    )
    assert await listed(world, "large-lower") == await listed(world, "elsewhere") == (None, None, None, None)


async def test_a_tenants_price_of_the_upstream_model_counts_unless_it_has_one_of_the_model(world: World) -> None:
    number, tenant, other = await alias(world), await world.tenant(), await world.tenant("other")
    await world.own_prices(tenant, world.large, 4.0, None, 8.0)
    assert await paid(world, tenant) == (4.0, None, 8.0, "upstream")
    assert await paid(world, other) == (10.0, 1.0, 20.0, "upstream")
    await world.own_prices(tenant, number, 3.0, 0.5, 6.0)
    assert await paid(world, tenant) == (3.0, 0.5, 6.0, "tenant")
    assert await paid(world, tenant, "large") == (4.0, None, 8.0, "tenant")


async def test_a_tenants_price_of_the_upstream_model_is_no_price_of_a_model_with_its_own(world: World) -> None:
    await alias(world, input_price=1.0, output_price=2.0)
    tenant = await world.tenant()
    await world.own_prices(tenant, world.large, 4.0, None, 8.0)
    assert await paid(world, tenant) == (1.0, None, 2.0, "model")


@pytest.mark.parametrize("own", [False, True])
async def test_decisions_and_the_ledger_use_them(world: World, own: bool) -> None:
    number = await alias(world)
    common = await routed(world)
    if own:
        await world.own_prices(common["tenant_id"], world.large, 4.0, 2.0, 8.0)
    expected = (4.0, 2.0, 8.0) if own else (10.0, 1.0, 20.0)
    policy = await world.policy(common["tenant_id"], ["small", "large-low"], default="large-low", backend="cheapest")
    rows = await world.decide(common["tenant_id"], policy, None, default=number)
    row = next(row for row in rows if row["model_id"] == number)
    assert (row["input_price"], row["cached_input_price"], row["output_price"]) == expected
    used = {"prompt_tokens": 1000, "cached_tokens": 400, "completion_tokens": 100}
    await world.log({**common, **used, "model_id": number, "policy_id": policy, "decision_id": uuid7(START, 9)})
    spent = await world.owner.fetchval("select spent_usd from router.decisions where model_id = $1", number)
    assert spent == pytest.approx((600 * expected[0] + 400 * expected[1] + 100 * expected[2]) / 1e6)


async def test_a_price_that_a_candidate_is_priced_by_is_not_dropped(world: World) -> None:
    await world.model("bare", None, None)
    await alias(world, "bare-low", "bare")
    tenant = await world.tenant()
    await world.own_prices(tenant, await world.model("bare", None, None), 4.0, None, 8.0)
    await world.policy(tenant, ["small", "bare-low"], default="small")
    with pytest.raises(asyncpg.PostgresError, match="without it model bare-low has no price, and policy auto"):
        await world.owner.fetchval("select router.drop_price($1, 'bare')", tenant)
    assert await paid(world, tenant, "bare") == (4.0, None, 8.0, "tenant")
    await world.policy(tenant, ["small", "large"], default="small")
    assert await world.owner.fetchval("select router.drop_price($1, 'bare')", tenant) is True
    assert await paid(world, tenant, "bare-low") == (None, None, None, "unpriced")
