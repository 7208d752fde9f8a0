"""Aligns rows of text in columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def aligned(rows: Iterable[Sequence[str]], left: Iterable[int] = ()) -> list[str]:
    """The rows as lines with aligned columns: those of `left` to the left, the others to the right."""
    cells, to_the_left = [list(row) for row in rows], frozenset(left)
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if number in to_the_left else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
