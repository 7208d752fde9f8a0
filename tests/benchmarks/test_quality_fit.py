"""The fit of the twin: it finds what was planted, and each part is off by default."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scripts.quality import fit
from scripts.quality.fit import N0S, errors, fitted
from scripts.quality.formula import deviations, own_estimate, share
from scripts.quality.means import means
from scripts.quality.memory import Floats, Memory, Sums, nearest, summed
from scripts.quality.settings import EARLIER, NEW, Settings
from scripts.quality.twin import estimated
from tests.benchmarks.quality_world import NAN, memory

PLAIN = replace(NEW, guess_task="never")


def sums(support: list[list[float]], weighted: list[list[float]]) -> Sums:
    """Return sums of quality; those of tokens are the same."""
    found = np.array(support), np.array(weighted)
    return Sums(found[0], *found, *found)


def test_ease_shifts_all_models_by_what_the_neighbours_suggest() -> None:
    prior, some = np.array([[0.5, 0.8]]), sums([[2.0, 1.0]], [[2.0, 1.0]])
    # The neighbours are better than expected by 2 * 0.5 + 1 * 0.2.
    shift = 1.2 / (3 + 2 * 2)
    by_hand = [0.5 + shift + (1 - 2 * shift) / (2 + 4), 0.8 + shift + (0.2 - shift) / (1 + 4)]
    assert own_estimate(prior, some, 4, 2, density=2)[0] == pytest.approx(by_hand)
    assert own_estimate(prior, some, 4, 2, density=0.5)[0] == pytest.approx(
        own_estimate(prior, some, 4, 2, density=1)[0]
    )


def test_without_ease_the_estimate_is_the_mean_with_the_prior_as_neighbours() -> None:
    prior, some = np.array([[0.5, 0.8]]), sums([[2.0, 0.0]], [[1.5, 0.0]])
    assert own_estimate(prior, some, 4, np.inf, 2)[0] == pytest.approx([(1.5 + 4 * 0.5) / 6, 0.8])


def test_a_model_without_a_prior_has_no_estimate_and_no_part_in_ease() -> None:
    with_gap = own_estimate(np.array([[0.5, NAN]]), sums([[2.0, 5.0]], [[2.0, 5.0]]), 4, 2, 1)
    alone = own_estimate(np.array([[0.5]]), sums([[2.0]], [[2.0]]), 4, 2, 1)
    assert with_gap[0] == pytest.approx([alone[0, 0], NAN], nan_ok=True)
    assert deviations(np.array([[0.5, NAN]]), sums([[2.0, 5.0]], [[2.0, 5.0]])).tolist() == [[0.25, 0]]


def test_errors_of_rows_with_two_labels_are_those_of_differences() -> None:
    labels = np.array([[1.0, 0.0], [1.0, NAN], [NAN, NAN]])
    assert errors(labels, np.full((3, 2), 0.75)).tolist() == pytest.approx([0.5, 0.0625, 0])
    assert errors(labels + 0.1, np.full((3, 2), 0.75))[0] == pytest.approx(0.5)


def planted(prompts: int = 400, *, noise: float = 0.1, task: bool = False) -> Memory:
    """Return prompts of two kinds; models 0 and 1 are good at the same one, model 2 at both alike."""
    rng = np.random.default_rng(3)
    kind = rng.integers(0, 2, prompts)
    vectors = np.eye(2)[kind] + rng.normal(size=(prompts, 2)) * 0.1
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    quality = np.stack([0.9 - 0.8 * kind, 0.8 - 0.6 * kind, np.full(prompts, 0.5)], axis=1)
    labels = (rng.random(quality.shape) < quality).astype(np.float64)
    flipped = rng.random(quality.shape) < noise
    return memory(np.where(flipped, 1 - labels, labels), kind.tolist() if task else None, vectors)


def test_two_models_that_are_good_at_the_same_prompts_learn_from_each_other() -> None:
    found = fitted(planted(), PLAIN)
    assert found is not None
    assert found.transfer is not None
    assert found.transfer[0, 1] > 0.05
    assert found.transfer[1, 0] > 0.05
    # Model 2 is the same everywhere, so that the others say little of it.
    assert np.abs(found.transfer[:2, 2]).max() < found.transfer[:2, :2].min()
    assert (found.rows, found.pairs) == (400, 400)


def test_a_label_of_one_model_moves_the_estimate_of_a_model_that_is_like_it() -> None:
    some = planted()
    found = fitted(some, PLAIN)
    question = some.rows.part(np.array([0]))
    near = sums([[10.0, 0.0, 0.0]], [[10.0, 0.0, 0.0]])
    ours = estimated(some, near, question, replace(PLAIN, ease=np.inf), fit=found).quality[0]
    without = estimated(some, near, question, replace(PLAIN, ease=np.inf, transfer=0.0)).quality[0]
    # Without other models' labels a model without labelled neighbours has its mean.
    assert without[1:] == pytest.approx(means(some, 20)[0, 1:])
    assert ours[1] > without[1] + 0.02


def test_neighbours_that_say_nothing_get_the_largest_weight_of_the_prior() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(400, 20))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    noise = memory((rng.random((400, 3)) < [0.3, 0.5, 0.7]).astype(np.float64), None, vectors)
    found, kinds = fitted(noise, PLAIN), fitted(planted(), PLAIN)
    assert found is not None
    assert kinds is not None
    assert kinds.n0 < found.n0 == N0S[-1]


def test_too_few_memories_are_not_fitted_and_too_few_pairs_have_no_matrix() -> None:
    assert fitted(planted(199), NEW) is None
    some = planted()
    single = np.where(np.arange(3) == np.arange(400)[:, None] % 3, some.quality, np.nan)
    single[:49] = some.quality[:49]
    found = fitted(replace(some, quality=single), NEW)
    assert found is not None
    assert (found.rows, found.pairs, found.guess, found.ridge, found.transfer) == (400, 49, False, None, None)


def test_with_single_labels_the_largest_weight_that_is_as_good_is_taken() -> None:
    found = np.array([[1.0, 1.0, 1.0], [0.9, 1.0, 1.0], [1.0, 1.0, 1.0], [2.0, 2.0, 2.1]])
    assert fit._prior_weight(found, enough=True) == N0S[1]
    # The third is worse by 0.1 in one row alone, which is within its standard error; the last is not.
    assert fit._prior_weight(found, enough=False) == N0S[2]


def test_a_task_is_guessed_where_it_explains_more() -> None:
    some = planted(task=True)
    found = fitted(some, replace(NEW, k=3))
    assert found is not None
    assert found.guess
    rng = np.random.default_rng(1)
    useless = replace(some, rows=replace(some.rows, task=rng.integers(0, 40, 400)))
    other = fitted(useless, NEW)
    assert other is not None
    assert not other.guess


def test_settings_override_what_the_fit_would_choose() -> None:
    some = planted(task=True)
    off = fitted(some, replace(NEW, fit_n0="off", guess_task="never", transfer=0.0))
    always = fitted(some, replace(NEW, guess_task="always"))
    assert off is not None
    assert always is not None
    assert (off.n0, off.guess, off.transfer) == (NEW.n0, False, None)
    assert always.guess


def test_the_rows_of_a_fit_can_be_given_in_the_order_of_the_sql() -> None:
    some, own = planted(), np.arange(300)[::-1]
    found = fitted(some, NEW, own)
    near = nearest(some, some.rows.part(own), NEW.k, own)
    again = fitted(some, NEW, own, near)
    assert found is not None
    assert again is not None
    assert (found.rows, found.n0) == (300, again.n0)
    np.testing.assert_array_equal(found.transfer, again.transfer)


def ridge(by: Floats, apart: Floats, weight: float) -> Floats:
    squares = by.T @ by
    return np.array(
        np.linalg.solve(squares + weight * np.trace(squares) / len(squares) * np.eye(len(squares)), by.T @ apart)
    )


def test_residuals_of_leave_one_out_are_those_of_leaving_rows_out_in_turns() -> None:
    rng = np.random.default_rng(5)
    by, apart = rng.normal(size=(30, 3)), rng.normal(size=(30, 2))
    squares = by.T @ by
    solutions = fit._solved(by, apart)
    assert solutions is not None
    for weight, (matrix, left) in zip(fit.LAMBDAS, solutions, strict=True):
        np.testing.assert_allclose(matrix, ridge(by, apart, weight), atol=1e-12)
        for row in (0, 17):
            rest = np.delete(np.arange(30), row)
            # The ridge is that of all rows.
            own = np.linalg.solve(
                by[rest].T @ by[rest] + weight * np.trace(squares) / 3 * np.eye(3), by[rest].T @ apart[rest]
            )
            np.testing.assert_allclose(left[row], apart[row] - by[row] @ own, atol=1e-9)


def test_the_share_of_other_models_grows_with_the_labels() -> None:
    assert [share(0.5, labels) for labels in (0, 300, 2700)] == pytest.approx([0, 0.25, 0.45])


@pytest.mark.parametrize("settings", [EARLIER, Settings(5, np.inf, 0, 0, 0)])
def test_the_earlier_rule_is_the_mean_of_neighbours_and_prior(settings: Settings) -> None:
    some = planted(task=True)
    questions = replace(some.rows.part(np.arange(3)), task=np.array([0, 1, -1]))
    near = summed(some, nearest(some, questions, settings.k), settings.tau)
    found = estimated(some, near, questions, settings, fit=fitted(some, settings)).quality
    for row, task in enumerate((0, 1, None)):
        labels = some.quality if task is None else some.quality[some.rows.task == task]
        n1, n0 = (0, settings.n0) if task is None else (settings.n1, settings.n0_task)
        prior = (labels.sum(axis=0) + n1 * some.quality.mean(axis=0)) / (len(labels) + n1)
        by_hand = (near.quality[row] + n0 * prior) / (near.support[row] + n0)
        assert found[row] == pytest.approx(by_hand)
