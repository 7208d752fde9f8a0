"""A held-out memory is estimated as if it had never been taught."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import asyncpg
import numpy as np
import pytest

from tests.support.backtests import backtest, ruled
from tests.support.sql_world import Taught, World, vector

HELD_OUT = """
    with setup as materialized (
        select s.* from router_internal._setup($1, $2, $3, null, 16000, 0.9, 60) as s
    ),
    trials as materialized (
        select t from setup as s
        cross join lateral router_internal._trials(
            $1, $3, s.models, s.ledger_tokens, array[s.k], array[s.tau], s.rule, s.base, s.base_weight, s.seed_count,
            16000, 60, $4
        ) as t
    ),
    drawn as (
        select m.memory_id, row_number() over (order by hashint8extended(m.memory_id, $4), m.memory_id) as row_number
        from setup as s
        inner join router.memories as m on m.tenant_id = $1 and m.space_id = $3
        where not exists (select from unnest(s.models) as c (model_id) where m.quality[c.model_id] is null)
    )
    select d.memory_id, s.models[j.model] as model_id, j.*
    from setup as s
    cross join lateral router_internal._outcomes(
        array(select t from trials), s.input, s.output, s.ratio, s.rule,
        array[((s.rule).n0, (s.rule).guess_task = 'always', null, null)::router_internal.fit]
    ) as j
    inner join drawn as d on d.row_number = j.row_number
"""
SETTINGS: list[dict[str, Any]] = [
    {},
    {"k": 5, "tau": float("inf"), "n0": 0, "n0_task": 0, "n1": 0},
    {"k": 20, "tau": 0.05, "n0": 0.5, "n0_task": 30, "n1": 1, "guess_task": "always"},
    {"k": 1000, "tau": 1, "n0": 5, "n0_task": 0, "n1": 20, "n2": 0, "ease": float("inf")},
    {"base_weight": 40},
]


def random_lessons(dice: random.Random, models: Sequence[int], many: int) -> list[Taught]:
    """Teach prompts around a few topics, most of them labelled for every model, some taught by two sources."""
    topics = [[dice.gauss(0, 1) for _ in range(8)] for _ in range(4)]
    lessons = []
    for number in range(many):
        topic = dice.randrange(4)
        known = list(models) if dice.random() < 0.8 else dice.sample(list(models), 1)
        lesson = Taught(
            f"prompt {number}",
            {model: float(np.float32(dice.random())) for model in known},
            vector([x + dice.gauss(0, 0.7) for x in topics[topic]]),
            {model: float(dice.randint(1, 900)) for model in known if dice.random() < 0.6},
            dice.choice([None, "sums", "jokes"]) if number else "only this one",
            prompt_tokens=dice.randint(1, 500),
        )
        lessons.append(lesson)
        if number and dice.random() < 0.15:
            scores = {model: float(np.float32(dice.random())) for model in models}
            # Not the same to the last bit: the fifth of two equally near memories is not determined.
            nearly = vector([x + dice.gauss(0, 0.01) for x in lesson.embedding.to_list()[:8]])
            lessons.append(Taught(lesson.prompt, scores, nearly, {}, dice.choice([None, "sums"]), "judge", 77))
    return lessons


async def has_a_ledger(world: World, *tenants: int) -> None:
    """Set prices of the tenants' own, and ledger averages of two models."""
    for tenant in tenants:
        async with world.owner.transaction():
            await world.owner.execute(f"select router_internal._enter({tenant})")
            await world.owner.execute(
                "insert into router.tenant_prices (tenant_id, model_id, input_price, output_price, priced_on)"
                " values ($1, $2, 7, 31, '2026-01-01')",
                tenant, world.large,
            )  # fmt: skip
            await world.owner.execute(
                "insert into router.speeds (tenant_id, model_id, samples, updated_at, completion_tokens, completions,"
                " token_ratio) values ($1, $2, 3, now(), 333, 3, 1.25), ($1, $3, 3, now(), null, 0, 0.5)",
                tenant, world.small, world.large,
            )  # fmt: skip


async def three(world: World) -> tuple[list[int], list[str]]:
    """The models of most tests here: small, large and one between."""
    middle = await world.model("middle", 3.0, 9.0)
    return [world.small, world.large, middle], ["small", "large", "middle"]


@pytest.mark.parametrize("graduated", [False, True])
@pytest.mark.parametrize("chosen", SETTINGS)
async def test_a_held_out_memory_is_estimated_as_if_it_had_never_been(
    world: World, chosen: Mapping[str, Any], graduated: bool
) -> None:
    dice = random.Random(repr(chosen))
    models, names = await three(world)
    lessons = random_lessons(dice, models, 90)
    tenant = await world.tenant()
    policy = await world.policy(tenant, names, **chosen)
    base = await world.tenant("common")
    others = random_lessons(random.Random(2), models, 50)
    await world.teach(base, *(replace(lesson, prompt=f"common {lesson.prompt}") for lesson in others))
    await world.owner.execute("update router.tenants set shared = true where tenant_id = $1", base)
    leans = base if "base_weight" in chosen else None
    await world.owner.execute("update router.tenants set base_id = $2 where tenant_id = $1", tenant, leans)
    numbers = [memory for memory, _ in await world.teach(tenant, *lessons)]
    if chosen:
        await has_a_ledger(world, tenant)
    if graduated:
        await world.app.fetch("select router.graduate($1)", tenant)
    async with world.app.transaction():
        await world.app.execute(f"select router_internal._enter({tenant})")
        found = await world.app.fetch(HELD_OUT, tenant, policy, world.space, 1)
    by_memory: dict[int, dict[int, asyncpg.Record]] = {}
    for row in found:
        by_memory.setdefault(row["memory_id"], {})[row["model_id"]] = row
    labelled = [n for n, lesson in zip(numbers, lessons, strict=True) if len(lesson.scores) == 3]
    assert set(by_memory) == set(labelled)
    copied = [n for n, lesson in zip(numbers, lessons, strict=True) if lesson.source == "judge"]
    for number in {labelled[0], *copied[:3], *dice.sample(labelled, 4)}:
        held_out = lessons[numbers.index(number)]
        other = await world.tenant(f"without {number}")
        await world.owner.execute("update router.tenants set base_id = $2 where tenant_id = $1", other, leans)
        its_policy = await world.policy(other, names, **chosen)
        if chosen:
            await has_a_ledger(world, other)
        await world.teach(other, *(lesson for lesson in lessons if lesson.prompt != held_out.prompt))
        rows = await world.decide(
            other, its_policy, held_out.embedding, task=held_out.task, prompt_tokens=held_out.prompt_tokens, alpha=0.7
        )
        assert len(rows) == 3
        for row in rows:
            mine = by_memory[number][row["model_id"]]
            score = mine["estimate"] - 0.7 * mine["expected_usd"] / mine["unit_usd"]
            # How many labels a memory has weighs the ease; it is not counted anew for each held-out memory.
            assert mine["estimate"] == pytest.approx(row["quality"], abs=1e-4)
            assert mine["expected_usd"] == pytest.approx(row["cost_usd"], rel=1e-6)
            assert mine["tokens"] == pytest.approx(row["completion_tokens"], rel=1e-6)
            assert mine["confidence"] == pytest.approx(row["confidence"], abs=1e-6)
            assert mine["labels"] == row["labels"]
            assert score == pytest.approx(row["score"], abs=1e-4)
            assert mine["quality"] == held_out.scores[row["model_id"]]


async def test_a_shared_memorys_label_of_the_same_prompt_is_held_out_too(world: World) -> None:
    dice = random.Random(3)
    tenant = await world.tenant()
    policy = await world.policy(tenant, k=1, n0=0.1)
    # Prompts far from each other, with random labels: correct estimates would mean that the labels leaked.
    lessons = [
        Taught(f"{n}", {world.small: label, world.large: 1 - label}, vector([0.0] * n + [1.0]))
        for n in range(100)
        for label in [float(dice.random() < 0.5)]
    ]
    await world.teach(tenant, *lessons)
    base = await world.tenant("common")
    await world.teach(base, *lessons)
    await world.owner.execute("update router.tenants set shared = true where tenant_id = $1", base)
    alone = ruled(await backtest(world, tenant, policy), "policy")[0]["quality"]
    await world.owner.execute("update router.tenants set base_id = $2 where tenant_id = $1", tenant, base)
    leaning = ruled(await backtest(world, tenant, policy), "policy")[0]["quality"]
    assert max(alone, leaning) < 0.65


async def test_a_row_costs_what_its_answer_took(world: World) -> None:
    tenant = await world.tenant()
    policy = await world.policy(tenant)
    tokens = [100.0 * (i + 1) for i in range(40)]
    await world.teach(
        tenant,
        *(
            Taught(f"{i}", {world.small: 1, world.large: 1}, vector([1, i]), {world.small: n, world.large: n})
            for i, n in enumerate(tokens)
        ),
    )
    always = {row["model"]: row for row in ruled(await backtest(world, tenant, policy), "always")}
    mean = sum(tokens) / len(tokens)
    assert always["small"]["cost_usd"] == pytest.approx((10 * 1.0 + mean * 2.0) / 1e6)
    assert always["large"]["cost_usd"] == pytest.approx((10 * 10.0 + mean * 20.0) / 1e6)
