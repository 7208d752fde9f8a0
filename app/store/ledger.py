"""The ledger: writes served requests, and finds the owners and models of what providers store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

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


async def list_decisions(
    db: Database,
    tenant_id: int,
    *,
    limit: int,
    before: UUID | None = None,
    since: datetime | None = None,
    reasons: Sequence[str] | None = None,
    model: str | None = None,
    task: str | None = None,
    policy: str | None = None,
    key: int | None = None,
) -> list[Mapping[str, Any]]:
    """Return decisions, newest first, as rows of `router.list_decisions`; since None: of the last 24 hours."""
    return await db.read(
        """select * from router.list_decisions(
        $1, $2, $3, coalesce($4, now() - interval '24 hours'), $5, $6, $7, $8, $9)""",
        tenant_id, limit, before, since, reasons, model, task, policy, key,
    )  # fmt: skip


async def reasons(db: Database, tenant_id: int, since: datetime) -> list[Mapping[str, Any]]:
    """Return the number of requests by policy and reason, as rows of `router.reasons`."""
    return await db.read("select * from router.reasons($1, $2)", tenant_id, since)
