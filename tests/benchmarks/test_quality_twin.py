"""The numpy twin of the decision agrees with the SQL to 1e-6, for all settings, labels and tags."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import numpy as np
import pytest

from app.store.database import Database
from scripts.quality import deviation
from scripts.quality.cells import Deviation
from scripts.quality.memory import Memory, nearest
from scripts.quality.report import APART
from scripts.quality.settings import ALPHA, EARLIER, NEW, Settings
from scripts.quality.split import Split
from scripts.quality.sql import Postgres
from scripts.quality.twin import Search, chosen
from tests.benchmarks.quality_world import split

ALPHAS = np.array([0.0, 0.01, 0.1, 0.3, 1.0, 10.0])
INFINITE = float("inf")


@pytest.fixture
async def postgres(database: str) -> AsyncIterator[Postgres]:
    db = Database(database, size=2, role=None)
    await db.open()
    yield Postgres(db)
    await db.close()


async def compared(
    postgres: Postgres, some: Split, settings: Settings | None, *, tagged: bool, listed: bool = False
) -> Deviation:
    tenant = await postgres.taught(some, some.memory(listed=listed), tagged=tagged)
    return await deviation.compared(postgres, some, tenant, settings, some.asked, ALPHAS, tagged=tagged)


def assert_equal(found: Deviation) -> None:
    assert found.compared > 10
    assert max(found.quality, found.cost, found.score) < APART, found
    assert (found.choices, found.other_fits) == (0, 0)
    assert found.transfer < APART


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


async def test_the_settings_compared_are_those_of_a_new_policy(postgres: Postgres) -> None:
    some = split()
    tenant = await postgres.taught(some, some.memory(), tagged=False)
    _, settings, alpha = await postgres.policy(tenant)
    assert (settings, alpha) == (NEW, ALPHA)


@pytest.mark.parametrize("tagged", [False, True])
@pytest.mark.parametrize(
    "settings",
    [
        NEW,
        EARLIER,
        replace(NEW, k=15, tau=0.1, n2=0.0),
        replace(NEW, fit_n0="off", guess_task="always", n1=0.0),
        replace(NEW, ease=INFINITE, transfer=1.0, guess_task="never"),
    ],
)
@pytest.mark.parametrize("unknown", [0.0, 0.6])
async def test_the_twin_fits_as_the_sql_does(
    postgres: Postgres, settings: Settings, tagged: bool, unknown: float
) -> None:
    some = split(models=5, prompts=300, unknown=unknown)
    tenant = await postgres.taught(some, some.memory(), tagged=True)
    found = await deviation.compared(postgres, some, tenant, settings, some.asked, ALPHAS, tagged=tagged)
    assert_equal(found)
    assert found.fits == int(settings.fitted)


async def test_the_twin_fits_single_labels_as_the_sql_does(postgres: Postgres) -> None:
    some = split(models=3, prompts=300)
    labels = some.data.labels
    for row in some.taught.tolist():
        labels.quality[row, np.arange(3) != row % 3] = np.nan
    assert_equal(await compared(postgres, some, NEW, tagged=False))


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
    assert_equal(await deviation.compared(postgres, some, tenant, None, some.asked, ALPHAS, tagged=True, base=base))


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
    found = await deviation.compared(postgres, some, tenant, None, some.asked, ALPHAS, tagged=False)
    assert found.quality > 0.01
    assert found.choices > 0


def without(memory: Memory, row: int) -> Memory:
    rest = np.delete(np.arange(len(memory.quality)), row)
    return Memory(memory.rows.part(rest), memory.quality[rest], memory.tokens[rest], memory.prices)


@pytest.mark.parametrize("tagged", [False, True])
def test_a_memory_left_out_is_as_if_it_had_not_been_taught(tagged: bool) -> None:
    memory = split(unknown=0.5).memory()
    settings = replace(NEW, k=20, ease=INFINITE, guess_task="always")
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
