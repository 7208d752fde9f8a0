"""The ledger: writes served requests, and finds the owners and models of what providers store."""

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


async def is_foreign(db: Database, tenant_id: int, response: bytes) -> bool:
    """Return whether a response or conversation, given its hash, is another tenant's and not this one's."""
    query = db.read("select router.is_foreign($1, $2)", tenant_id, response)
    return bool((await or_unavailable("router.is_foreign", query))[0][0])


async def keep_response(db: Database, tenant_id: int, response: bytes, model_id: int | None) -> None:
    """Store that a conversation, given its hash, is the tenant's; `model_id` None: the default provider has it."""
    query = db.fetch("select router.keep_response($1, $2, $3)", tenant_id, response, model_id, timeout=1)
    await or_unavailable("router.keep_response", query)


async def log_decisions(db: Database, entries: Sequence[tuple[Any, ...]]) -> int:
    """Write ledger entries (tuples in the order of the type `decision_entry`); return how many were new."""
    rows = await db.fetch("select router.log_decisions($1)", entries, timeout=30)
    return int(rows[0][0])
