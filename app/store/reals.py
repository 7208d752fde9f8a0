"""Writes a number of single precision with the digits that it has."""

from __future__ import annotations

import numpy as np


def short(value: float) -> float:
    """A `real` of Postgres as Postgres writes it: 0.1, which nobody has taught as 0.10000000149011612."""
    return float(str(np.float32(value)))
