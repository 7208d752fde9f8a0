"""Whether a caller may make a request now, and by which models: its limits, asked of Postgres in one round trip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import ceil
from uuid import UUID

from app.entities import Caller
from app.errors import BudgetSpent, DatabaseUnavailable, RateLimited, RouterError
from app.store import limits
from app.store.database import Database
from app.telemetry import metrics

#: What is limited a minute, and what OpenAI calls it.
_RATES = {"requests": "RPM", "tokens": "TPM"}


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request that may be made: which candidates the budgets leave, and the `x-ratelimit-*` headers of its answer.

    `counted` False: Postgres did not answer, and nothing is reserved; the ledger counts the request when it is back.
    """

    affordable: tuple[bool, ...]
    headers: dict[str, str] = field(default_factory=dict)
    counted: bool = True


class Admission:
    """Asks for callers that have limits (`Caller.metered`); nobody else needs to be asked for."""

    def __init__(self, db: Database, *, deadline: float) -> None:
        self._db = db
        self._deadline = deadline

    async def admit(self, caller: Caller, decision_id: UUID, tokens: int, costs: Sequence[float | None]) -> Admitted:
        """Admit a request that may take `tokens`, and reserve the dearest candidate that the budgets leave.

        `costs`: the USD that each candidate is expected to cost, in the order of the plan (None: unpriced; empty: the
        path has no model). Raises `RateLimited` and `BudgetSpent`; then nothing was counted.
        """
        try:
            found = await limits.admit(
                self._db, caller.tenant_id, caller.key_id, decision_id, tokens, costs, deadline=self._deadline
            )
        except DatabaseUnavailable:
            metrics.fail_opens.labels("admission").inc()
            return Admitted((True,) * len(costs), counted=False)
        headers = _headers(found)
        if found.admitted:
            return Admitted(tuple(found.affordable), headers)
        if found.refused in _RATES:
            metrics.rate_limit_refusals.labels(found.refused).inc()
            error = _rate_limited(found, tokens)
        else:
            metrics.budget_refusals.labels(found.whose).inc()
            error = _budget_spent(found, costs)
        error.headers.update(headers)
        raise error


def duration(seconds: float) -> str:
    """Seconds as OpenAI's headers have them: `20ms`, `1s`, `7.66s`, `6m0s`, `1h0m0s`; rounded up to a millisecond."""
    milliseconds = ceil(round(seconds * 1000, 6))
    if milliseconds < 1000:
        return f"{milliseconds}ms" if milliseconds else "0s"
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    text = f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    return f"{hours}h{minutes}m{text}" if hours else f"{minutes}m{text}" if minutes else text


def _headers(found: limits.Admission) -> dict[str, str]:
    headers: dict[str, str] = {}
    for what, limit, left, reset in (
        ("requests", found.requests_limit, found.requests_remaining, found.requests_reset),
        ("tokens", found.tokens_limit, found.tokens_remaining, found.tokens_reset),
    ):
        if limit is not None and reset is not None:
            headers[f"x-ratelimit-limit-{what}"] = str(limit)
            headers[f"x-ratelimit-remaining-{what}"] = str(left)
            headers[f"x-ratelimit-reset-{what}"] = duration(reset)
    return headers


def _rate_limited(found: limits.Admission, tokens: int) -> RouterError:
    assert found.refused is not None
    assert found.bound is not None
    limit = f"{found.refused} per min ({_RATES[found.refused]}) of this {found.whose}"
    asked = f", Requested {tokens}" if found.refused == "tokens" else ""
    if found.retry_after is None:
        return RateLimited(
            f"Request too large for the {limit}: Limit {found.bound:.0f}{asked}. "
            "The prompt, or the length of answer asked for, must be reduced.",
            kind=found.refused,
            seconds=None,
        )
    left = max(0.0, found.remaining or 0.0)
    return RateLimited(
        f"Rate limit reached for the {limit}: Limit {found.bound:.0f}, Remaining {left:.0f}{asked}. "
        f"Please try again in {duration(found.retry_after)}.",
        kind=found.refused,
        seconds=found.retry_after,
    )


def _budget_spent(found: limits.Admission, costs: Sequence[float | None]) -> RouterError:
    assert found.bound is not None
    assert found.retry_after is not None
    period = {"day": "daily", "month": "monthly"}[str(found.refused)]
    whose = "this API key" if found.whose == "key" else "this account, all its keys together"
    if not found.remaining or found.remaining < 0:
        why = "is spent"
    elif any(cost is not None for cost in costs):
        why = f"has {found.remaining:.2g} USD left, less than this request is expected to cost"
    else:
        why = "is kept by prices, and no model that could serve this request has one"
    # What remains of a day is measured by Postgres's clock.
    renews = datetime.now(UTC) + timedelta(seconds=found.retry_after, minutes=1)
    return BudgetSpent(
        f"The {period} budget of {found.bound:g} USD of {whose} {why}. It renews at {renews:%Y-%m-%d} 00:00 UTC.",
        seconds=found.retry_after,
    )
