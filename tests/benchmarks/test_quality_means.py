"""Means and priors of the twin, calculated by hand."""

from __future__ import annotations

import numpy as np
import pytest

from scripts.quality.means import guesses, means, of_guess, of_task
from scripts.quality.memory import Near
from tests.benchmarks.quality_world import NAN, memory


def test_without_shrinkage_a_mean_is_that_of_all_labels() -> None:
    some = memory([[1, 0], [0, NAN], [NAN, 1]])
    assert means(some, 0).tolist() == [[0.5, 0.5]]


def test_paired_labels_are_shrunk_to_single_ones_and_these_to_the_common_mean() -> None:
    some = memory([[1, 0], [1, NAN], [0, NAN], [NAN, 1]])
    # Model 0: paired 1 of 1, single 1 of 2; model 1: paired 0 of 1, single 1 of 1.
    common = (2 / (3 + 20) + 1 / (2 + 20)) / (3 / (3 + 20) + 2 / (2 + 20))
    first = (1 + 20 * (1 + 20 * common) / (2 + 20)) / (1 + 20)
    second = (0 + 20 * (1 + 20 * common) / (1 + 20)) / (1 + 20)
    assert means(some, 20)[0] == pytest.approx([first, second])


def test_a_shared_mean_takes_the_place_of_the_common_one() -> None:
    some = memory([[1, NAN, NAN], [1, NAN, NAN]])
    found = means(some, 2, shared=np.array([0.5, 0.25, NAN]))
    # The only labels are single: (0 + 2 s) / 2 with s = (2 + 2 * 0.5) / 4. Without labels the shared mean is left.
    assert found[0] == pytest.approx([0.75, 0.25, NAN], nan_ok=True)
    assert means(some, 0, shared=np.array([0.5, 0.25, NAN]))[0] == pytest.approx([1, 0.25, NAN], nan_ok=True)


def test_own_labels_are_left_out_of_a_mean() -> None:
    some = memory([[1, 0], [0, 1], [1, NAN], [0, 0]])
    rest = some.part(np.array([0, 2, 3]))
    assert means(some, 20, np.array([1]))[0] == pytest.approx(means(rest, 20)[0])
    assert np.isnan(means(memory([[1, 1], [1, NAN]]), 20, np.array([0]))[0]).tolist() == [False, True]


def test_a_task_is_shrunk_to_the_wider_mean() -> None:
    some = memory([[1, 1], [1, 0], [0, NAN]], task=[0, 0, 1])
    prior, counts = of_task(some.sums[0], some.quality, np.array([0, 1, 7, -1]), None, 2, np.full((4, 2), 0.5))
    np.testing.assert_allclose(prior, [[3 / 4, 2 / 4], [1 / 3, 1 / 2], [1 / 2, 1 / 2], [1 / 2, 1 / 2]])
    assert counts.tolist() == [[2, 2], [1, 0], [0, 0], [0, 0]]


def near(*similarity: float) -> Near:
    return Near(np.array([similarity]), np.arange(len(similarity))[None])


def test_a_task_is_guessed_by_the_weights_of_the_tagged_neighbours() -> None:
    some = memory([[1]] * 4, task=[0, 1, -1, 0])
    found = guesses(some, near(1.0, 1.0, 0.99, 0.95))
    weights = 1 + np.exp(-1), 1.0
    assert found[0] == pytest.approx(np.array(weights) / sum(weights))
    assert guesses(memory([[1]] * 2, task=[-1, 3]), near(1.0)).tolist() == [[0, 0, 0, 0]]


def test_only_the_20_nearest_guess() -> None:
    some = memory([[1]] * 21, task=[0] * 20 + [1])
    assert guesses(some, near(*[0.9] * 21)).tolist() == [[1, 0]]


def test_the_prior_of_a_guess_is_the_mean_of_the_tasks_by_their_likelihood() -> None:
    some = memory([[1, 1], [1, 0], [0, NAN]], task=[0, 0, 1])
    wider = np.full((1, 2), 0.5)
    found = of_guess(some, np.array([[0.75, 0.25], [0.0, 0.0]]), 2, wider)
    np.testing.assert_allclose(found, [[0.75 * 3 / 4 + 0.25 * 1 / 3, 0.5], [0.5, 0.5]])


def test_own_labels_are_left_out_of_the_own_task_of_a_guess() -> None:
    some = memory([[1, 1], [1, 0], [0, NAN]], task=[0, 0, 1])
    likely, wider = np.array([[0.5, 0.5]]), np.full((1, 2), 0.5)
    rest = some.part(np.array([0, 2]))
    np.testing.assert_allclose(of_guess(some, likely, 2, wider, np.array([1])), of_guess(rest, likely, 2, wider))
