"""Tables of Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table with one line for each row; a `|` in a cell is escaped."""
    lines = [list(head), ["---"] * len(head), *(list(row) for row in rows)]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def code(text: object) -> str:
    """Return `text` between backticks, or an empty text as it is."""
    return f"`{text}`" if str(text) else ""


def sentence(text: str) -> str:
    """Return a docstring's first paragraph on one line."""
    return " ".join(text.strip().split("\n\n")[0].split())
