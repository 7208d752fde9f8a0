"""Admission of limited callers: errors in OpenAI's words, and no refusal while Postgres is away."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest

from app.accounting.admission import Admission, AdmissionResult, format_duration
from app.entities import Caller
from app.errors import BudgetSpent, RateLimited
from app.store import limits as money
from app.store.database import Database
from tests.support.budget_world import key_of, reserved
from tests.support.sql_world import World


@dataclass
class Asking:
    """A limited caller, and its admission."""

    world: World
    admission: Admission
    caller: Caller

    async def limit(self, *, key: bool = False, **limits: Any) -> None:
        """Limit the caller's tenant, or its key."""
        db = Database(self.world.dsn, size=1, role=None)
        await db.open()
        try:
            await money.put_limits(db, self.caller.tenant_id, self.caller.key_id if key else None, **limits)
        finally:
            await db.close()

    async def admit(self, costs: tuple[float | None, ...] = (0.1,), tokens: int = 10) -> AdmissionResult:
        """Call `admit` for a new request."""
        decision: UUID = await self.world.owner.fetchval("select uuidv7()")
        return await self.admission.admit(self.caller, decision, tokens, costs)


@pytest.fixture
async def asking(world: World) -> AsyncIterator[Asking]:
    """A caller without limits yet."""
    tenant = await world.tenant()
    caller = Caller(tenant, "acme", await key_of(world, tenant), None, False, MappingProxyType({}), metered=True)
    db = Database(world.dsn, size=2)
    await db.open()
    yield Asking(world, Admission(db, deadline=5), caller)
    await db.close()


async def test_an_answer_has_headers_of_the_remaining_limits(asking: Asking) -> None:
    await asking.limit(requests=120)
    admitted = await asking.admit((0.2, None))
    assert admitted == AdmissionResult(
        (True, True),
        {
            "x-ratelimit-limit-requests": "120",
            "x-ratelimit-remaining-requests": "119",
            "x-ratelimit-reset-requests": "500ms",
        },
    )
    await asking.limit(tokens=1000, day_usd=1)
    headers = (await asking.admit(tokens=100)).headers
    assert set(headers) == {f"x-ratelimit-{what}-tokens" for what in ("limit", "remaining", "reset")}
    assert headers["x-ratelimit-reset-tokens"] == "6s"
    await asking.limit(day_usd=1)
    assert (await asking.admit()).headers == {}


async def test_a_fallback_that_a_budget_does_not_bear_is_marked(asking: Asking) -> None:
    await asking.limit(month_usd=0.5)
    assert (await asking.admit((0.1, 0.6, 0.3))).affordable == (True, False, True)
    assert await reserved(asking.world, asking.caller.tenant_id) == [(Decimal("0.3"), 10)]


async def test_too_many_requests_are_a_429_with_retry_after(asking: Asking) -> None:
    await asking.limit(key=True, requests=1)
    await asking.admit()
    with pytest.raises(RateLimited) as caught:
        await asking.admit()
    error = caught.value
    assert error.status == 429
    assert re.fullmatch(
        r"Rate limit reached for the requests per min \(RPM\) of this key: Limit 1, Remaining 0\. "
        r"Please try again in (1m0|\d\d(\.\d+)?)s\.",
        error.message,
    )
    assert error.body()["error"] | {"message": ""} == {
        "message": "", "type": "requests", "param": None, "code": "rate_limit_exceeded",
    }  # fmt: skip
    assert 50 <= int(error.headers["retry-after"]) <= 60
    assert 50_000 < int(error.headers["retry-after-ms"]) <= 60_000
    assert error.headers["x-ratelimit-remaining-requests"] == "0"


async def test_too_many_tokens_are_named_with_what_was_asked(asking: Asking) -> None:
    await asking.limit(tokens=1000)
    await asking.admit(tokens=900)
    with pytest.raises(
        RateLimited, match=r"tokens per min \(TPM\) of this tenant: Limit 1000, .*, Requested 400"
    ) as caught:
        await asking.admit(tokens=400)
    assert caught.value.body()["error"]["type"] == "tokens"
    assert 0 < int(caught.value.headers["retry-after"]) <= 18


async def test_a_request_that_can_never_fit_is_not_to_be_tried_again(asking: Asking) -> None:
    await asking.limit(tokens=1000)
    with pytest.raises(RateLimited, match=r"Request too large .* Limit 1000, Requested 1001") as caught:
        await asking.admit(tokens=1001)
    assert caught.value.headers["x-should-retry"] == "false"
    assert "retry-after" not in caught.value.headers


async def test_a_spent_budget_is_a_402_that_names_its_owner_and_its_end(asking: Asking) -> None:
    await asking.limit(key=True, day_usd=0.1, requests=10)
    await asking.admit()
    with pytest.raises(BudgetSpent) as caught:
        await asking.admit()
    error = caught.value
    tomorrow = await asking.world.owner.fetchval("select to_char((now() at time zone 'UTC')::date + 1, 'YYYY-MM-DD')")
    assert error.message == (
        f"The daily budget of 0.1 USD of this API key is spent. It renews at {tomorrow} 00:00 UTC."
    )
    assert error.status == 402
    assert (error.body()["error"]["type"], error.body()["error"]["code"]) == ("insufficient_quota",) * 2
    assert 0 < int(error.headers["retry-after"]) <= 86400
    assert error.headers["x-ratelimit-remaining-requests"] == "9"


async def test_a_refusal_names_the_budget(asking: Asking) -> None:
    await asking.limit(month_usd=0.25)
    await asking.admit((0.2,))
    with pytest.raises(
        BudgetSpent, match=r"monthly budget of 0.25 USD of this account.* has 0\.05 USD left, less than"
    ):
        await asking.admit((0.2, 0.1))
    with pytest.raises(BudgetSpent, match="no model that could serve this request has a price"):
        await asking.admit((None,))


async def test_with_postgres_not_answering_everybody_is_admitted_uncounted(asking: Asking) -> None:
    await asking.limit(day_usd=0)
    db = Database(asking.world.dsn, size=1)
    await db.open()
    try:
        async with asking.world.owner.transaction():
            await asking.world.owner.execute("select from router.meters for update")
            decision = await asking.world.app.fetchval("select uuidv7()")
            admitted = await Admission(db, deadline=0.1).admit(asking.caller, decision, 10, (0.1, None))
    finally:
        await db.close()
    assert admitted == AdmissionResult((True, True), counted=False)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"), (0.0001, "1ms"), (0.02, "20ms"), (0.9991, "1s"), (1, "1s"), (7.66, "7.66s"), (59.9999, "1m0s"),
        (60, "1m0s"), (360, "6m0s"), (90.5, "1m30.5s"), (3600, "1h0m0s"), (86400, "24h0m0s"),
    ],
)  # fmt: skip
def test_durations_read_like_openais(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
