"""Formats usage reports: their dimensions, rows and totals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import BadRequest
from ..store.usage import DIMENSIONS

#: Columns that can be summed.
SUMS = (
    "requests", "failed", "unknown", "unexplained", "prompt_tokens", "cached_tokens", "completion_tokens",
    "reasoning_tokens", "cost_usd", "baseline_usd", "saved_usd",
)  # fmt: skip
#: Columns of dimensions whose name differs.
_COLUMNS = {"key": "key_id"}


def parse_dimensions(text: str) -> list[str]:
    """Parse a list like `model,day`, without duplicates. Raises `BadRequest` naming `by`."""
    found = [part.strip() for part in text.split(",")] if text.strip() else []
    for part in found:
        if part not in DIMENSIONS:
            raise BadRequest(f"by: {part!r} is not one of {', '.join(DIMENSIONS)}.", param="by")
    return list(dict.fromkeys(found))


def report_row(row: Mapping[str, Any], by: Sequence[str]) -> dict[str, Any]:
    """Return a row of `router.usage` as a dict: the columns of `by` in their order, then the numbers."""
    names = [_COLUMNS.get(name, name) for name in by]
    return {name: row[name] for name in (*names, *SUMS, "share")}


def total(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the sums of all rows."""
    return {name: sum(row[name] for row in rows) for name in SUMS}
