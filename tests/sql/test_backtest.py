"""Promises of backtest: what it says of a memory is what would have been decided without it."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import asyncpg
import numpy as np
import pytest

from app.entities import POLICY_SETTINGS
from tests.support.sql_world import Taught, World, connect, vector

HELD_OUT = """
    with setup as materialized (
        select s.* from router_internal._setup($1, $2, $3, null, 16000, 0.9, 60) as s
    ),
    trials as materialized (
        select t from setup as s
        cross join lateral router_internal._trials(
            $1, $3, s.models, s.ledger_tokens, array[s.k], array[s.tau], s.n1, s.base, s.base_weight, s.seed_count,
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
        array(select t from trials), s.input, s.output, s.ratio, s.n0, s.n0_task
    ) as j
    inner join drawn as d on d.row_number = j.row_number
"""
SETTINGS: list[dict[str, Any]] = [
    {},
    {"k": 5, "tau": float("inf"), "n0": 0, "n0_task": 0, "n1": 0},
    {"k": 20, "tau": 0.05, "n0": 0.5, "n0_task": 30, "n1": 1},
    {"k": 1000, "tau": 1, "n0": 5, "n0_task": 0, "n1": 20},
    {"base_weight": 40},
]


def random_lessons(dice: random.Random, models: Sequence[int], many: int) -> list[Taught]:
    """Prompts around a few topics, most of them labelled for every model, some taught by two sources."""
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
            # Not the same to the last bit: which of two that are equally near is the fifth, nobody says.
            nearly = vector([x + dice.gauss(0, 0.01) for x in lesson.embedding.to_list()[:8]])
            lessons.append(Taught(lesson.prompt, scores, nearly, {}, dice.choice([None, "sums"]), "judge", 77))
    return lessons


async def backtest(
    world: World, tenant: int, policy: int, by: asyncpg.Connection | None = None, **arguments: Any
) -> list[asyncpg.Record]:
    """The rows of router.backtest, asked as the proxy asks."""
    names = "".join(f", p_{name} => ${number}" for number, name in enumerate(arguments, 4))
    rows: list[asyncpg.Record] = await (by or world.app).fetch(
        f"select * from router.backtest($1, $2, $3{names})", tenant, policy, world.space, *arguments.values()
    )
    return rows


def ruled(rows: Sequence[asyncpg.Record], rule: str) -> list[asyncpg.Record]:
    """The rows of one rule."""
    return [row for row in rows if row["rule"] == rule]


def settings(**chosen: Any) -> tuple[Any, ...]:
    """A `policy_settings` with these values."""
    return tuple(chosen.get(setting) for setting in POLICY_SETTINGS)


async def has_a_ledger(world: World, *tenants: int) -> None:
    """Prices of the tenants' own, and what their ledgers say of two models."""
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


# One memory.


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
            assert mine["estimate"] == pytest.approx(row["quality"], abs=1e-6)
            assert mine["expected_usd"] == pytest.approx(row["cost_usd"], rel=1e-6)
            assert mine["tokens"] == pytest.approx(row["completion_tokens"], rel=1e-6)
            assert mine["confidence"] == pytest.approx(row["confidence"], abs=1e-6)
            assert mine["labels"] == row["labels"]
            assert score == pytest.approx(row["score"], abs=1e-6)
            assert mine["quality"] == held_out.scores[row["model_id"]]


async def test_what_a_shared_memory_says_of_the_same_prompt_is_held_out_too(world: World) -> None:
    dice = random.Random(3)
    tenant = await world.tenant()
    policy = await world.policy(tenant, k=1, n0=0.1)
    # Prompts far from each other, with labels by lot: whoever gets them right has seen them.
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


# The curve.


async def specialists(world: World, many: int = 120, **chosen: Any) -> tuple[int, int]:
    """A tenant whose two topics are each answered well by one model: small knows one, large mostly the other."""
    dice = random.Random(5)
    tenant = await world.tenant()
    policy = await world.policy(tenant, **chosen)
    lessons = []
    for number in range(many):
        easy = number % 2 == 0
        centre = [1.0, 0.0] if easy else [0.0, 1.0]
        lessons.append(
            Taught(
                f"{number}",
                {world.small: 1.0 if easy else float(dice.random() < 0.2), world.large: float(dice.random() < 0.9)},
                vector([x + dice.gauss(0, 0.1) for x in centre]),
            )
        )
    await world.teach(tenant, *lessons)
    return tenant, policy


async def test_the_curve_goes_from_the_best_to_the_cheapest(world: World) -> None:
    tenant, policy = await specialists(world)
    rows = await backtest(world, tenant, policy)
    policies = ruled(rows, "policy")
    alphas = [row["alpha"] for row in policies]
    assert alphas == sorted(set(alphas))
    assert alphas[0] == 0
    assert [row["alpha"] for row in policies if row["in_use"]] == [0.1]
    (cheapest,) = ruled(rows, "cheapest")
    assert (cheapest["model"], cheapest["alpha"]) == ("small", None)
    assert policies[-1]["cost_usd"] == pytest.approx(cheapest["cost_usd"])
    assert policies[-1]["shares"] == [1.0, 0.0]
    # Knowing who answers what is worth more than any mixture.
    assert policies[0]["gain_low"] > 0.05
    assert policies[0]["quality_ratio"] > 1
    assert policies[0]["cost_ratio"] < 0.7


async def test_every_rule_is_there_and_adds_up(world: World) -> None:
    tenant, policy = await specialists(world)
    rows = await backtest(world, tenant, policy)
    assert {row["model"] for row in ruled(rows, "always")} == {"small", "large"}
    singles = {row["model"]: row for row in ruled(rows, "always")}
    (default,), (best,), (oracle,) = (ruled(rows, rule) for rule in ("default", "best_single", "oracle"))
    assert (default["model"], default["quality_ratio"], default["cost_ratio"]) == ("large", 1, 1)
    assert best["quality"] == max(row["quality"] for row in singles.values())
    assert oracle["quality"] >= max(row["quality"] for row in rows)
    for row in rows:
        assert row["models"] == ["small", "large"]
        assert sum(row["shares"]) == pytest.approx(1)
        assert row["quality_low"] <= row["quality"] <= row["quality_high"]
        assert row["gain"] == pytest.approx(row["quality"] - row["blend_quality"])
        assert row["quality_ratio_low"] <= row["quality_ratio"] + 1e-6
        assert row["cost_ratio"] == pytest.approx(row["cost_usd"] / singles["large"]["cost_usd"])
        assert (row["rows"], row["skipped"], row["sampled"]) == (120, 0, False)


async def test_a_mixture_of_single_models_gains_nothing(world: World) -> None:
    found = await world.owner.fetch(
        "select c, router_internal._static_blend(array[1, 3, 2, 5], array[0.5, 0.9, 0.55, 0.7], c)"
        " from unnest(array[0.5, 1, 2, 3, 4, 9]::float8[]) as c"
    )
    assert [row[1] for row in found] == pytest.approx([0.5, 0.5, 0.7, 0.9, 0.9, 0.9])


async def test_settings_given_replace_the_policys(world: World) -> None:
    tenant, policy = await specialists(world)
    plain: dict[str, Any] = {"k": 3, "tau": float("inf"), "n0": 0, "n0_task": 0, "alpha": 0.05}
    given = await backtest(world, tenant, policy, settings=settings(**plain))
    await world.policy(tenant, **plain)
    assert given == await backtest(world, tenant, policy)
    assert [row["alpha"] for row in given if row["in_use"]] == [0.05]


async def test_alphas_given_are_the_curve_with_the_policys_own(world: World) -> None:
    tenant, policy = await specialists(world)
    rows = await backtest(world, tenant, policy, alphas=[1.0, 0.05])
    found = [(row["alpha"], row["in_use"]) for row in ruled(rows, "policy")]
    assert found == [(0.05, False), (0.1, True), (1.0, False)]


async def test_a_choice_without_support_is_the_default(world: World) -> None:
    tenant, policy = await specialists(world, confidence_floor=1)
    for row in ruled(await backtest(world, tenant, policy), "policy"):
        assert row["shares"] == [0.0, 1.0]


# The sample.


async def test_a_seed_says_which_rows(world: World) -> None:
    tenant, policy = await specialists(world)
    once = await backtest(world, tenant, policy, sample=40, seed=3)
    assert once == await backtest(world, tenant, policy, sample=40, seed=3)
    assert once != await backtest(world, tenant, policy, sample=40, seed=4)
    assert {(row["rows"], row["sampled"]) for row in once} == {(40, True)}


async def test_when_time_is_over_it_says_how_far_it_came(world: World) -> None:
    tenant, policy = await specialists(world)
    rows = await backtest(world, tenant, policy, seconds=0.0)
    assert {(row["rows"], row["sampled"]) for row in rows} == {(30, True)}


async def test_memories_that_do_not_label_every_candidate_are_skipped(world: World) -> None:
    tenant, policy = await specialists(world)
    await world.teach(tenant, *(Taught(f"half {i}", {world.small: 1.0}) for i in range(7)))
    rows = await backtest(world, tenant, policy)
    assert {(row["rows"], row["skipped"], row["sampled"]) for row in rows} == {(120, 7, False)}


async def test_too_few_labels_are_an_error_that_counts_them(world: World) -> None:
    tenant, policy = await specialists(world, 29)
    await world.teach(tenant, Taught("half", {world.small: 1.0}))
    with pytest.raises(asyncpg.PostgresError, match="29 of 30 memories label every candidate, 30 are needed") as caught:
        await backtest(world, tenant, policy)
    assert caught.value.sqlstate == "RT010"


async def test_bad_questions_name_what_is_wrong(world: World) -> None:
    tenant, policy = await specialists(world)
    await world.model("free", None, None)
    unpriced = await world.policy(tenant, ["free"], default="small", name="unpriced", backend="none")
    for code, number, arguments in (
        ("RT002", policy + 100, {}),
        ("RT004", unpriced, {}),
        ("22023", policy, {"sample": 29}),
        ("22023", policy, {"sample": 16001}),
        ("22023", policy, {"confidence": 1.0}),
        ("22023", policy, {"alphas": [-1.0]}),
        ("22023", policy, {"resamples": 1}),
    ):
        with pytest.raises(asyncpg.PostgresError) as caught:
            await backtest(world, tenant, number, **arguments)
        assert caught.value.sqlstate == code


async def test_it_only_reads(world: World) -> None:
    tenant, policy = await specialists(world)
    async with world.app.transaction(readonly=True):
        assert await backtest(world, tenant, policy)


async def test_a_reader_sees_what_the_proxy_sees(world: World) -> None:
    tenant, policy = await specialists(world)
    await world.owner.execute("select router.grant_tenant('router_reader', null)")
    reader = await connect(world.dsn, "router_reader")
    try:
        assert await backtest(world, tenant, policy, by=reader) == await backtest(world, tenant, policy)
    finally:
        await reader.close()
        await world.owner.execute("select router.revoke_tenant('router_reader', null)")


@pytest.mark.parametrize("wrong", [
    {"sample": None}, {"confidence": None}, {"resamples": None}, {"seconds": None}, {"seconds": float("nan")},
    {"seconds": -1.0}, {"alphas": [0.1, None]}, {"settings": settings(k=0)}, {"settings": settings(tau=0.0)},
    {"settings": settings(tau=float("nan"))}, {"settings": settings(n0=-1.0)}, {"settings": settings(n1=float("nan"))},
    {"settings": settings(alpha=101.0)}, {"settings": settings(confidence_floor=2.0)},
])  # fmt: skip
async def test_what_is_null_or_out_of_range_is_named(world: World, wrong: dict[str, Any]) -> None:
    tenant, policy = await specialists(world, 30)
    with pytest.raises(asyncpg.InvalidParameterValueError) as caught:
        await backtest(world, tenant, policy, **wrong)
    assert caught.value.column_name == next(iter(wrong))
