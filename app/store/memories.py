"""What tenants taught: recording, listing, forgetting, and how far they have come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from pgvector import HalfVector

from app.store.database import Database


@dataclass(frozen=True, slots=True)
class Example:
    """One thing to teach: `scores` (0 to 1) and `completion_tokens` by model number; `embedding` fills the column."""

    prompt: str
    source: str
    task: str | None
    prompt_tokens: int
    scores: Mapping[int, float]
    completion_tokens: Mapping[int, float]
    embedding: HalfVector

    def composite(self) -> tuple[Any, ...]:
        """In the order of the SQL type `example`."""
        size = max(self.scores.keys() | self.completion_tokens.keys())
        return (
            sha256(self.prompt.encode()).digest(),
            self.prompt,
            self.source,
            self.task,
            self.prompt_tokens,
            [self.scores.get(model) for model in range(1, size + 1)],
            [self.completion_tokens.get(model) for model in range(1, size + 1)],
            self.embedding,
        )


async def record(
    db: Database, tenant_id: int, space_id: int, key_id: int | None, examples: Sequence[Example]
) -> list[tuple[int, bool]]:
    """Teach all examples or none: for each, in order, its memory's number and whether it is a new one."""
    rows = await db.fetch(
        "select memory, created from router.record($1, $2, $3, $4)",
        tenant_id,
        space_id,
        key_id,
        [example.composite() for example in examples],
        timeout=60,
    )
    return [(row["memory"], row["created"]) for row in rows]


async def forget(db: Database, tenant_id: int, memory_ids: Sequence[int] | None) -> int:
    """Forget these memories, or all for None; returns how many there were."""
    rows = await db.fetch("select router.forget($1, $2, $3)", tenant_id, memory_ids, memory_ids is None, timeout=60)
    return int(rows[0][0])


async def recall(
    db: Database, tenant_id: int, *, search: str | None = None, after: int = 0, limit: int = 100
) -> list[Mapping[str, Any]]:
    """Memories in order of their number, from `after` on; `search`: those whose prompt contains it."""
    return await db.read("select * from router.recall($1, $2, $3, $4)", tenant_id, search, after, limit, timeout=30)


async def status(db: Database, tenant_id: int, space_id: int) -> list[Mapping[str, Any]]:
    """How warm each policy is: a row per policy and task."""
    return await db.read("select * from router.status($1, $2)", tenant_id, space_id)
