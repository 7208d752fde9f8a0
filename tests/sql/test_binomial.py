"""Binomial tails and Clopper-Pearson bounds, against exact arithmetic and published values."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import pytest

from tests.support.sql_world import World


def exactly(trials: int, most: int, share: Fraction) -> float:
    """Return P(Bin(trials, share) <= most) in whole numbers, rounded once at the end."""
    a, b = share.numerator, share.denominator
    total, power = 0, (b - a) ** trials
    for i in range(most + 1):
        total += comb(trials, i) * a**i * (power // (b - a) ** i)
    return float(Fraction(total, b**trials))


@pytest.mark.parametrize(
    ("trials", "most", "share"),
    [
        (1, 0, Fraction(1, 20)),
        (45, 0, Fraction(1, 20)),
        (20, 3, Fraction(3, 10)),
        (412, 13, Fraction(1, 20)),
        (1000, 499, Fraction(1, 2)),
        (1000, 990, Fraction(1, 100)),
        (2000, 2, Fraction(1, 10)),
    ],
)
async def test_a_tail_is_exact(world: World, trials: int, most: int, share: Fraction) -> None:
    found = await world.owner.fetchval("select router_internal._binomial_cdf($1, $2, $3)", trials, most, float(share))
    assert found == pytest.approx(exactly(trials, most, share), rel=1e-10)


async def test_a_tail_of_the_most_rows_keeps_its_digits(world: World) -> None:
    # By symmetry P(Bin(2m + 1, 1/2) <= m) = 1/2, and P(Bin(2m, 1/2) <= m) = 1/2 + comb(2m, m) / 2^(2m + 1).
    call = "select router_internal._binomial_cdf($1, $2, 0.5)"
    assert await world.owner.fetchval(call, 15_999, 7_999) == pytest.approx(0.5, rel=1e-9)
    tied = float(Fraction(comb(16_000, 8_000), 2**16_001))
    assert await world.owner.fetchval(call, 16_000, 8_000) == pytest.approx(0.5 + tied, rel=1e-9)
    # Far in the tail each term is below the least double.
    assert await world.owner.fetchval("select router_internal._binomial_cdf(16000, 5, 0.9)") < 1e-300


@pytest.mark.parametrize(
    ("trials", "most", "share", "found"),
    [(10, -1, 0.5, 0), (10, 10, 0.5, 1), (0, 0, 0.5, 1), (10, 3, 0.0, 1), (10, 3, 1.0, 0)],
)
async def test_the_ends_of_a_tail(world: World, trials: int, most: int, share: float, found: float) -> None:
    call = "select router_internal._binomial_cdf($1, $2, $3)"
    assert await world.owner.fetchval(call, trials, most, share) == found


@pytest.mark.parametrize(
    ("trials", "successes", "error", "bound"),
    [
        # The upper ends of two-sided 95% intervals, as R's binom.test(10, 100), (5, 100) and (1, 20) print them.
        (100, 10, 0.025, 0.1762226),
        (100, 5, 0.025, 0.1128349),
        (20, 1, 0.025, 0.2487328),
        # Without a success the bound is 1 - error^(1 / trials).
        (45, 0, 0.1, 1 - 0.1 ** (1 / 45)),
        (10, 10, 0.1, 1),
        (0, 0, 0.1, 1),
    ],
)
async def test_the_bound_is_that_of_clopper_and_pearson(
    world: World, trials: int, successes: int, error: float, bound: float
) -> None:
    found = await world.owner.fetchval("select router_internal._binomial_bound($1, $2, $3)", trials, successes, error)
    assert found == pytest.approx(bound, abs=1e-6)


async def test_the_bound_is_the_least_share_that_is_rejected(world: World) -> None:
    bound = await world.owner.fetchval("select router_internal._binomial_bound(412, 13, 0.1)")
    call = "select router_internal._binomial_cdf(412, 13, $1)"
    assert await world.owner.fetchval(call, bound) <= 0.1 < await world.owner.fetchval(call, bound - 1e-9)
