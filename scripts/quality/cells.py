"""The extent of a run of the quality benchmark, and its results so far."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

#: Baselines of every rule. `BLEND`: of the models that are best in hindsight; `HONEST`: of those that the memory chose;
#: `MEANS`: the decision by each model's mean in the memory.
ORACLE, BLEND, CHEAP, STRONG, BEST = "oracle", "static blend", "always cheapest", "always default", "best single"
HONEST, MEANS = "honest static blend", "memory means only"


@dataclass(frozen=True)
class Plan:
    """The extent of a run.

    `memory`: number of memories taught to Postgres, None: all. `checked`: decisions of each rule and memory that are
    compared with the twin's. `calibrated`: number of calibrated seeds; `targets`, `rows` and `seconds`: of each
    calibration. `prompts`: of all sets together, None: all. `sizes`: labels of the learning curve.
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


@dataclass
class Deviation:
    """The largest differences of the twin from the SQL.

    Winners whose scores differ by at most 1e-4 count as equal.
    """

    quality: float = 0.0
    #: As a share of the cost.
    cost: float = 0.0
    #: As a share of alpha, where that is above 1.
    score: float = 0.0
    #: Differing winners, of the decisions compared.
    choices: int = 0
    compared: int = 0
    #: Decisions left out because the last neighbour that counts and the next one are equally near.
    tied: int = 0
    #: Of the matrix of a fit, as a share of its largest element, where that is above 1.
    transfer: float = 0.0
    #: Fits with another n0, guess or ridge, of those compared.
    other_fits: int = 0
    fits: int = 0

    def add(self, other: Deviation) -> None:
        """Merge another deviation into this one."""
        for name in ("quality", "cost", "score", "transfer"):
            setattr(self, name, max(getattr(self, name), getattr(other, name)))
        for name in ("choices", "compared", "tied", "other_fits", "fits"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


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
    deviations: dict[str, Deviation] = field(default_factory=dict)

    def put(
        self, metric: str, rule: str, value: float | None, *, tagged: bool = False, at: float | None = None
    ) -> None:
        """Add a seed's value."""
        self.values[Key(metric, rule, tagged, at)].append(value)
