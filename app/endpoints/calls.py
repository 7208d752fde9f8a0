"""Calls beside requests for models: each counts against the caller's limits, and has a turn of its tenant."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ..accounting.ledger import decision_id
from ..entities import Caller
from ..errors import BudgetSpent, LimitsUnchecked, RateLimited
from ..memory.embedders import EmbeddingFailed, Paid
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


@asynccontextmanager
async def paying(services: Services, caller: Caller, size: int) -> AsyncIterator[Paid | None]:
    """Count a call of `size` bytes against the caller's limits, and book what its embeddings cost.

    Raises `RateLimited`, `BudgetSpent` and `LimitsUnchecked`.
    """
    costs = services.embedding_costs
    try:
        model = costs.model_of((await services.spaces.of(caller, wait=True)).embedder)
    except EmbeddingFailed:
        model = None
    if model is None:
        await count(services, caller)
        yield None
        return
    decision, spent, reserved = decision_id(), 0, False

    def paid(tokens: int) -> None:
        nonlocal spent
        spent += tokens

    try:
        if caller.metered:
            # Four bytes are a token; the scores count too, as nothing is known of the texts yet.
            cost = costs.cost(model, size // 4)
            reserved = True
            reserved = (await services.admission.admit(caller, decision, 0, (cost,))).counted
        yield paid
    except (RateLimited, BudgetSpent):
        reserved = False
        raise
    except LimitsUnchecked as error:
        reserved = error.uncertain
        raise
    finally:
        if spent or reserved:
            costs.book(caller, model, spent, decision)
