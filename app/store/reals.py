"""Rounds a single-precision number to its significant digits."""

from __future__ import annotations

import numpy as np


def short(value: float) -> float:
    """Return a `real` with the digits that Postgres prints: 0.1 instead of 0.10000000149011612."""
    return float(str(np.float32(value)))
