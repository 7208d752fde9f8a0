"""The baselines without a router: always the same model, the static blend that the memory chooses, and the oracle."""

from __future__ import annotations

import numpy as np

from scripts.quality.cells import BEST, CHEAP, ORACLE, STRONG
from scripts.quality.means import mean
from scripts.quality.memory import Floats, Memory, known_and_values
from scripts.quality.metrics import Curve, World, gain, hull, oracle
from scripts.quality.rules import ALPHAS


def corners(memory: Memory) -> list[int]:
    """Return the models of the static blend that a memory's labels suggest, the cheapest first.

    They are the corners of the hull of the models' mean costs and qualities; models without labels are left out.
    """
    quality, cost = (_means(values) for values in (memory.quality, _cost(memory)))
    known = np.flatnonzero(np.isfinite(quality) & np.isfinite(cost))
    if not len(known):
        return []
    found = hull(cost[known], quality[known])[0]
    # Of models of the same cost the best is the corner.
    return [int(max(known[cost[known] == at], key=lambda model: quality[model])) for at in found]


def honest_blend(world: World, memory: Memory) -> Curve:
    """Return the static blend whose models the memory chose, with their costs and qualities on the questions.

    A memory without labels chooses the default.
    """
    choices = np.repeat(np.array(corners(memory) or [world.strong])[:, None], len(world.quality), axis=1)
    return Curve.of(world, choices)


def references(world: World) -> dict[str, float]:
    """Return the gain of the oracle, which knows each answer's score, and of one model for all questions.

    A single model has one cost, at which it is compared with the static blend.
    """
    quality, cost = world.quality.mean(axis=0), world.cost.mean(axis=0)
    above = {name: float(100 * (quality[model] - world.blend(cost[model]))) for name, model in singles(world).items()}
    return {ORACLE: gain(world, Curve.of(world, oracle(world, ALPHAS))), **above}


def singles(world: World) -> dict[str, int]:
    """Return the models that may serve all questions; the best one is chosen in hindsight."""
    best = int(np.lexsort((world.cost.mean(axis=0), -world.quality.mean(axis=0)))[0])
    return {CHEAP: world.weak, STRONG: world.strong, BEST: best}


def _cost(memory: Memory) -> Floats:
    prices = memory.prices
    return memory.rows.prompt_tokens[:, None] * prices.prompt + memory.tokens * prices.completion


def _means(values: Floats) -> Floats:
    known, filled = known_and_values(values)
    return mean(filled.sum(axis=0), known.sum(axis=0))
