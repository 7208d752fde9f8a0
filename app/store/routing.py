"""The decision and its ledger: the one question of a routed request, and what is written down afterwards."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg
from pgvector import HalfVector

from app.errors import MemoryUnavailable
from app.store.database import Database

log = logging.getLogger("pgrouter.store")

_DECIDE = "select * from router.decide($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"


async def decide(
    db: Database,
    *,
    tenant_id: int,
    policy_id: int,
    space_id: int,
    embedding: HalfVector | None,
    task: str | None,
    prompt_tokens: int,
    default_model: int,
    models: Sequence[int] | None,
    alpha: float | None,
    conversation: bytes | None,
    continues: bool,
    random: float,
    deadline: float,
) -> list[Mapping[str, Any]]:
    """The candidates best first, as rows of `router.decide`.

    Raises `MemoryUnavailable` past `deadline` (seconds), and for whatever else keeps Postgres from deciding: a request
    is not to fail for that.
    """
    try:
        rows = await db.read(
            _DECIDE,
            tenant_id,
            policy_id,
            space_id,
            embedding,
            task,
            prompt_tokens,
            default_model,
            models,
            alpha,
            conversation,
            continues,
            random,
            timeout=deadline,
        )
    except asyncpg.PostgresError as error:
        log.error("router.decide failed with SQLSTATE %s", error.sqlstate)
        raise MemoryUnavailable("Postgres could not decide.") from error
    if not rows:
        # The default model was disabled a moment ago, and nothing else is left.
        raise MemoryUnavailable("Postgres knows no candidate.")
    return rows


async def explain(
    db: Database, tenant_id: int, policy_id: int, space_id: int, embedding: HalfVector, limit: int
) -> list[Mapping[str, Any]]:
    """The memories nearest to an embedding with what they say, as rows of `router.explain`."""
    return await db.read(
        "select * from router.explain($1, $2, $3, $4, $5)", tenant_id, policy_id, space_id, embedding, limit
    )


async def decision(db: Database, tenant_id: int, decision_id: UUID) -> Mapping[str, Any] | None:
    """One decision of the ledger; None when this tenant has none of that number."""
    rows = await db.read("select * from router.decision($1, $2)", tenant_id, decision_id)
    return rows[0] if rows else None


async def log_decisions(db: Database, entries: Sequence[tuple[Any, ...]]) -> int:
    """Write ledger entries (tuples in the order of the type `decision_entry`); returns how many were new."""
    rows = await db.fetch("select router.log_decisions($1)", entries, timeout=30)
    return int(rows[0][0])
