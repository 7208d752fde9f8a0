"""The settings of a policy that determine its estimates, and the two sets of them that are compared."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any


@dataclass(frozen=True)
class Settings:
    """Settings of a policy's decision, as in router.policies. The parts with a default here are off unless given."""

    #: Neighbours consulted, and the width of their weights.
    k: int
    tau: float
    #: Weight of the prior, neighbours: without a fit, and if the task is known or guessed.
    n0: float
    n0_task: float
    #: Weight of a model's mean in the prior of a task, labels.
    n1: float
    #: Weight of the candidates' common mean in one candidate's mean, labels.
    n2: float = 0.0
    #: Weight of an average prompt in the ease of a prompt, neighbours; infinite: ease is not used.
    ease: float = inf
    #: Greatest share of the estimate that other candidates' labels decide.
    transfer: float = 0.0
    #: `on`: the fit chooses n0.
    fit_n0: str = "off"
    #: Whether the task of a prompt without a tag is guessed: `never`, `always`, or `fit`: if the fit finds it better.
    guess_task: str = "never"
    #: Least share of an estimate that comes from neighbours.
    confidence_floor: float = 0.0

    @classmethod
    def of(cls, row: Any) -> Settings:
        """Return the settings in a row of router.policies."""
        return cls(**{name: row[name] for name in cls.__dataclass_fields__})

    @property
    def fitted(self) -> bool:
        """Whether a fit changes any estimate."""
        return self.fit_n0 == "on" or self.guess_task == "fit" or self.transfer > 0


#: The settings of a new policy, and those before estimates used other candidates' labels.
NEW = Settings(100, 0.2, 2.0, 20.0, 20.0, n2=20.0, ease=2.0, transfer=0.5, fit_n0="on", guess_task="fit")
EARLIER = Settings(100, 0.2, 2.0, 10.0, 5.0)
#: The alpha of a new policy.
ALPHA = 0.1
