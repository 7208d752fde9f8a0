"""Regimes of labels and baselines without a router: deterministic, and what their names promise."""

from __future__ import annotations

import numpy as np
import pytest

from scripts.quality.baselines import corners, honest_blend, references
from scripts.quality.cells import BEST, CHEAP, ORACLE, STRONG
from scripts.quality.memory import Memory
from scripts.quality.metrics import World, gain
from scripts.quality.regimes import (  # fmt: skip
    DEFAULT,
    EMPTY,
    FLIPPED,
    FULL,
    ONE,
    REGIMES,
    SEEDED,
    SERVED,
    THUMBS_EMPTY,
    THUMBS_SEEDED,
    TWO,
    regimes,
)
from tests.benchmarks.quality_world import memory, split


@pytest.fixture(scope="module")
def some() -> Memory:
    """500 memories with all labels of four models; half of them are right or wrong."""
    return split(prompts=625).memory()


@pytest.fixture(scope="module")
def found(some: Memory) -> dict[str, Memory]:
    return dict(regimes(some, 1, 2))


def counts(found: Memory) -> list[int]:
    return [int(many) for many in np.isfinite(found.quality).sum(axis=1)]


def test_every_regime_is_made_and_the_same_seed_makes_the_same(some: Memory, found: dict[str, Memory]) -> None:
    assert tuple(found) == (*REGIMES[:5], EMPTY, THUMBS_EMPTY, SEEDED, THUMBS_SEEDED)
    again, other = dict(regimes(some, 1, 2)), dict(regimes(some, 2, 2))
    for name, each in found.items():
        np.testing.assert_array_equal(each.quality, again[name].quality)
        np.testing.assert_array_equal(np.isnan(each.quality), np.isnan(each.tokens))
        # Nothing is drawn where all labels are known, or the policy alone chooses.
        if name not in (FULL, SEEDED):
            assert each.quality.shape != other[name].quality.shape or not np.array_equal(
                each.quality, other[name].quality, equal_nan=True
            )


def test_random_regimes_have_so_many_labels_of_every_prompt(some: Memory, found: dict[str, Memory]) -> None:
    assert counts(found[FULL]) == [4] * 500
    assert counts(found[ONE]) == [1] * 500
    assert counts(found[TWO]) == [2] * 500
    assert TWO not in dict(regimes(split(models=2).memory(), 1, 0))


def test_wrong_labels_are_turned(some: Memory, found: dict[str, Memory]) -> None:
    turned = found[FLIPPED].quality != some.quality
    assert turned.mean() == pytest.approx(0.15, abs=0.03)
    np.testing.assert_allclose(found[FLIPPED].quality[turned], 1 - some.quality[turned])


def test_a_served_prompt_has_one_label_and_nine_of_ten_the_defaults(found: dict[str, Memory]) -> None:
    assert counts(found[DEFAULT]) == counts(found[EMPTY]) == [1] * 500
    # Of the tenth that is explored, a quarter is the default's.
    assert np.isfinite(found[DEFAULT].quality[:, 2]).mean() == pytest.approx(0.925, abs=0.04)
    # Before it has learned anything, the policy serves its default.
    assert np.isfinite(found[EMPTY].quality[:100, 2]).mean() > 0.85
    assert np.isfinite(found[EMPTY].quality[100:, 2]).mean() < 0.85
    assert counts(found[SEEDED]) == [4] * 100 + [1] * 400


def test_thumbs_are_some_of_the_served_answers_and_more_of_the_bad_ones(found: dict[str, Memory]) -> None:
    reported = found[THUMBS_EMPTY].quality
    given = reported[np.isfinite(reported)]
    assert set(given.tolist()) == {0.0, 1.0}
    assert 20 < len(given) < 250
    assert given.mean() < 0.5
    assert counts(found[THUMBS_SEEDED])[:100] == [4] * 100
    assert set(counts(found[THUMBS_SEEDED])[100:]) == {1}
    assert set(REGIMES) >= set(SERVED)


def test_the_honest_blend_has_the_models_that_the_memory_prefers() -> None:
    # Model 1 seems best and model 2 worse than 0; all cost more than the one before.
    taught = memory([[0.5, 1.0, 0.0], [0.5, 1.0, 0.5]])
    assert corners(taught) == [0, 1]
    # On the questions model 2 is best.
    quality, cost = np.tile([0.5, 0.6, 1.0], (4, 1)), np.tile([1.0, 2.0, 3.0], (4, 1))
    world = World.of(quality, cost, strong=1, weak=0)
    # The hull leads from (1, 0.5) to (3, 1); the memory's blend from (1, 0.5) to (2, 0.6), and stays there.
    by_hand = (0.55 + 0.6) / 2 - 0.75
    assert gain(world, honest_blend(world, taught)) == pytest.approx(100 * by_hand, abs=0.1)
    right = memory([[0.5, 0.6, 1.0]] * 2)
    assert gain(world, honest_blend(world, right)) == pytest.approx(0, abs=1e-9)


def test_a_memory_without_labels_blends_nothing_but_the_default() -> None:
    empty = memory(np.zeros((0, 3)))
    assert corners(empty) == []
    world = World.of(np.tile([0.0, 0.5, 1.0], (4, 1)), np.tile([1.0, 2.0, 3.0], (4, 1)), strong=2, weak=0)
    assert honest_blend(world, empty).quality.tolist() == [1.0]


def test_a_model_without_labels_is_no_corner() -> None:
    assert corners(memory([[0.5, np.nan, 1.0]])) == [0, 2]


def test_a_single_model_is_compared_with_the_blend_of_its_own_cost() -> None:
    quality, cost = np.tile([0.5, 0.6, 1.0], (4, 1)), np.tile([1.0, 2.0, 3.0], (4, 1))
    world = World.of(quality, cost, strong=1, weak=0)
    # The line from (1, 0.5) to (3, 1) has 0.75 at the default's cost.
    found = references(world)
    assert found == pytest.approx({ORACLE: 0, CHEAP: 0, STRONG: -15, BEST: 0}, abs=1e-9)
