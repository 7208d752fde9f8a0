"""Calls of `router.decide`, and values read from a ranking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pgvector import HalfVector

from tests.support.sql_world import START, Taught, World, uuid7

CONVERSATION = b"0123456789abcdef"


def order(rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Return the models of a ranking, in order."""
    return [row["model_id"] for row in rows]


def reason(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the reason of a ranking, which is the same in all rows."""
    (found,) = {row["reason"] for row in rows}
    return str(found)


async def taught(world: World, **settings: Any) -> tuple[int, int]:
    """Make a tenant of ten memories in which `small` is the better model."""
    tenant = await world.tenant()
    policy = await world.policy(tenant, **settings)
    await world.teach(tenant, *(Taught(f"{i}", {world.small: 1.0, world.large: 0.0}) for i in range(10)))
    return tenant, policy


async def assert_declines(
    world: World, tenant: int, policy: int, why: str, embedding: HalfVector | None = None, **question: Any
) -> None:
    rows = await world.decide(tenant, policy, embedding, **question)
    assert reason(rows) == why
    assert order(rows) == [world.large, world.small]


async def converse(world: World, tenant: int, policy: int, model: int, **entry: Any) -> None:
    """Log one turn of the conversation as served by `model`."""
    defaults = {"tenant_id": tenant, "policy_id": policy, "decision_id": uuid7(START), "conversation": CONVERSATION}
    await world.log({**defaults, "model_id": model, **entry})


async def fitted(
    world: World, tenant: int, policy: int, k: int, tau: float, n0: float, guess: bool,
    transfer: Sequence[float] | None = None,
) -> None:  # fmt: skip
    """Write a fit of a policy of small and large for a memory of the present size; `transfer`: a matrix in rows."""
    async with world.owner.transaction():
        await world.owner.execute(f"select router_internal._enter({tenant})")
        await world.owner.execute("delete from router.fits where policy_id = $1", policy)
        await world.owner.execute(
            "insert into router.fits (tenant_id, policy_id, space_id, fitted_at, memories, rows, pairs, models, k, tau,"
            " n0, guess, transfer) select $1, $2, $3, now(), memories, 1, 1, $4, $5, $6, $7, $8, $9"
            " from router.memory_counts where tenant_id = $1 and space_id = $3",
            tenant, policy, world.space, sorted([world.small, world.large]), k, tau, n0, guess, transfer,
        )  # fmt: skip
