"""Cells and columns of the printed tables."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from math import sqrt

from scripts.support.report import say


def sd(values: Sequence[float]) -> float:
    """Return the standard deviation over the seeds, 0 for one."""
    return statistics.stdev(values) if len(values) > 1 else 0.0


def standard_error(values: Sequence[float]) -> float:
    """Return the standard error of the mean over the seeds, 0 for one."""
    return sd(values) / sqrt(len(values))


def plus_minus(values: Sequence[float], factor: float, digits: int) -> str:
    """Return mean ± standard deviation."""
    mean = f"{factor * statistics.fmean(values):.{digits}f}"
    return mean if len(values) < 2 else f"{mean} ±{factor * sd(values):.{min(digits, 3)}f}"


def print_table(title: str, table: Sequence[Sequence[str]], *, left: int = 1) -> None:
    """Print the rows below a title, the first of them a head; `left`: columns that are aligned to the left."""
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    say(f"\n{title}")
    for line in table:
        cells = [
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        say("  ".join(("", *cells)).rstrip())
