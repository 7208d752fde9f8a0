"""The ledger: writes served requests, and finds the model of a response."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .database import Database
from .errors import or_unavailable


async def holder(db: Database, tenant_id: int, response: bytes) -> int | None:
    """Return the `model_id` of a response, given its hash of 16 bytes; None if it is unknown."""
    query = db.read("select router.holder($1, $2)", tenant_id, response, timeout=1)
    rows = await or_unavailable("router.holder", query)
    return None if rows[0][0] is None else int(rows[0][0])


async def log_decisions(db: Database, entries: Sequence[tuple[Any, ...]]) -> int:
    """Write ledger entries (tuples in the order of the type `decision_entry`); return how many were new."""
    rows = await db.fetch("select router.log_decisions($1)", entries, timeout=30)
    return int(rows[0][0])
