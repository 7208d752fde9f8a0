"""The extent of a run of the quality benchmark, and its results so far."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

#: Baselines of every rule.
ORACLE, BLEND, CHEAP, STRONG, BEST = "oracle", "static blend", "always cheapest", "always default", "best single"


@dataclass(frozen=True)
class Plan:
    """The extent of a run.

    `memory`: number of memories taught to Postgres, None: all. `checked`: decisions of each rule and memory that are
    compared with the twin's. `calibrated`: number of calibrated seeds; `targets`, `rows` and `seconds`: of each
    calibration. `prompts`: of all sets together, None: all. `sizes`: labels of the learning curve. `grid`: whether to
    find the best fixed setting in hindsight.
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

    `choices` counts differing winners, `compared` decisions. `tied` ones are left out: the k-th and the next memory are
    equally near, so that either may count. Winners whose scores differ by at most 1e-4 count as equal.
    """

    quality: float = 0.0
    cost: float = 0.0
    score: float = 0.0
    choices: int = 0
    compared: int = 0
    tied: int = 0

    def add(self, other: Deviation) -> None:
        """Merge another deviation into this one."""
        self.quality, self.cost = max(self.quality, other.quality), max(self.cost, other.cost)
        self.score = max(self.score, other.score)
        self.choices, self.compared = self.choices + other.choices, self.compared + other.compared
        self.tied += other.tied


class Key(NamedTuple):
    """The key of a value; `at`: a target or a number of labels."""

    metric: str
    rule: str
    tagged: bool = False
    at: float | None = None


@dataclass
class Cells:
    """Values by seed, None where there is none, and the deviations of the twin from the SQL."""

    values: defaultdict[Key, list[float | None]] = field(default_factory=lambda: defaultdict(list))
    grids: dict[bool, list[list[float]]] = field(default_factory=lambda: {False: [], True: []})
    deviations: dict[str, Deviation] = field(default_factory=dict)

    def put(
        self, metric: str, rule: str, value: float | None, *, tagged: bool = False, at: float | None = None
    ) -> None:
        """Add a seed's value."""
        self.values[Key(metric, rule, tagged, at)].append(value)
