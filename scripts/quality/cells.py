"""What a run of the quality benchmark is to measure, and what it has measured so far."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

#: What stands beside every rule.
ORACLE, BLEND, CHEAP, STRONG, BEST = "oracle", "static blend", "always cheapest", "always default", "best single"


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    `memory`: how many memories are taught to Postgres, None: all. `checked`: decisions of each rule and memory that are
    compared with the twin's. `calibrated`: in how many of the seeds; `targets`, `rows` and `seconds`: of each
    calibration. `prompts`: of all sets together, None: all. `sizes`: labels of the learning curve. `grid`: whether to
    look for the best fixed setting in hindsight.
    """

    seeds: int
    memory: int | None
    checked: int
    calibrated: int
    targets: tuple[float, ...]
    rows: int
    seconds: float
    prompts: int | None
    sizes: tuple[int, ...]
    grid: bool


@dataclass
class Deviation:
    """The largest differences of the twin from the SQL: of quality and score, and of cost as a share of it.

    `choices` counts other winners, `compared` decisions. Left out are `tied` ones, where the k-th and the next memory
    are equally near, so that either may count; winners within 1e-4 of each other's score are no difference.
    """

    quality: float = 0.0
    cost: float = 0.0
    score: float = 0.0
    choices: int = 0
    compared: int = 0
    tied: int = 0

    def add(self, other: Deviation) -> None:
        """Widen this by another."""
        self.quality, self.cost = max(self.quality, other.quality), max(self.cost, other.cost)
        self.score = max(self.score, other.score)
        self.choices, self.compared = self.choices + other.choices, self.compared + other.compared
        self.tied += other.tied


class Key(NamedTuple):
    """What a value is of; `at` is a target or a number of labels."""

    metric: str
    rule: str
    tagged: bool = False
    at: float | None = None


@dataclass
class Cells:
    """Values by seed, None where there is none, and how far twin and SQL were apart."""

    values: defaultdict[Key, list[float | None]] = field(default_factory=lambda: defaultdict(list))
    grids: dict[bool, list[list[float]]] = field(default_factory=lambda: {False: [], True: []})
    deviations: dict[str, Deviation] = field(default_factory=dict)

    def put(
        self, metric: str, rule: str, value: float | None, *, tagged: bool = False, at: float | None = None
    ) -> None:
        """Add a seed's value."""
        self.values[Key(metric, rule, tagged, at)].append(value)
