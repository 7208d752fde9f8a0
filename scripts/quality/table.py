"""Measures the gain of the rules by the number of labels and by who labels what, with the twin alone."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from scripts.quality.baselines import honest_blend, references
from scripts.quality.cells import HONEST, MEANS
from scripts.quality.means import means
from scripts.quality.memory import Memory
from scripts.quality.metrics import Curve, World, gain
from scripts.quality.regimes import regimes
from scripts.quality.rules import ALPHAS, DEFAULT, EARLIER, MOST, PLAIN, UNTAGGED
from scripts.quality.settings import NEW
from scripts.quality.split import Embedded, Split
from scripts.quality.twin import Search, chosen

#: Prompts with all labels, None: all taught; and prompts of the regimes.
SIZES: tuple[int | None, ...] = (100, 300, 1000, None)
REGIME_SIZE = 1000


class Place(NamedTuple):
    """A memory of a set: its size, None: all taught, and the regime of its labels, None: those of the file."""

    set: str
    size: int | None
    regime: str | None = None


@dataclass
class Gains:
    """Gains in points over the static blend chosen in hindsight, one a seed."""

    #: By place, by the name of the rule and whether it uses tags.
    values: defaultdict[Place, defaultdict[tuple[str, bool], list[float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    #: Mean number of prompts with a label, by place.
    prompts: defaultdict[Place, list[int]] = field(default_factory=lambda: defaultdict(list))

    def of(self, place: Place, rule: str, *, tagged: bool = False) -> list[float]:
        """Return the gains of a rule by seed; none if it was not measured."""
        return self.values[place].get((rule, tagged), [])

    def places(self, *, regimes: bool) -> list[Place]:
        """Return the places by size, or those by regime."""
        return [place for place in self.values if (place.regime is not None) == regimes]


def measure(data: Embedded, seeds: int, gains: Gains) -> None:
    """Add the gains of a set."""
    labels = data.labels
    for seed in range(seeds):
        split = Split.of(data, seed)
        asked = _Asked(split, gains)
        for size in SIZES:
            if size is None or size < len(split.taught):
                place = Place(labels.name, size)
                asked.add(place, split.memory(size), tags=(False, True) if labels.tasks else (False,))
                asked.add_plain(place, split.memory(size, listed=True))
        # A regime decides which labels are missing.
        complete = np.flatnonzero(labels.complete[split.taught])[:REGIME_SIZE]
        for regime, memory in regimes(split.memory().part(complete), seed, split.strong):
            asked.add(Place(labels.name, len(complete), regime), memory)


class _Asked:
    """The questions of one split, which every rule answers."""

    def __init__(self, split: Split, gains: Gains) -> None:
        labels = split.data.labels
        self._gains = gains
        self._default = split.strong
        self._world = World.of(labels.quality[split.asked], labels.cost[split.asked], split.strong, split.weak)
        self._questions = split.data.questions.part(split.asked)

    def add(self, place: Place, memory: Memory, tags: tuple[bool, ...] = (False,)) -> None:
        """Add the gains that a memory makes possible."""
        self._gains.prompts[place].append(len(memory.quality))
        search = Search(memory, self._questions, MOST)
        for tagged in tags:
            for rule in (EARLIER, DEFAULT) if tagged else (EARLIER, DEFAULT, UNTAGGED):
                assert rule.settings is not None
                found = search.estimates(rule.settings, tagged=tagged)
                choices = chosen(found, ALPHAS, self._default, rule.settings)
                self._put(place, rule.name, Curve.of(self._world, choices), tagged=tagged)
        by_means = search.estimates(NEW, tagged=False).by_means(means(memory, NEW.n2)[0])
        self._put(place, MEANS, Curve.of(self._world, chosen(by_means, ALPHAS, self._default, NEW)))
        self._put(place, HONEST, honest_blend(self._world, memory))
        for name, value in references(self._world).items():
            self._gains.values[place][name, False].append(value)

    def add_plain(self, place: Place, memory: Memory) -> None:
        """Add the gains of the plain means of neighbours; `memory` has one price a model."""
        search = Search(memory, self._questions, MOST)
        for rule in PLAIN:
            assert rule.settings is not None
            found = search.estimates(rule.settings, tagged=False)
            self._put(place, rule.name, Curve.of(self._world, chosen(found, ALPHAS, self._default, rule.settings)))

    def _put(self, place: Place, rule: str, curve: Curve, *, tagged: bool = False) -> None:
        self._gains.values[place][rule, tagged].append(gain(self._world, curve))
