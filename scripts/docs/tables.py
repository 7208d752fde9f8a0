"""Tables of Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table with one line for each row; a `|` in a cell is escaped."""
    lines = [list(head), ["---"] * len(head), *(list(row) for row in rows)]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def code(text: object) -> str:
    """`text` between backticks; nothing for an empty text."""
    return f"`{text}`" if str(text) else ""


def sentence(text: str) -> str:
    """A docstring's first paragraph on one line."""
    return " ".join(text.strip().split("\n\n")[0].split())
