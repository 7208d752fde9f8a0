"""The rules that are compared, and settings tuned on one memory by leave-one-out."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from scripts.quality.metrics import Curve, World, gain
from scripts.quality.twin import Floats, Memory, Search, Settings, chosen

#: Alphas of a sweep: from no regard for cost to the greatest value of a policy.
ALPHAS: Floats = np.concatenate(([0.0], np.geomspace(0.002, 100, 47)))
#: Fixed settings, the best of which is chosen in hindsight; n0 applies to requests with a task, too.
KS, TAUS, N0S = (20, 50, 100, 200), (0.05, 0.1, 0.2, np.inf), (0.0, 2.0, 5.0, 10.0, 20.0)
N1 = 5.0


@dataclass(frozen=True)
class Rule:
    """A way to decide; `settings` None: those of a new policy, or tuned for each memory (`tuned`)."""

    name: str
    settings: Settings | None = None
    listed: bool = False
    tuned: bool = False


def plain(k: int) -> Settings:
    """Return the rule that takes the mean of the k nearest."""
    return Settings(k, np.inf, 0.0, 0.0, 0.0)


DEFAULT, TUNED = Rule("default"), Rule("auto-tuned", tuned=True)
#: The auto-tuned rule of the learning curve.
SEARCHED = Rule("tuned by the twin", tuned=True)
PLAIN = tuple(Rule(f"plain k={k}, list price", plain(k), listed=True) for k in (5, 20))
RULES = (*PLAIN, DEFAULT, TUNED)


def grid() -> list[Settings]:
    """Return all fixed settings; those of the same k and tau are adjacent."""
    return [Settings(k, tau, n0, n0, N1) for k, tau, n0 in product(KS, TAUS, N0S)]


class LeftOut:
    """A sample of a memory's rows, each estimated from all others; at most `size` rows, each with every label.

    Replaces router.calibrate if that would take too long. `cost`: of the memory's rows, shape (memories, models).
    """

    def __init__(self, memory: Memory, cost: Floats, strong: int, weak: int, size: int) -> None:
        complete = np.flatnonzero(~np.isnan(memory.quality + cost).any(axis=1))
        own = np.random.default_rng(0).permutation(complete)[:size]
        self._search = Search(memory, memory.rows.part(own), max(KS), own)
        self._world = World.of(memory.quality[own], cost[own], strong, weak)

    def best(self, *, tagged: bool) -> Settings:
        """Return the settings of the grid with the most gain."""
        world = self._world
        gains = [
            gain(
                world, Curve.of(world, chosen(self._search.estimates(each, tagged=tagged), ALPHAS, world.strong, each))
            )
            for each in grid()
        ]
        return grid()[int(np.argmax(gains))]
