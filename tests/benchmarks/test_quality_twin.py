"""The numpy twin of the decision agrees with the SQL to 1e-4, for all settings, labels and tags."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import numpy as np
import pytest

from app.store.database import Database
from scripts.quality.cells import Deviation
from scripts.quality.label_sets import LabelSet
from scripts.quality.split import Embedded, Split
from scripts.quality.sql import Postgres
from scripts.quality.twin import Memory, Search, Settings, chosen, nearest

WIDTH = 384
ALPHAS = np.array([0.0, 0.01, 0.1, 0.3, 1.0, 10.0])
INFINITE = float("inf")


@pytest.fixture
async def postgres(database: str) -> AsyncIterator[Postgres]:
    db = Database(database, size=2, role=None)
    await db.open()
    yield Postgres(db)
    await db.close()


def split(*, models: int = 4, unknown: float = 0.0, free: bool = False, prompts: int = 160) -> Split:
    """Return prompts in four clusters, which are their tasks; a fifth of them has no tag."""
    rng = np.random.default_rng(7)
    cluster = rng.integers(0, 4, prompts)
    vectors = (rng.normal(size=(4, WIDTH))[cluster] + rng.normal(size=(prompts, WIDTH))).astype(np.float16)
    quality = np.clip(rng.random((prompts, models)) + 0.3 * (cluster[:, None] == np.arange(models)), 0, 1)
    cost = np.zeros((prompts, models)) if free else rng.random((prompts, models)) * 10.0 ** -np.arange(models)
    hidden = rng.random((prompts, models)) < unknown
    hidden[: prompts // 2] = False
    # Every prompt has the answer of some model, as in every set that is read.
    hidden[:, 0] = False
    quality[hidden], cost[hidden & (rng.random((prompts, models)) < 0.5)] = np.nan, np.nan
    tags = [f"task {number}" if rng.random() < 0.8 else None for number in cluster]
    names = [f"m{number}" for number in range(models)]
    labels = LabelSet("made up", [f"prompt {i}" for i in range(prompts)], tags, names, quality, cost)
    return Split.of(Embedded.of(labels, "test", vectors, rng.integers(1, 500, prompts)), 0)


async def compared(
    postgres: Postgres, some: Split, settings: Settings | None, *, tagged: bool, listed: bool = False
) -> Deviation:
    tenant = await postgres.taught(some, some.memory(listed=listed), tagged=tagged)
    return await postgres.compared(some, tenant, settings, some.asked, ALPHAS, tagged=tagged)


def assert_equal(found: Deviation) -> None:
    assert found.compared > 10
    assert max(found.quality, found.cost, found.score) < 1e-4, found
    assert found.choices == 0


@pytest.mark.parametrize("tagged", [False, True])
@pytest.mark.parametrize(
    "settings",
    [
        None,
        Settings(5, INFINITE, 0, 0, 0),
        Settings(20, INFINITE, 0, 0, 0),
        Settings(1, 0.05, 0, 20, 0),
        Settings(1000, 0.0001, 2, 10, 5),
        Settings(30, 0.1, 5, 0, 50, confidence_floor=0.2),
    ],
)
async def test_the_twin_decides_as_the_sql_does(postgres: Postgres, settings: Settings | None, tagged: bool) -> None:
    assert_equal(await compared(postgres, split(), settings, tagged=tagged))


async def test_the_twin_handles_unknown_cells(postgres: Postgres) -> None:
    some = split(unknown=0.7)
    for settings in (None, Settings(3, INFINITE, 0, 0, 0), Settings(20, 0.1, 2, 10, 5)):
        assert_equal(await compared(postgres, some, settings, tagged=True))


@pytest.mark.parametrize("own", [0, 1, 40])
async def test_the_twin_uses_a_shared_memory_as_the_sql_does(postgres: Postgres, own: int) -> None:
    some = split(unknown=0.3)
    shared = replace(some, taught=some.taught[40:])
    base = await postgres.taught(shared, shared.memory(), tagged=False)
    mine = some.memory_at(own, base.memory.prices)
    tenant = await postgres.taught(some, mine, tagged=True)
    await postgres.lean(tenant, base)
    assert_equal(await postgres.compared(some, tenant, None, some.asked, ALPHAS, tagged=True, base=base))


async def test_the_twin_has_list_prices(postgres: Postgres) -> None:
    assert_equal(await compared(postgres, split(), Settings(5, INFINITE, 0, 0, 0), tagged=False, listed=True))


async def test_the_twin_decides_where_nothing_costs_anything(postgres: Postgres) -> None:
    assert_equal(await compared(postgres, split(free=True), None, tagged=True))


async def test_the_twin_decides_between_two_models_and_between_eighteen(postgres: Postgres) -> None:
    for models in (2, 18):
        assert_equal(await compared(postgres, split(models=models), None, tagged=False))


async def test_a_twin_that_is_wrong_is_found_out(postgres: Postgres) -> None:
    some = split()
    tenant = await postgres.taught(some, some.memory(), tagged=False)
    tenant.memory.quality[:, 0] = 0.0
    found = await postgres.compared(some, tenant, None, some.asked, ALPHAS, tagged=False)
    assert found.quality > 0.01
    assert found.choices > 0


def without(memory: Memory, row: int) -> Memory:
    rest = np.delete(np.arange(len(memory.quality)), row)
    return Memory(memory.rows.part(rest), memory.quality[rest], memory.tokens[rest], memory.prices)


@pytest.mark.parametrize("tagged", [False, True])
def test_a_memory_left_out_is_as_if_it_had_not_been_taught(tagged: bool) -> None:
    memory = split(unknown=0.5).memory()
    settings = Settings(20, 0.2, 2, 10, 5)
    own = np.array([3, 50, 90])
    left_out = Search(memory, memory.rows.part(own), 20, own).estimates(settings, tagged=tagged)
    for at, row in enumerate(own.tolist()):
        rest = Search(without(memory, row), memory.rows.part(own[at : at + 1]), 20).estimates(settings, tagged=tagged)
        np.testing.assert_allclose(left_out.quality[at], rest.quality[0], rtol=1e-6)
        np.testing.assert_allclose(left_out.confidence[at], rest.confidence[0], rtol=1e-6)


def test_the_nearest_are_those_of_a_full_sort() -> None:
    some = split()
    memory, questions = some.memory(), some.data.questions.part(some.asked)
    near = nearest(memory, questions, 7)
    everything = questions.vectors @ memory.rows.vectors.T
    np.testing.assert_allclose(near.similarity, -np.sort(-everything, axis=1)[:, :7])


def test_of_equal_scores_the_cheaper_model_is_taken() -> None:
    some = split()
    found = Search(some.memory(), some.data.questions.part(some.asked), 20).estimates(
        Settings(20, 0.2, 2, 10, 5), tagged=False
    )
    found.quality[:] = 0.5
    choices = chosen(found, np.array([0.0]), 0, Settings(20, 0.2, 2, 10, 5))
    assert (choices[0] == found.cost.argmin(axis=1)).all()
