"""The rules that are compared, and settings found for one memory by leaving each of its own memories out."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from scripts.quality_metrics import Curve, World, gain
from scripts.quality_twin import (
    Estimates,
    Floats,
    Ints,
    Memory,
    Questions,
    Settings,
    chosen,
    estimated,
    nearest,
    summed,
)

#: What a sweep asks for: from no regard for cost to the most that a policy takes.
ALPHAS: Floats = np.concatenate(([0.0], np.geomspace(0.002, 100, 47)))
#: Fixed settings, among which the best is found in hindsight; n0 is that of requests with a task, too.
KS, TAUS, N0S = (20, 50, 100, 200), (0.05, 0.1, 0.2, np.inf), (0.0, 2.0, 5.0, 10.0, 20.0)
N1 = 5.0


@dataclass(frozen=True)
class Rule:
    """A way to decide; `settings` None: those that a new policy has, or that are found for each memory (`tuned`)."""

    name: str
    settings: Settings | None = None
    listed: bool = False
    tuned: bool = False


def plain(k: int) -> Settings:
    """The mean of the k nearest."""
    return Settings(k, np.inf, 0.0, 0.0, 0.0)


DEFAULT, TUNED = Rule("default"), Rule("auto-tuned", tuned=True)
PLAIN = tuple(Rule(f"plain k={k}, list price", plain(k), listed=True) for k in (5, 20))
RULES = (*PLAIN, DEFAULT, TUNED)


def grid() -> list[Settings]:
    """All fixed settings; those of the same k and tau follow each other."""
    return [Settings(k, tau, n0, n0, N1) for k, tau, n0 in product(KS, TAUS, N0S)]


def all_estimates(
    memory: Memory, questions: Questions, many: list[Settings], own: Ints | None = None
) -> list[Estimates]:
    """Estimates of one search by each of the settings; sums are shared by neighbours in the list."""
    near = nearest(memory, questions, max(settings.k for settings in many), own)
    found: list[Estimates] = []
    last = sums = None
    for settings in many:
        if last != (settings.k, settings.tau) or sums is None:
            last, sums = (settings.k, settings.tau), summed(memory, near.first(settings.k), settings.tau)
        found.append(estimated(memory, sums, questions, settings, own))
    return found


def sample(labels: Floats, cost: Floats, size: int, seed: int) -> Ints:
    """Memories to be left out in turns: among those that every model answered, `size` at most."""
    complete = np.flatnonzero((np.isfinite(labels) & np.isfinite(cost)).all(axis=1))
    return np.random.default_rng(seed).permutation(complete)[:size]


def tune(memory: Memory, cost: Floats, strong: int, weak: int, tagged: bool, size: int = 1000) -> Settings:
    """The settings of the grid with the most gain on the memory's own rows, each judged by all others.

    `cost` is what the memory's rows cost, shape (memories, models). What stands in for router.calibrate's own search.
    """
    own = sample(memory.quality, cost, size, 0)
    questions = memory.rows.part(own)
    if not tagged:
        questions = questions.untagged()
    world = World.of(memory.quality[own], cost[own], strong, weak)
    gains = [
        gain(world, Curve.of(world, chosen(found, ALPHAS, strong, settings)))
        for settings, found in zip(grid(), all_estimates(memory, questions, grid(), own), strict=True)
    ]
    return grid()[int(np.argmax(gains))]


def alpha_for(
    memory: Memory,
    cost: Floats,
    strong: int,
    settings: Settings,
    target: float,
    *,
    tagged: bool,
    size: int = 1000,
    confidence: float = 0.9,
) -> float | None:
    """The alpha that keeps `target` of the strong model's quality most cheaply, with `confidence`, on the memory alone.

    None where none does. What stands in for router.calibrate.
    """
    own = sample(memory.quality, cost, size, 1)
    questions = memory.rows.part(own)
    if not tagged:
        questions = questions.untagged()
    (found,) = all_estimates(memory, questions, [settings], own)
    choices = chosen(found, ALPHAS, strong, settings)
    rows = np.arange(len(own))
    quality = np.array([memory.quality[own][rows, each] for each in choices])
    spent = np.array([cost[own][rows, each].mean() for each in choices])
    draws = np.random.default_rng(2).integers(0, len(own), (200, len(own)))
    base = memory.quality[own][:, strong][draws].mean(axis=1)
    low = [np.quantile(each[draws].mean(axis=1) / np.maximum(base, 1e-9), 1 - confidence) for each in quality]
    fit = np.flatnonzero(np.array(low) >= target)
    return float(ALPHAS[fit[spent[fit].argmin()]]) if len(fit) else None
