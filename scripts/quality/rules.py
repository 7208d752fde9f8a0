"""The rules that are compared."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from scripts.quality.memory import Floats
from scripts.quality.settings import EARLIER as EARLIER_SETTINGS
from scripts.quality.settings import NEW, Settings

#: Alphas of a sweep: from no regard for cost to the greatest value of a policy.
ALPHAS: Floats = np.concatenate(([0.0], np.geomspace(0.002, 100, 47)))


@dataclass(frozen=True)
class Rule:
    """A way to decide; `settings` None: tuned for each memory."""

    name: str
    settings: Settings | None = None


def plain(k: int) -> Settings:
    """Return the rule that takes the mean of the k nearest."""
    return Settings(k, np.inf, 0.0, 0.0, 0.0)


DEFAULT, EARLIER, TUNED = Rule("default", NEW), Rule("earlier rule", EARLIER_SETTINGS), Rule("auto-tuned")
#: The same as the default where no memory has a tag.
UNTAGGED = Rule("default, no tags taught", replace(NEW, guess_task="never"))
#: With one price a model for all requests.
PLAIN = tuple(Rule(f"plain k={k}, list price", plain(k)) for k in (5, 20))
RULES = (*PLAIN, EARLIER, DEFAULT, TUNED)
#: Greatest k of the rules with settings, for which neighbours are searched.
MOST = max(rule.settings.k for rule in RULES if rule.settings is not None)
