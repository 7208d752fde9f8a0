"""What decisions use of the fit of a policy, and why not more."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.support.connection import connect
from tests.support.backtests import specialists
from tests.support.decisions import fitted
from tests.support.sql_world import Taught, World, direction

MATRIX = [0.4, -0.1, 0.3, 0.2]


async def shown(world: World, tenant: int) -> dict[str, Any]:
    """Return the only row of router.list_fits, called as the proxy calls it."""
    (row,) = await world.app.fetch("select * from router.list_fits($1, $2)", tenant, world.space)
    return dict(row)


async def why(world: World, tenant: int) -> str | None:
    row = await shown(world, tenant)
    assert row["matrix"] == (row["why"] is None)
    return str(row["why"]) if row["why"] else None


async def test_it_shows_what_decisions_use(world: World) -> None:
    tenant, policy = await specialists(world, 220)
    (row,) = await world.app.fetch("select * from router.fit($1, $2, $3)", tenant, policy, world.space)
    found = await shown(world, tenant)
    assert (found["policy"], found["matrix"], found["why"]) == ("auto", True, None)
    assert (found["n0"], found["guess"], found["fitted_at"]) == (row["n0"], row["guess"], row["fitted_at"])
    assert (found["memories"], found["rows"], found["pairs"]) == (220, 220, 220)
    (decided, _) = await world.decide(tenant, policy, direction(0.3))
    assert decided["n0"] == found["n0"]
    assert decided["share"] > 0


async def test_it_names_the_first_cause_why_there_is_no_matrix(world: World) -> None:
    tenant, policy = await specialists(world, 30)
    assert await why(world, tenant) == "30 memories of 200"
    found = await shown(world, tenant)
    assert (found["n0"], found["guess"], found["fitted_at"], found["rows"]) == (2.0, False, None, None)
    await fitted(world, tenant, policy, 100, 0.2, 7, guess=True)
    assert await why(world, tenant) == "1 memories of 50 label two candidates or more"
    await world.owner.execute("update router.fits set pairs = 50")
    assert await why(world, tenant) == "the last fit made none"
    await fitted(world, tenant, policy, 100, 0.2, 7, guess=True, transfer=MATRIX)
    found = await shown(world, tenant)
    assert (found["why"], found["matrix"], found["n0"], found["guess"]) == (None, True, 7.0, True)


async def test_a_fit_that_is_not_used_is_not_shown_as_used(world: World) -> None:
    tenant, policy = await specialists(world, 30)
    await fitted(world, tenant, policy, 50, 0.2, 7, guess=True, transfer=MATRIX)
    assert await why(world, tenant) == "fitted for k 50 and tau 0.2"
    found = await shown(world, tenant)
    assert (found["n0"], found["guess"], found["rows"]) == (2.0, False, 1)
    await fitted(world, tenant, policy, 100, 0.2, 7, guess=True, transfer=MATRIX)
    await world.model("new", 1, 1)
    await world.policy(tenant, ["small", "large", "new"])
    assert await why(world, tenant) == "fitted without new"
    await world.policy(tenant)
    await world.teach(tenant, *(Taught(f"more {n}", {world.small: 1.0}) for n in range(31)))
    assert await why(world, tenant) == "fitted to 30 memories, now there are 61"
    await world.policy(tenant, transfer=0, fit_n0="off", guess_task="always")
    assert await why(world, tenant) == "transfer is 0"
    assert (await shown(world, tenant))["guess"]


@pytest.mark.parametrize("backend", ["cheapest", "none"])
async def test_policies_that_do_not_learn_are_left_out(world: World, backend: str) -> None:
    tenant, _ = await specialists(world, 30, backend=backend)
    assert await world.app.fetch("select * from router.list_fits($1, $2)", tenant, world.space) == []


async def test_a_reader_sees_the_fits_of_granted_tenants_only(world: World) -> None:
    tenant, policy = await specialists(world, 30)
    await fitted(world, tenant, policy, 100, 0.2, 7, guess=False, transfer=MATRIX)
    query = "select * from router.list_fits($1, $2)"
    reader = await connect(world.dsn, "router_reader")
    try:
        assert await reader.fetch(query, tenant, world.space) == []
        await world.owner.execute("select router.grant_tenant('router_reader', $1)", tenant)
        rows = await reader.fetch(query, tenant, world.space)
        assert rows == await world.app.fetch(query, tenant, world.space)
        assert rows[0]["matrix"]
    finally:
        await reader.close()
        await world.owner.execute("select router.revoke_tenant('router_reader', $1)", tenant)
