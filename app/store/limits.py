"""Limits of tenants and keys, and the admission of a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from .database import Database


@dataclass(frozen=True, slots=True)
class Admission:
    """The result of `router.admit`, in seconds and USD. Fields of a limit that does not exist are None."""

    #: Whether the request is admitted.
    admitted: bool
    #: For each candidate whether the budgets have enough left for it.
    affordable: list[bool]
    #: The limit that refused the request: `requests`, `tokens`, `day` or `month`.
    refused: str | None
    #: The owner of that limit: `key` or `tenant`.
    whose: str | None
    #: The value of that limit.
    bound: float | None
    #: Remaining part of that limit.
    remaining: float | None
    #: Seconds until that limit admits the request; None: never.
    retry_after: float | None
    #: Requests per minute.
    requests_limit: int | None
    #: Requests left of that limit.
    requests_remaining: int | None
    #: Seconds until all requests per minute are available again.
    requests_reset: float | None
    #: Tokens per minute.
    tokens_limit: int | None
    #: Tokens left of that limit.
    tokens_remaining: int | None
    #: Seconds until all tokens per minute are available again.
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
    """Check a request of up to `tokens` tokens against the limits; `costs`: USD of each candidate (None: no price).

    An admitted request is reserved until the ledger has its decision. Raises `DatabaseUnavailable` after `deadline`
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
    """Set the limits of a tenant or of one of its keys: requests and tokens per minute, USD per day and month.

    None: no limit; all None removes the limits. Return whether there were limits before. Requires the owner's rights.
    Raises `NotFound` for an unknown tenant or key.
    """
    rows = await db.fetch(
        "select router.put_limits($1, $2, $3, $4, $5, $6)",
        tenant_id,
        key_id,
        requests,
        tokens,
        day_usd,
        month_usd,
        # The usage of this month is summed from the ledger.
        timeout=60,
    )
    return bool(rows[0][0])


async def list_limits(db: Database, tenant_id: int) -> list[Mapping[str, Any]]:
    """Return the limits of a tenant and of its keys, with what is used and left. Requires the owner's rights."""
    return await db.fetch("select * from router.list_limits($1)", tenant_id)
