"""Calls beside requests for models: each counts against the caller's limits, and has a turn of its tenant."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ..accounting.ledger import decision_id
from ..entities import Caller
from ..services import Services

#: The expected cost of a call that asks no provider: a budget that is spent does not refuse it.
_FREE = (0.0,)


@asynccontextmanager
async def counted(services: Services, caller: Caller) -> AsyncIterator[None]:
    """Count a call as a request, and hold a turn of the tenant. Raises `RateLimited`, `LimitsUnchecked` and `Busy`."""
    await count(services, caller)
    async with services.turns.turn(caller.tenant_id):
        yield


async def count(services: Services, caller: Caller) -> None:
    """Count a call that costs nothing as a request. Raises `RateLimited` and `LimitsUnchecked`."""
    if caller.metered:
        await services.admission.admit(caller, decision_id(), 0, _FREE)
