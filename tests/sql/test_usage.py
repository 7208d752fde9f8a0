"""Usage: sums of the ledger by any grouping, and savings that are never overstated."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from scripts.support.connection import connect
from tests.support.proxy import CHEAP, STRONG, Proxy
from tests.support.sql_world import START, World, uuid7

#: 1,000 and 100 tokens by each model of the world, USD.
SMALL, LARGE = 0.0012, 0.012
LATER = START + timedelta(days=7)


async def usage(world: World, tenant: int, *by: str, since: Any = START, until: Any = LATER) -> list[asyncpg.Record]:
    """Return the rows of router.usage, called with the proxy's role."""
    rows: list[asyncpg.Record] = await world.app.fetch(
        "select * from router.usage($1, $2, $3, $4)", tenant, since, until, list(by)
    )
    return rows


async def log(world: World, tenant: int, *entries: dict[str, Any]) -> None:
    """Log ledger entries `hours` after START."""
    await world.log(
        *(
            {
                "tenant_id": tenant,
                "decision_id": uuid7(START + timedelta(hours=entry.pop("hours", 1)), number),
                **entry,
            }
            for number, entry in enumerate(entries)
        )
    )


async def test_everything_together_is_one_row(world: World) -> None:
    tenant = await world.tenant()
    policy = await world.policy(tenant)
    await log(
        world,
        tenant,
        {"policy_id": policy, "cached_tokens": 0, "reasoning_tokens": 40},
        {"policy_id": policy, "model_id": world.large, "cached_tokens": 500},
        {"model_id": world.large},
        {"status": 502, "prompt_tokens": None, "completion_tokens": None},
        {"hours": -1},
        {"hours": 7 * 24},
    )
    (row,) = await usage(world, tenant)
    assert [row[name] for name in ("key_id", "model", "policy", "day", "task")] == [None] * 5
    assert (row["requests"], row["failed"], row["unknown"], row["share"]) == (4, 1, 0, 1)
    assert [row[f"{kind}_tokens"] for kind in ("prompt", "cached", "completion", "reasoning")] == [3000, 500, 300, 40]
    cached = 500 * 9 / 1e6
    assert row["cost_usd"] == pytest.approx(SMALL + 2 * LARGE - cached)
    assert row["saved_usd"] == pytest.approx(LARGE - SMALL)
    assert row["baseline_usd"] == pytest.approx(row["cost_usd"] + row["saved_usd"])


async def test_without_a_policy_the_baseline_is_the_cost_itself(world: World) -> None:
    tenant = await world.tenant()
    await log(world, tenant, {}, {"model_id": world.large})
    (row,) = await usage(world, tenant)
    assert (row["baseline_usd"], row["saved_usd"]) == (row["cost_usd"], 0)


async def test_where_the_default_has_no_price_nothing_is_claimed_to_be_saved(world: World) -> None:
    tenant = await world.tenant()
    await world.model("unpriced", None, None)
    policy = await world.policy(tenant, ["small", "unpriced"], default="unpriced", backend="weighted", weights=[1, 1])
    await log(world, tenant, {"policy_id": policy})
    (row,) = await usage(world, tenant)
    assert (row["cost_usd"], row["saved_usd"]) == (pytest.approx(SMALL), 0)


async def test_what_has_no_known_cost_is_counted_and_not_called_free(world: World) -> None:
    tenant = await world.tenant()
    unpriced = await world.model("unpriced", None, None)
    await log(
        world,
        tenant,
        {"model_id": unpriced},
        {"prompt_tokens": None},
        {"status": 499, "completion_tokens": None},
        {"status": 429, "prompt_tokens": None, "completion_tokens": None},
        {},
    )
    (row,) = await usage(world, tenant)
    assert (row["requests"], row["failed"], row["unknown"]) == (5, 2, 3)
    assert row["cost_usd"] == pytest.approx(SMALL)


async def test_it_is_grouped_by_whatever_is_asked(world: World) -> None:
    tenant = await world.tenant()
    policy, other = await world.policy(tenant), await world.policy(tenant, name="other")
    key = await world.owner.fetchval("select router.create_key($1, sha256('k'), 'rk-12345')", tenant)
    await log(
        world,
        tenant,
        {"policy_id": policy, "key_id": key, "task": "sum"},
        {"policy_id": policy, "model_id": world.large, "task": "sum"},
        {"policy_id": other, "model_id": world.large, "hours": 11.99},
        {"hours": 12},
    )
    await world.owner.fetch("select router.delete_policy($1, 'other')", tenant)

    async def found(*by: str) -> dict[tuple[Any, ...], tuple[int, float]]:
        columns = ["key_id" if name == "key" else name for name in by]
        rows = await usage(world, tenant, *by)
        return {tuple(row[name] for name in columns): (row["requests"], row["share"]) for row in rows}

    today, tomorrow = START.date(), START.date() + timedelta(days=1)
    assert await found("model") == {("large",): (2, 0.5), ("small",): (2, 0.5)}
    assert await found("policy") == {("auto",): (2, 0.5), (f"#{other}",): (1, 0.25), (None,): (1, 0.25)}
    assert await found("day") == {(today,): (3, 0.75), (tomorrow,): (1, 0.25)}
    assert await found("task") == {("sum",): (2, 0.5), (None,): (2, 0.5)}
    assert await found("key") == {(key,): (1, 0.25), (None,): (3, 0.75)}
    assert await found("day", "model") == {
        (today, "large"): (2, 0.5), (today, "small"): (1, 0.25), (tomorrow, "small"): (1, 0.25)
    }  # fmt: skip
    assert len(await usage(world, tenant, "key", "model", "policy", "day", "task")) == 4


async def test_the_parts_add_up_to_the_whole(world: World) -> None:
    tenant = await world.tenant()
    policy = await world.policy(tenant)
    models = (world.small, world.large)
    await log(
        world,
        tenant,
        *({"policy_id": policy, "model_id": models[n % 2], "prompt_tokens": 97 * n, "hours": n} for n in range(50)),
    )
    (whole,) = await usage(world, tenant)
    parts = await usage(world, tenant, "day", "model")
    assert len(parts) == 6
    for name in ("requests", "prompt_tokens", "cost_usd", "baseline_usd", "saved_usd", "share"):
        assert sum(part[name] for part in parts) == pytest.approx(whole[name])


async def test_another_tenants_is_not_there(world: World) -> None:
    tenant, other = await world.tenant(), await world.tenant("other")
    await log(world, tenant, {})
    assert await usage(world, other) == []


async def test_only_what_there_is_can_be_asked_by(world: World) -> None:
    tenant = await world.tenant()
    with pytest.raises(asyncpg.InvalidParameterValueError, match="by key, model, policy, day and task"):
        await usage(world, tenant, "model", "weather")


async def test_a_reader_may_ask(world: World) -> None:
    tenant = await world.tenant()
    await world.policy(tenant)
    await log(world, tenant, {"policy_id": await world.policy(tenant)})
    await world.owner.execute("select router.grant_tenant('router_reader', $1)", tenant)
    reader = await connect(world.dsn, "router_reader")
    try:
        rows = await reader.fetch("select * from router.usage($1, $2, $3, '{policy,model}')", tenant, START, LATER)
        assert rows == await usage(world, tenant, "policy", "model")
    finally:
        await reader.close()
        await world.owner.execute("select router.revoke_tenant('router_reader', null)")


# Over HTTP.


async def test_a_key_sees_what_its_tenant_used(proxy: Proxy) -> None:
    client = proxy.client()
    for model in (STRONG, CHEAP, CHEAP):
        await client.chat.completions.create(model=model, messages=[{"role": "user", "content": "hi"}])
    await proxy.ledger(3)
    async with proxy.http() as http, http.get("/v1/router/usage?by=model,key&since=1d") as response:
        found = await response.json()
    assert response.status == 200
    assert (found["object"], found["by"]) == ("router.usage", ["model", "key"])
    assert {row["model"]: row["requests"] for row in found["data"]} == {STRONG: 1, CHEAP: 2}
    assert {row["key_id"] for row in found["data"]} == {proxy.key_id}
    assert found["total"]["requests"] == 3
    assert found["total"]["cost_usd"] == pytest.approx(sum(row["cost_usd"] for row in found["data"])) != 0
    assert list(found["data"][0])[:2] == ["model", "key_id"]
    _, stranger = await proxy.new_tenant("stranger")
    async with proxy.http(stranger) as http, http.get("/v1/router/usage") as response:
        found = await response.json()
    assert (found["data"], found["total"]["requests"]) == ([], 0)
    await client.close()


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("since=yesterday", "since"),
        ("since=", "since"),
        ("since=2999-01-01", "since"),
        ("until=never", "until"),
        ("since=1d&until=2d", "until"),
        ("until=99999w", "until"),
        ("by=weather", "by"),
        ("by=model,,day", "by"),
        ("by=%00", "by"),
        ("from=1d", "from"),
    ],
)
async def test_a_wrong_parameter_is_named(proxy: Proxy, query: str, param: str) -> None:
    async with proxy.http() as http, http.get(f"/v1/router/usage?{query}") as response:
        assert response.status == 400
        error = (await response.json())["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert error["message"].startswith(f"{param}: ")


async def test_without_a_key_there_is_no_usage(proxy: Proxy) -> None:
    async with proxy.http("rk-wrong") as http, http.get("/v1/router/usage") as response:
        assert response.status == 401


async def test_an_owner_sees_every_tenants(world: World) -> None:
    for name, requests in (("a", 1), ("b", 3)):
        tenant = await world.tenant(name)
        policy = await world.policy(tenant)
        entry = {"tenant_id": tenant, "policy_id": policy}
        await world.log(*({**entry, "decision_id": uuid7(START, 10 * tenant + n)} for n in range(requests)))
    asked = "select tenant, model, requests, share from router.usages($1, $2, '{model}')"
    rows = await world.owner.fetch(asked, START, LATER)
    assert [tuple(row) for row in rows] == [("a", "small", 1, 0.25), ("b", "small", 3, 0.75)]
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await world.app.fetch(asked, START, LATER)
