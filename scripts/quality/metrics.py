"""Metrics of a router: its curve of cost and quality, compared with baselines without a router.

A *curve* is a set of points (mean cost, mean quality) of one router at several alphas. Gain, AIQ, APGR and CPT are
metrics of the curve. Only AIQ chooses points in hindsight, because it is defined on the hull.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

GRID = 401


@dataclass(frozen=True)
class World:
    """The evaluation rows and the baselines without routing; arrays by model, means over the rows.

    `strong` is the policy's default, `weak` the cheapest model: both chosen by the memory. `hull_cost` and
    `hull_quality` are the corners of the static blend, the cheapest first: the upper hull of all mixtures of single
    models, up to the best one.
    """

    quality: Floats
    cost: Floats
    strong: int
    weak: int
    hull_cost: Floats
    hull_quality: Floats

    @classmethod
    def of(cls, quality: Floats, cost: Floats, strong: int, weak: int) -> World:
        """`quality` and `cost` have shape (rows, models), all known."""
        return cls(quality, cost, strong, weak, *hull(cost.mean(axis=0), quality.mean(axis=0)))

    def blend(self, cost: float) -> float:
        """Return the quality of the static blend of this mean cost."""
        return float(np.interp(cost, self.hull_cost, self.hull_quality))

    def blend_cost(self, quality: float) -> float:
        """Return the cost of the cheapest static blend of this quality; the dearest corner if none is that good."""
        return float(np.interp(quality, self.hull_quality, self.hull_cost))


@dataclass(frozen=True)
class Curve:
    """Means over the evaluation rows, one point an alpha; `calls` is the share of rows the strong model served."""

    cost: Floats
    quality: Floats
    calls: Floats

    @classmethod
    def of(cls, world: World, choices: NDArray[np.int64]) -> Curve:
        """`choices` has shape (alphas, rows): the model that serves each row."""
        rows = np.arange(world.quality.shape[0])
        cost, quality = (values[rows, choices].mean(axis=1) for values in (world.cost, world.quality))
        return cls(cost, quality, (choices == world.strong).mean(axis=1))


def hull(cost: Floats, quality: Floats) -> tuple[Floats, Floats]:
    """Return the corners of the non-decreasing concave hull of points, the cheapest first, with different costs."""
    order = np.lexsort((-quality, cost))
    corners: list[tuple[float, float]] = []
    for x, y in zip(cost[order].tolist(), quality[order].tolist(), strict=True):
        if corners and (y <= corners[-1][1] or x <= corners[-1][0]):
            continue
        while len(corners) > 1 and _left_of(corners[-2], corners[-1], (x, y)):
            corners.pop()
        corners.append((x, y))
    found = np.array(corners)
    return found[:, 0], found[:, 1]


def gain(world: World, curve: Curve) -> float:
    """Return the points of quality over the static blend of the same cost, mean over the blend's range of costs.

    The curve is interpolated: by mixtures of two neighbouring points, below its cheapest point by mixtures with the
    cheapest model, above its dearest by a constant. If one model is cheapest and best, the range is its cost alone.
    """
    costs = _range(world)
    routed = _at(world, curve.cost, curve.quality, costs)
    return float(100 * (routed - np.interp(costs, world.hull_cost, world.hull_quality)).mean())


def aiq(world: World, curve: Curve) -> float:
    """Return the average improvement in quality: the area under the curve's non-decreasing hull, over the costs.

    RouterBench (Hu et al. 2024), with the range of `gain`. 0 to 1; the static blend's own is `blend_aiq`.
    """
    anchored_cost = np.append(curve.cost, world.hull_cost[0])
    anchored_quality = np.append(curve.quality, world.hull_quality[0])
    return float(_at(world, *hull(anchored_cost, anchored_quality), _range(world)).mean())


def blend_aiq(world: World) -> float:
    """Return the AIQ of the static blend."""
    return float(np.interp(_range(world), world.hull_cost, world.hull_quality).mean())


def apgr(world: World, curve: Curve, *, by_cost: bool = False) -> float | None:
    """Return the average performance gap recovered: the mean of PGR over the share from 0 to 1.

    PGR = (quality - weak's) / (strong's - weak's).

    RouteLLM (Ong et al. 2024); a random mixture of the two has 0.5. With two models the share is that of the requests
    that the strong model serves; with more, and `by_cost`, that of its cost beyond the weak one. None if the strong
    model is not both better and dearer.
    """
    found = _recovered(world, curve, by_cost)
    return None if found is None else float(np.interp(np.linspace(0, 1, GRID), *found).mean())


def cpt(world: World, curve: Curve, wanted: float) -> float | None:
    """Return the call-performance threshold: the least share, as in `apgr`, with a PGR of `wanted`.

    A random mixture has `wanted` itself.
    """
    found = _recovered(world, curve, by_cost=False)
    if found is None:
        return None
    share, recovered = found
    first = int(np.argmax(recovered >= wanted))
    if first == 0:
        return float(share[0])
    part = (wanted - recovered[first - 1]) / (recovered[first] - recovered[first - 1])
    return float(share[first - 1] + part * (share[first] - share[first - 1]))


def oracle(world: World, alphas: Floats) -> NDArray[np.int64]:
    """Return the best choices given every score and cost, shape (alphas, rows): no router does better."""
    unit = max(float(world.cost.mean(axis=0).max()), 1e-300)
    scores = world.quality - alphas[:, None, None] * world.cost / unit
    best = scores >= scores.max(axis=2, keepdims=True) - 1e-12
    chosen: NDArray[np.int64] = np.where(best, world.cost, np.inf).argmin(axis=2)
    return chosen


def cost_of(curve: Curve, quality: float) -> float:
    """Return the least mean cost at which the hull of a curve has this quality; its dearest corner if it never has."""
    corners_cost, corners_quality = hull(curve.cost, curve.quality)
    return float(np.interp(quality, corners_quality, corners_cost))


def _recovered(world: World, curve: Curve, by_cost: bool) -> tuple[Floats, Floats] | None:
    """Return share and PGR along the curve, from all weak to all strong."""
    cost, quality = world.cost.mean(axis=0), world.quality.mean(axis=0)
    dearer, better = cost[world.strong] - cost[world.weak], quality[world.strong] - quality[world.weak]
    if not (dearer > 0 and better > 0):
        return None
    share = curve.calls if len(cost) == 2 and not by_cost else (curve.cost - cost[world.weak]) / dearer
    recovered = (curve.quality - quality[world.weak]) / better
    inside = (share > 0) & (share < 1)
    order = np.lexsort((recovered[inside], share[inside]))
    return (
        np.concatenate(([0.0], share[inside][order], [1.0])),
        np.concatenate(([0.0], recovered[inside][order], [1.0])),
    )


def _range(world: World) -> Floats:
    return np.linspace(world.hull_cost[0], world.hull_cost[-1], GRID)


def _at(world: World, cost: Floats, quality: Floats, costs: Floats) -> Floats:
    if cost.min() > world.hull_cost[0]:
        cost, quality = np.append(cost, world.hull_cost[0]), np.append(quality, world.hull_quality[0])
    order = np.lexsort((quality, cost))
    found: Floats = np.interp(costs, cost[order], quality[order])
    return found


def _left_of(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    """Return whether b is on or under the line from a to c."""
    return (b[1] - a[1]) * (c[0] - a[0]) <= (c[1] - a[1]) * (b[0] - a[0])
