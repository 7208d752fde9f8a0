"""Memories: records, lists and deletes them, and reports their status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from pgvector import HalfVector

from .database import Database


@dataclass(frozen=True, slots=True)
class Example:
    """An example to teach."""

    #: The prompt.
    prompt: str
    #: Origin of the scores: `human`, `judge`, `import` or `feedback`.
    source: str
    #: Name of the task.
    task: str | None
    #: Estimated tokens of the prompt.
    prompt_tokens: int
    #: Quality of each model's answer by `model_id`, 0 to 1.
    scores: Mapping[int, float]
    #: Tokens of each model's answer by `model_id`.
    completion_tokens: Mapping[int, float]
    #: Embedding of the prompt, with the dimensions of the column.
    embedding: HalfVector

    def composite(self) -> tuple[Any, ...]:
        """Return the fields in the order of the SQL type `example`."""
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
    """Teach all examples or none; return for each its memory's number and whether it is new, in order.

    Of several examples of a prompt and a source the last counts, and only it is new.
    """
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
    """Delete memories, None: all; return how many."""
    rows = await db.fetch("select router.forget($1, $2, $3)", tenant_id, memory_ids, memory_ids is None, timeout=60)
    return int(rows[0][0])


async def recall(
    db: Database,
    tenant_id: int,
    *,
    search: str | None = None,
    after: int = 0,
    limit: int = 100,
    task: str | None = None,
    source: str | None = None,
    memory_ids: Sequence[int] | None = None,
) -> list[Mapping[str, Any]]:
    """Return memories ordered by number, from `after` on, as rows of `router.recall`.

    `search`: only those whose prompt contains it. `task`, `source`, `memory_ids`: only those with these values.
    """
    return await db.read(
        "select * from router.recall($1, $2, $3, $4, $5, $6, $7)",
        tenant_id, search, after, limit, task, source, memory_ids,
        timeout=30,
    )  # fmt: skip


async def nodes(db: Database, tenant_id: int, space_id: int, sample: int) -> list[Mapping[str, Any]]:
    """Return all memories of a space or a sample of them, as rows of `router.memory_nodes`."""
    return await db.read("select * from router.memory_nodes($1, $2, $3)", tenant_id, space_id, sample, timeout=30)


async def edges(
    db: Database, tenant_id: int, space_id: int, *, k: int, sample: int, offset: int, limit: int
) -> list[Mapping[str, Any]]:
    """Return the neighbours of a page of the memories that `nodes` returns, as rows of `router.memory_edges`."""
    return await db.read(
        "select * from router.memory_edges($1, $2, $3, $4, $5, $6)",
        tenant_id, space_id, k, sample, offset, limit,
        timeout=30,
    )  # fmt: skip


async def status(db: Database, tenant_id: int, space_id: int) -> list[Mapping[str, Any]]:
    """Return how much each policy has learned, a row per policy and task."""
    return await db.read("select * from router.status($1, $2)", tenant_id, space_id)


async def samples(db: Database, tenant_id: int, policy_id: int) -> list[Mapping[str, Any]]:
    """Return taught prompts to try a policy on, as rows of `router.samples`."""
    return await db.read("select * from router.samples($1, $2)", tenant_id, policy_id)
