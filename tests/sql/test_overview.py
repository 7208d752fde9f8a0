"""Views and status for people: the overview, recent decisions, memories and the next step."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tests.support.ledger import routed
from tests.support.sql_world import START, Taught, World, direction, uuid7


async def test_the_overview_adds_up_the_last_day(world: World) -> None:
    common = await routed(world)
    now = await world.owner.fetchval("select now()")
    await world.teach(common["tenant_id"], Taught("p", {world.small: 1.0}))
    await world.log(
        {**common, "decision_id": uuid7(now, 1), "model_id": world.small},
        {**common, "decision_id": uuid7(now, 2), "model_id": world.large, "cached_tokens": 500},
        {**common, "decision_id": uuid7(now, 3), "model_id": world.small, "completion_tokens": None},
        {**common, "decision_id": uuid7(now - timedelta(days=2), 4), "model_id": world.small},
        {**common, "decision_id": uuid7(now, 5), "model_id": world.small, "policy_id": None},
    )
    (row,) = await world.owner.fetch("select * from router.overview")
    spent, default = 0.0012 + 0.0075, 0.012 + 0.0075
    assert dict(row) == {
        "tenant": "acme", "policy": "auto", "backend": "knn", "default_model": "large", "memories": 1, "seed_count": 1,
        "ready": True, "graduated": False, "decisions": 3, "to_default": 1, "spent_usd": pytest.approx(spent),
        "default_usd": pytest.approx(default), "saved_percent": round(row["saved_percent"], 1),
    }  # fmt: skip
    assert float(row["saved_percent"]) == pytest.approx(100 * (1 - spent / default), abs=0.05)


async def test_the_overview_shows_a_tenant_that_has_done_nothing(world: World) -> None:
    await world.policy(await world.tenant(), seed_count=0)
    (row,) = await world.owner.fetch("select * from router.overview")
    assert (row["memories"], row["ready"], row["decisions"], row["saved_percent"]) == (0, False, 0, None)


async def test_recent_decisions_are_the_last_day_newest_first(world: World) -> None:
    common = await routed(world)
    now = await world.owner.fetchval("select now()")
    await world.log(
        {**common, "decision_id": uuid7(now - timedelta(days=2), 1)},
        {**common, "decision_id": uuid7(now - timedelta(hours=2), 2), "model_id": world.large},
        {**common, "decision_id": uuid7(now, 3), "requested": "small", "confidence": 0.123, "completion_tokens": None},
    )
    rows = await world.owner.fetch("select * from router.recent_decisions")
    names = ("tenant", "asked", "served_by", "reason", "spent_usd")
    assert [tuple(row[name] for name in names) for row in rows] == [
        ("acme", "small", "small", "learned", None),
        ("acme", "auto", "large", "learned", Decimal("0.012")),
    ]
    assert float(rows[0]["confidence"]) == 0.12
    assert rows[0]["decision_id"] == uuid7(now, 3)


async def test_the_memory_is_readable(world: World) -> None:
    tenant = await world.tenant()
    await world.teach(
        tenant, Taught("two and two", {world.large: 0.5}, direction(1), task="sums", source="judge"), at=START
    )
    (row,) = await world.owner.fetch("select * from router.memory")
    assert dict(row) == {
        "tenant": "acme", "memory_id": row["memory_id"], "task": "sums", "source": "judge",
        "scores": '{"large": 0.500}', "taught_at": START, "space": "space", "prompt": "two and two",
    }  # fmt: skip


async def test_an_explanation_shows_the_evidence_of_the_decision(world: World) -> None:
    tenant = await world.tenant()
    policy = await world.policy(tenant, k=2, tau=0.5)
    lessons = [Taught(f"{i}", {world.small: i / 4}, direction(i / 2), task="t" if i else None) for i in range(4)]
    await world.teach(tenant, *lessons)
    rows = await world.app.fetch(
        "select * from router.evidence($1, $2, $3, $4, 10)", tenant, policy, world.space, direction(0)
    )
    assert [(row["prompt"], row["task"], row["models"], row["scores"]) for row in rows] == [
        ("0", None, ["small"], [0.0]),
        ("1", "t", ["small"], [0.25]),
    ]
    assert rows[0]["similarity"] == pytest.approx(1, abs=1e-3)
    assert rows[1]["weight"] == pytest.approx(2.718281828 ** ((rows[1]["similarity"] - 1) / 0.5), rel=1e-4)


async def test_status_names_models_that_are_only_explored(world: World) -> None:
    tenant = await world.tenant()
    await world.policy(tenant, name="still", seed_count=1)
    await world.policy(tenant, name="curious", seed_count=1, explore_share=0.1)
    await world.teach(tenant, Taught("labelled", {world.large: 1.0}))
    rows = await world.app.fetch("select * from router.status($1, $2)", tenant, world.space)
    assert {row["policy"]: row["next_step"] for row in rows} == {
        "still": "label model small: it has no labels and is never chosen",
        "curious": "label model small: it has no labels and is chosen to explore alone",
    }


async def test_status_has_the_next_step(world: World) -> None:
    tenant = await world.tenant()
    await world.policy(tenant, seed_count=3)
    await world.policy(tenant, name="draw", backend="weighted")

    async def steps(space: int | None = None) -> dict[str, str]:
        rows = await world.app.fetch("select * from router.status($1, $2)", tenant, space or world.space)
        return {row["policy"]: row["next_step"] for row in rows}

    assert await steps() == {"auto": "teach 3 more examples", "draw": "policy draw needs no memory"}
    await world.teach(tenant, *(Taught(f"{i}", {world.small: 1.0}) for i in range(3)))
    assert (await steps())["auto"] == "label model large: it has no labels and serves, as nothing compares with it"
    await world.teach(tenant, Taught("labelled", {world.large: 1.0}, task="sums"))
    assert (await steps())["auto"] == "ready"
    other = await world.owner.fetchval("select router.register_space('other', 64)")
    assert (await steps(other))[
        "auto"
    ] == "4 memories are of another embedder: run pgrouter reembed --tenant 'acme' --to other"


async def test_status_has_what_is_missing(world: World) -> None:
    await world.model("new", 0.1, 0.1)
    tenant = await world.tenant()
    policy = await world.policy(tenant, ["small", "large", "new"], seed_count=40)
    await world.policy(tenant, name="draw", backend="weighted")
    await world.teach(tenant, Taught("one", {world.small: 1.0}, task="jokes"), Taught("two", {world.large: 1.0}))
    asked = {"tenant_id": tenant, "policy_id": policy, "task": "sql"}
    await world.log(
        {**asked, "decision_id": uuid7(datetime.now(UTC))},
        {**asked, "decision_id": uuid7(datetime.now(UTC) - timedelta(days=2), 2), "task": "long ago"},
    )
    rows = await world.app.fetch("select * from router.status($1, $2)", tenant, world.space)
    found = {(row["policy"], row["task"]): (row["task_memories"], row["unlabelled"], row["missing"]) for row in rows}
    examples, labels = "38 more examples", "no labels of new"
    assert found == {
        ("auto", "jokes"): (1, ["new"], [examples, labels]),
        ("auto", "sql"): (0, ["new"], [examples, "none yet for task sql", labels]),
        ("draw", "jokes"): (1, [], []),
    }
