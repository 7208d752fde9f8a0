"""The metrics gain, AIQ, APGR and CPT, on worlds small enough to calculate by hand."""

from __future__ import annotations

import numpy as np
import pytest

from scripts.quality.metrics import Curve, World, aiq, apgr, blend_aiq, cost_of, cpt, gain, hull, oracle
from scripts.quality.rules import ALPHAS

#: Two models on four prompts: the dear one is right on three, the cheap one on two, one of them in common.
QUALITY = np.array([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
COST = np.tile([1.0, 3.0], (4, 1))


def world() -> World:
    return World.of(QUALITY, COST, strong=1, weak=0)


def curve(*choices: list[int]) -> Curve:
    return Curve.of(world(), np.array(choices))


def test_the_hull_drops_what_a_mixture_beats() -> None:
    cost, quality = hull(np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.2, 0.3, 0.8, 0.7]))
    assert (cost.tolist(), quality.tolist()) == ([1, 3], [0.2, 0.8])


def test_a_blend_of_single_models_gains_nothing() -> None:
    assert gain(world(), curve([0, 0, 0, 0], [1, 1, 1, 1])) == pytest.approx(0)
    assert aiq(world(), curve([0, 0, 0, 0], [1, 1, 1, 1])) == pytest.approx(blend_aiq(world()))
    assert blend_aiq(world()) == pytest.approx(0.625)


def test_gain_is_the_mean_over_the_costs_of_the_blend() -> None:
    # All right at the mean cost 2: above the blend's line from (1, 0.5) to (3, 0.75) by a triangle and the rest.
    routed = curve([0, 0, 1, 1])
    by_hand = (0.5 + 1) / 2 / 2 + 1 / 2 - 0.625
    assert gain(world(), routed) == pytest.approx(100 * by_hand, abs=0.1)
    assert aiq(world(), routed) == pytest.approx(0.625 + by_hand, abs=0.001)


def test_a_router_that_errs_loses_to_the_blend() -> None:
    assert gain(world(), curve([1, 1, 0, 0], [0, 0, 0, 0])) < 0


def test_the_share_of_calls_is_what_recovers_the_gap() -> None:
    routed = curve([0, 0, 0, 1], [0, 0, 1, 1])
    # PGR is 1 at a quarter of the calls, 2 at half of them, and 1 again when all are the strong model's.
    assert cpt(world(), routed, 0.5) == pytest.approx(0.125)
    assert cpt(world(), routed, 0.8) == pytest.approx(0.2)
    assert apgr(world(), routed) == pytest.approx(0.25 * 0.5 + 0.25 * 1.5 + 0.5 * 1.5, abs=0.01)


def test_a_random_mixture_recovers_half_and_needs_what_it_recovers() -> None:
    mixed = curve([0, 0, 0, 0], [1, 1, 1, 1])
    assert apgr(world(), mixed) == pytest.approx(0.5)
    assert [cpt(world(), mixed, share) for share in (0.5, 0.8)] == pytest.approx([0.5, 0.8])


def test_no_gap_can_be_recovered_where_the_cheapest_is_best() -> None:
    turned = World.of(QUALITY[:, ::-1], COST, strong=0, weak=0)
    routed = Curve.of(turned, np.zeros((1, 4), np.int64))
    assert apgr(turned, routed) is None
    assert cpt(turned, routed, 0.5) is None
    assert gain(turned, routed) == pytest.approx(0)


def test_sets_that_cost_nothing_are_compared_by_quality_alone() -> None:
    free = World.of(QUALITY, np.zeros_like(COST), strong=1, weak=1)
    assert gain(free, Curve.of(free, np.array([[0, 0, 1, 1]]))) == pytest.approx(25)


def test_with_more_models_the_share_is_of_the_extra_cost() -> None:
    quality, cost = np.column_stack([QUALITY, [1, 1, 1, 0]]), np.column_stack([COST, [2.0] * 4])
    three = World.of(quality, cost, strong=1, weak=0)
    assert cpt(three, Curve.of(three, np.full((1, 4), 2)), 0.8) == pytest.approx(0.4)


def test_no_router_beats_the_oracle() -> None:
    rng = np.random.default_rng(0)
    some = World.of(rng.random((50, 4)), rng.random((50, 4)) * [1, 2, 3, 4], strong=3, weak=0)
    best = Curve.of(some, oracle(some, ALPHAS))
    for seed in range(20):
        other = Curve.of(some, np.random.default_rng(seed).integers(0, 4, (5, 50)))
        assert gain(some, best) > gain(some, other)
        assert aiq(some, best) > aiq(some, other)
    assert best.quality[0] == pytest.approx(some.quality.max(axis=1).mean())
    assert cost_of(best, float(best.quality[0])) == pytest.approx(float(best.cost[0]))
