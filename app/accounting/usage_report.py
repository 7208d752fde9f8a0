"""Usage as the ledger has it, laid out: what it is shown by, its rows, and their sums."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.errors import BadRequest
from app.store.usage import DIMENSIONS

#: What can be added up.
SUMS = (
    "requests", "failed", "unknown", "prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens",
    "cost_usd", "baseline_usd", "saved_usd",
)  # fmt: skip
#: The column of each dimension that is not called like it.
_COLUMNS = {"key": "key_id"}


def dimensions(text: str) -> list[str]:
    """`model,day` as a list, each once. Raises `BadRequest` naming `by`."""
    found = [part.strip() for part in text.split(",")] if text.strip() else []
    for part in found:
        if part not in DIMENSIONS:
            raise BadRequest(f"by: {part!r} is none of {', '.join(DIMENSIONS)}.", param="by")
    return list(dict.fromkeys(found))


def shown(row: Mapping[str, Any], by: Sequence[str]) -> dict[str, Any]:
    """A row of `router.usage`: the columns that it is by, in their order, then the numbers."""
    names = [_COLUMNS.get(name, name) for name in by]
    return {name: row[name] for name in (*names, *SUMS, "share")}


def total(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The sums of all rows."""
    return {name: sum(row[name] for row in rows) for name in SUMS}
