"""What may be spent and what was: admission of a request, limits, and usage as the ledger has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.store.database import Database


@dataclass(frozen=True, slots=True)
class Admission:
    """The answer of `router.admit`: seconds and USD, None where there is no such limit.

    Refused: `refused` is `requests`, `tokens`, `day` or `month`, `whose` is `key` or `tenant`; of that limit `bound` is
    what it allows, `remaining` what is left, `retry_after` the seconds until it is not in the way, None: never.
    """

    admitted: bool
    affordable: list[bool]
    refused: str | None
    whose: str | None
    bound: float | None
    remaining: float | None
    retry_after: float | None
    requests_limit: int | None
    requests_remaining: int | None
    requests_reset: float | None
    tokens_limit: int | None
    tokens_remaining: int | None
    tokens_reset: float | None


async def admit(
    db: Database,
    tenant_id: int,
    key_id: int,
    decision_id: UUID,
    tokens: int,
    costs: Sequence[float | None],
    *,
    deadline: float,
) -> Admission:
    """Ask for a request that may take `tokens`, by candidates that may cost so many USD each (None: unpriced).

    An admitted request stays reserved until the ledger has the decision. Raises `DatabaseUnavailable` after `deadline`
    seconds.
    """
    rows = await db.fetch(
        "select * from router.admit($1, $2, $3, $4, $5)",
        tenant_id,
        key_id,
        decision_id,
        tokens,
        costs,
        timeout=deadline,
    )
    return Admission(**rows[0])


async def put_limits(
    db: Database,
    tenant_id: int,
    key_id: int | None = None,
    *,
    requests: int | None = None,
    tokens: int | None = None,
    day_usd: float | None = None,
    month_usd: float | None = None,
) -> bool:
    """Limit a tenant, or one of its keys: requests and tokens a minute, USD a day and a month; None: no limit.

    All None takes the limits away. Returns whether there were any. Needs the owner's rights; `NotFound` for an unknown
    tenant or key.
    """
    rows = await db.fetch(
        "select router.put_limits($1, $2, $3, $4, $5, $6)",
        tenant_id,
        key_id,
        requests,
        tokens,
        day_usd,
        month_usd,
        # The month's ledger is added up once.
        timeout=60,
    )
    return bool(rows[0][0])


async def limits(db: Database, tenant_id: int) -> list[Mapping[str, Any]]:
    """The limits of a tenant, its own first, and of its keys, with what is used and left. Needs the owner's rights."""
    return await db.fetch("select * from router.list_limits($1)", tenant_id)
