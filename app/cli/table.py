"""Lays rows of text out in columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def aligned(rows: Iterable[Sequence[str]], left: Iterable[int] = ()) -> list[str]:
    """Aligned lines, the columns `left` to the left and the others to the right."""
    cells, leftish = [list(row) for row in rows], frozenset(left)
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if number in leftish else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
