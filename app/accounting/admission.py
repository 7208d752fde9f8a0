"""Checks a request against the limits of its key and tenant, in one round trip to Postgres."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import ceil
from uuid import UUID

from ..entities import Caller
from ..errors import BudgetSpent, Cause, DatabaseUnavailable, LimitsUnchecked, RateLimited, RouterError, RowConflict
from ..store import limits
from ..store.database import Database
from ..telemetry import metrics

#: Limits per minute, with OpenAI's names for them.
_RATES = {"requests": "RPM", "tokens": "TPM"}
#: Pauses before Postgres is asked again, seconds.
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 0.5
#: The Retry-After of `LimitsUnchecked`, seconds.
RETRY_AFTER = 2.0
#: Causes after which the call may have been executed nevertheless.
UNCERTAIN = ("timeout", "lost")


@dataclass(frozen=True, slots=True)
class AdmissionResult:
    """The result of the check for a request that is within its limits."""

    #: For each candidate whether the budgets have enough left for it.
    affordable: tuple[bool, ...]
    #: The `x-ratelimit-*` headers of the answer.
    headers: dict[str, str] = field(default_factory=dict)
    #: False: no server answered and nothing is reserved. The ledger counts the request once Postgres is back.
    counted: bool = True


class Admission:
    """Checks the requests of callers that have limits (`Caller.metered`)."""

    def __init__(self, db: Database, *, deadline: float) -> None:
        """`deadline`: seconds for Postgres to check the limits of a request, attempts after a failure included."""
        self._db = db
        self._deadline = deadline

    async def admit(
        self, caller: Caller, decision_id: UUID, tokens: int, costs: Sequence[float | None]
    ) -> AdmissionResult:
        """Admit a request of up to `tokens`, and reserve the cost of the most expensive affordable candidate.

        `costs`: the expected cost of each candidate in USD, in the order of the plan (None: no price; empty: the path
        has no model). Raises `RateLimited` or `BudgetSpent`; then the request is not counted. Raises `LimitsUnchecked`
        if Postgres answers but does not check the limits in time.
        """
        found = await self._ask(caller, decision_id, tokens, costs)
        if found is None:
            return AdmissionResult((True,) * len(costs), counted=False)
        headers = _headers(found)
        if found.admitted:
            return AdmissionResult(tuple(found.affordable), headers)
        if found.refused in _RATES:
            metrics.rate_limit_refusals.labels(found.refused).inc()
            error = _rate_limited(found, tokens)
        else:
            metrics.budget_refusals.labels(found.whose).inc()
            error = _budget_spent(found, costs)
        error.headers.update(headers)
        raise error

    async def _ask(
        self, caller: Caller, decision_id: UUID, tokens: int, costs: Sequence[float | None]
    ) -> limits.Admission | None:
        """Return the result of Postgres, asked again until `deadline`; None if no server answers."""
        ends = time.monotonic() + self._deadline
        pause = FIRST_PAUSE
        uncertain = False
        while True:
            left = ends - time.monotonic()
            try:
                return await limits.admit(
                    self._db, caller.tenant_id, caller.key_id, decision_id, tokens, costs, deadline=max(0.001, left)
                )
            except RowConflict:
                # An earlier attempt was executed although its answer did not arrive.
                cause: Cause = "lost"
                uncertain, left = True, 0.0
            except DatabaseUnavailable as error:
                cause = error.cause
                uncertain = uncertain or cause in UNCERTAIN
                left = ends - time.monotonic()
            if cause == "unreachable" or (left <= pause and self._db.unreachable):
                metrics.fail_opens.labels("admission", "unreachable").inc()
                return None
            if left <= pause:
                metrics.limits_unchecked.labels(cause).inc()
                raise LimitsUnchecked(
                    "Postgres is too busy to check the limits of this key and account: please try again.",
                    seconds=RETRY_AFTER,
                    uncertain=uncertain,
                )
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311
            pause = min(2 * pause, LONGEST_PAUSE)


def format_duration(seconds: float) -> str:
    """Format seconds as in OpenAI's headers: `20ms`, `1s`, `7.66s`, `6m0s`, `1h0m0s`; rounded up to a millisecond."""
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
            headers[f"x-ratelimit-reset-{what}"] = format_duration(reset)
    return headers


def _rate_limited(found: limits.Admission, tokens: int) -> RouterError:
    assert found.refused is not None
    assert found.bound is not None
    limit = f"{found.refused} per min ({_RATES[found.refused]}) of this {found.whose}"
    requested = f", Requested {tokens}" if found.refused == "tokens" else ""
    if found.retry_after is None:
        return RateLimited(
            f"Request too large for the {limit}: Limit {found.bound:.0f}{requested}. "
            "The prompt, or the length of answer asked for, must be reduced.",
            kind=found.refused,
            seconds=None,
        )
    left = max(0.0, found.remaining or 0.0)
    return RateLimited(
        f"Rate limit reached for the {limit}: Limit {found.bound:.0f}, Remaining {left:.0f}{requested}. "
        f"Please try again in {format_duration(found.retry_after)}.",
        kind=found.refused,
        seconds=found.retry_after,
    )


def _budget_spent(found: limits.Admission, costs: Sequence[float | None]) -> RouterError:
    assert found.bound is not None
    assert found.retry_after is not None
    period = {"day": "daily", "month": "monthly"}[str(found.refused)]
    owner = "this API key" if found.whose == "key" else "this account (all its keys together)"
    if not found.remaining or found.remaining < 0:
        reason = "is spent"
    elif any(cost is not None for cost in costs):
        reason = f"has {found.remaining:.2g} USD left, less than the expected cost of this request"
    else:
        reason = "cannot be checked, because no model that could serve this request has a price"
    # Postgres's clock may differ from this one: the minute keeps the date from being that of the day before.
    renews = datetime.now(UTC) + timedelta(seconds=found.retry_after, minutes=1)
    return BudgetSpent(
        f"The {period} budget of {found.bound:g} USD of {owner} {reason}. It renews at {renews:%Y-%m-%d} 00:00 UTC.",
        seconds=found.retry_after,
    )
