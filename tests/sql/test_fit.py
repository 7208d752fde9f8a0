"""The fit of a policy: what leave-one-out chooses, when it is used and when it is due."""

from __future__ import annotations

import random
from typing import Any

import asyncpg
import numpy as np
import pytest

from tests.support.decisions import fitted
from tests.support.sql_world import Taught, World, direction, vector


async def correlated(world: World, many: int = 240, noise: float = 0.1, **settings: Any) -> tuple[int, int]:
    """A tenant whose models answer two topics alike: where small is right, large mostly is, too."""
    dice = random.Random(3)
    tenant = await world.tenant()
    policy = await world.policy(tenant, **settings)
    lessons = []
    for number in range(many):
        easy = number % 2 == 0
        right = dice.random() < (0.9 if easy else 0.2)
        lessons.append(
            Taught(
                f"{number}",
                {world.small: float(right), world.large: float(right or dice.random() < 0.3)},
                vector([x + dice.gauss(0, noise) for x in ([1.0, 0.0] if easy else [0.0, 1.0])]),
                task="easy" if easy else "hard",
            )
        )
    await world.teach(tenant, *lessons)
    return tenant, policy


async def fit(world: World, tenant: int, policy: int, **arguments: Any) -> asyncpg.Record | None:
    """Return the row of router.fit, called as the proxy calls it; None if nothing was fitted."""
    names = "".join(f", p_{name} => ${number}" for number, name in enumerate(arguments, 4))
    rows = await world.app.fetch(
        f"select * from router.fit($1, $2, $3{names})", tenant, policy, world.space, *arguments.values()
    )
    return rows[0] if rows else None


async def test_a_fit_is_written_and_used(world: World) -> None:
    tenant, policy = await correlated(world)
    before = await world.decide(tenant, policy, direction(0.3))
    assert {(row["share"], row["borrowed"]) for row in before} == {(0.0, None)}
    row = await fit(world, tenant, policy)
    assert row is not None
    assert (row["memories"], row["rows"], row["pairs"]) == (240, 240, 240)
    assert row["models"] == sorted([world.small, world.large])
    assert row["lambda"] is not None
    assert len(row["transfer"]) == 4
    after = await world.decide(tenant, policy, direction(0.3))
    assert all(row["share"] == pytest.approx(0.5 * 240 / 540) for row in after)
    assert {found["n0"] for found in after} == {20.0 if row["guess"] else row["n0"]}


async def test_the_same_memory_has_the_same_fit(world: World) -> None:
    tenant, policy = await correlated(world)
    first, again = await fit(world, tenant, policy), await fit(world, tenant, policy)
    assert first is not None
    assert again is not None
    assert dict(first) == {**dict(again), "fitted_at": first["fitted_at"]}


async def test_noise_is_given_a_heavy_prior(world: World) -> None:
    tenant = await world.tenant()
    policy = await world.policy(tenant)
    dice = random.Random(1)
    await world.teach(
        tenant,
        *(
            Taught(
                f"{number}",
                {world.small: float(dice.random() < 0.5), world.large: float(dice.random() < 0.5)},
                vector([dice.gauss(0, 1) for _ in range(8)]),
            )
            for number in range(300)
        ),
    )
    row = await fit(world, tenant, policy)
    assert row is not None
    assert row["n0"] >= 80
    assert not row["guess"]


async def test_a_guess_is_made_where_tags_tell_more_than_neighbours(world: World) -> None:
    """Two tasks whose prompts are near each other: the tag's mean over many is better than a few neighbours."""
    tenant, policy = await correlated(world, 400, noise=0.3, k=5)
    row = await fit(world, tenant, policy)
    assert row is not None
    assert row["guess"]
    found = await world.decide(tenant, policy, direction(0))
    means = {each["model_id"]: each["mean"] for each in found}
    assert all(each["prior"] > means[each["model_id"]] + 0.05 for each in found)
    await world.policy(tenant, guess_task="never", k=5)
    never = await fit(world, tenant, policy)
    assert never is not None
    assert not never["guess"]


async def test_the_ridge_is_the_textbooks(world: World) -> None:
    """The matrix solves the normal equations of the trials, with the ridge that it names."""
    tenant, policy = await correlated(world, guess_task="never")
    row = await fit(world, tenant, policy)
    assert row is not None
    async with world.app.transaction():
        await world.app.execute(f"select router_internal._enter({tenant})")
        trials = await world.app.fetch(
            """
            with setup as materialized (
                select s.* from router_internal._setup($1, $2, $3, null, 1000, 0.9, 60) as s
            ),
            trials as (
                select array_agg(t) as found from setup as s
                cross join lateral router_internal._trials(
                    $1, $3, s.models, s.ledger_tokens, array[s.k], array[s.tau], s.rule, null, 0, 0,
                    1000, 60, 0, 0, false
                ) as t
            )
            select e.row_number, e.model, e.evidence, e.quality - e.prior as residual
            from trials cross join setup as s
            cross join lateral router_internal._expected(
                trials.found, s.rule, (2, false, null, null)::router_internal.fit, false
            ) as e
            order by e.row_number, e.model
            """,
            tenant, policy, world.space,
        )  # fmt: skip
    evidence = np.array([each["evidence"] for each in trials]).reshape(-1, 2)
    residual = np.array([each["residual"] for each in trials]).reshape(-1, 2)
    squares = evidence.T @ evidence
    ridge = row["lambda"] * np.trace(squares) / 2
    expected = np.linalg.solve(squares + ridge * np.eye(2), evidence.T @ residual)
    assert np.array(row["transfer"]).reshape(2, 2) == pytest.approx(expected, abs=1e-9)


async def test_models_with_gaps_are_fitted_on_the_rows_that_label_them(world: World) -> None:
    tenant, policy = await correlated(world)
    dice = random.Random(9)
    await world.teach(
        tenant,
        *(Taught(f"single {i}", {world.large: float(i % 2)}, vector([1.0, dice.random()])) for i in range(100)),
    )
    row = await fit(world, tenant, policy)
    assert row is not None
    assert (row["rows"], row["pairs"]) == (340, 240)
    assert len(row["transfer"]) == 4


async def test_single_labels_alone_fit_no_matrix_and_no_guess(world: World) -> None:
    tenant = await world.tenant()
    policy = await world.policy(tenant)
    dice = random.Random(4)
    await world.teach(
        tenant,
        *(
            Taught(
                f"{i}",
                {(world.small, world.large)[i % 2]: float(dice.random() < 0.7)},
                vector([dice.gauss(0, 1) for _ in range(8)]),
                task=("a", "b")[i % 3 > 0],
            )
            for i in range(400)
        ),
    )
    row = await fit(world, tenant, policy)
    assert row is not None
    assert (row["pairs"], row["transfer"], row["lambda"], row["guess"]) == (0, None, None, False)
    # Nothing here depends on the prompt, and single labels are not enough to believe that it does.
    assert row["n0"] == 1e6


async def test_with_fewer_than_two_hundred_memories_there_is_no_fit(world: World) -> None:
    tenant, policy = await correlated(world, 199)
    assert await fit(world, tenant, policy) is None
    assert await world.owner.fetchval("select count(*) from router.fits") == 0


async def test_a_fit_that_took_too_long_has_no_matrix(world: World) -> None:
    tenant, policy = await correlated(world)
    row = await fit(world, tenant, policy, seconds=0.0)
    assert row is not None
    assert (row["transfer"], row["rows"]) == (None, 30)


@pytest.mark.parametrize("setting", [{"n1": 7}, {"n2": 7}, {"ease": 9}, {"fit_n0": "off"}, {"guess_task": "always"}])
async def test_other_settings_make_a_fit_due(world: World, setting: dict[str, Any]) -> None:
    tenant, policy = await correlated(world)
    await fit(world, tenant, policy)
    due = "select count(*) from router.chores(6000, 90) where chore = 'fit'"
    assert await world.app.fetchval(due) == 0
    await world.policy(tenant, alpha=0.7, transfer=0.4)
    assert await world.app.fetchval(due) == 0
    await world.policy(tenant, **setting)
    assert await world.app.fetchval(due) == 1


async def test_labels_of_known_prompts_make_a_fit_due(world: World) -> None:
    """A candidate that is labelled on the prompts that are there already: the memory does not grow."""
    tenant, policy = await correlated(world)
    await world.model("new", 1.0, 1.0)
    await world.policy(tenant, ["small", "large", "new"])
    await fit(world, tenant, policy)
    due = "select count(*) from router.chores(6000, 90) where chore = 'fit'"
    assert await world.app.fetchval(due) == 0
    new = await world.owner.fetchval("select model_id from router.models where name = 'new'")
    await world.teach(
        tenant, *(Taught(f"{i}", {world.small: 1.0, world.large: 1.0, new: 0.5}, direction(i)) for i in range(5))
    )
    assert await world.app.fetchval(due) == 1
    assert await world.app.fetchval("select router.fit_due($1)", tenant) == 1
    assert await world.app.fetchval(due) == 0


@pytest.mark.parametrize("tau", [0.0001, 0.001])
async def test_a_tiny_tau_can_be_fitted_and_explained(world: World, tau: float) -> None:
    tenant, policy = await correlated(world, noise=0.6, tau=tau)
    assert await fit(world, tenant, policy) is not None
    rows = await world.app.fetch(
        "select * from router.evidence($1, $2, $3, $4, 100)", tenant, policy, world.space, direction(1)
    )
    assert len(rows) == 100


@pytest.mark.parametrize(
    "change",
    [
        "update router.fits set memories = 119",
        "update router.fits set memories = 600",
        "update router.fits set k = 99",
        "update router.fits set tau = 0.3",
    ],
)
async def test_a_stale_fit_is_not_used_and_is_due(world: World, change: str) -> None:
    tenant, policy = await correlated(world)
    await fit(world, tenant, policy)
    due = "select tenant_id, amount, churn from router.chores(6000, 90) where chore = 'fit'"
    assert await world.app.fetch(due) == []
    async with world.owner.transaction():
        await world.owner.execute(f"select router_internal._enter({tenant})")
        await world.owner.execute(change)
    found = await world.decide(tenant, policy, direction(0))
    assert {(row["share"], row["n0"]) for row in found} == {(0.0, 2.0)}
    assert [tuple(row) for row in await world.app.fetch(due)] == [(tenant, 240, 1)]
    assert await world.app.fetchval("select router.fit_due($1)", tenant) == 1
    assert await world.app.fetch(due) == []


async def test_a_candidate_that_came_since_borrows_nothing(world: World) -> None:
    tenant, policy = await correlated(world)
    row = await fit(world, tenant, policy)
    assert row is not None
    await world.model("new", 1.0, 1.0)
    await world.policy(tenant, ["small", "large", "new"])
    found = await world.decide(tenant, policy, direction(0))
    assert {each["share"] for each in found} == {0.0}
    assert await world.app.fetchval("select count(*) from router.chores(6000, 90) where chore = 'fit'") == 1


async def test_a_request_that_one_candidate_cannot_serve_still_hears_its_labels(world: World) -> None:
    tenant, policy = await correlated(world)
    await fitted(world, tenant, policy, 100, 0.2, 5.0, False, [0.4, 0.3, 0.2, 0.1])
    both = await world.decide(tenant, policy, direction(0.2))
    (alone,) = await world.decide(tenant, policy, direction(0.2), models=[])
    (same,) = [row for row in both if row["model_id"] == alone["model_id"]]
    for part in ("quality", "mean", "ease", "borrowed", "share", "prior"):
        assert alone[part] == same[part], part


async def test_a_shared_memory_takes_part_in_the_fit(world: World) -> None:
    tenant, policy = await correlated(world)
    alone = await fit(world, tenant, policy)
    base = await world.tenant("common")
    await world.teach(
        base,
        *(
            Taught(f"b{i}", {world.small: float(i % 2 == 0), world.large: 1.0}, direction(i % 2 * 1.5))
            for i in range(60)
        ),
    )
    await world.owner.execute("update router.tenants set shared = true where tenant_id = $1", base)
    await world.owner.execute("update router.tenants set base_id = $2 where tenant_id = $1", tenant, base)
    leaning = await fit(world, tenant, policy)
    await world.policy(tenant, base_weight=0)
    without = await fit(world, tenant, policy)
    assert alone is not None
    assert leaning is not None
    assert without is not None
    assert leaning["transfer"] != pytest.approx(alone["transfer"], abs=1e-3)
    assert without["transfer"] == alone["transfer"]


async def test_forgetting_everything_forgets_the_fit(world: World) -> None:
    tenant, policy = await correlated(world)
    await fit(world, tenant, policy)
    await world.app.fetch("select router.forget($1, null, true)", tenant)
    assert await world.owner.fetchval("select count(*) from router.fits") == 0


async def test_an_unknown_policy_and_a_sample_out_of_range_are_refused(world: World) -> None:
    tenant, policy = await correlated(world, 30)
    for call, code, field in (((policy + 1, 1000), "RT002", None), ((policy, 29), "22023", "sample")):
        with pytest.raises(asyncpg.PostgresError) as caught:
            await world.app.fetch("select router.fit($1, $2, $3, $4)", tenant, call[0], world.space, call[1])
        assert (caught.value.sqlstate, caught.value.column_name) == (code, field)
