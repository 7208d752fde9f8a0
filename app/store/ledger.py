"""The ledger in the database: write served requests, look up who gave an answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.store.database import Database, or_unavailable


async def holder(db: Database, tenant_id: int, response: bytes) -> int | None:
    """The number of the model that gave an answer, by the 16 bytes that stand for it; None when it is not known."""
    asked = db.read("select router.holder($1, $2)", tenant_id, response, timeout=1)
    rows = await or_unavailable("router.holder", asked)
    return None if rows[0][0] is None else int(rows[0][0])


async def log_decisions(db: Database, entries: Sequence[tuple[Any, ...]]) -> int:
    """Write ledger entries (tuples in the order of the type `decision_entry`); returns how many were new."""
    rows = await db.fetch("select router.log_decisions($1)", entries, timeout=30)
    return int(rows[0][0])
