"""Embedding spaces of a tenant: builds a new one from the stored prompts while the old one is in use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pgvector import HalfVector

from ..errors import DatabaseUnavailable
from .database import Database

#: Timeouts of calls on one batch, and of calls on all memories of a tenant, seconds.
BATCH_TIMEOUT = 120
WHOLE_TIMEOUT = 1800


class Left(NamedTuple):
    """Memories that are missing in the new space: those that can be rewritten, and those without a stored prompt."""

    outdated: int
    lost: int


async def spaces_of(db: Database, tenant_id: int) -> list[Mapping[str, Any]]:
    """Return the spaces in which a tenant has memories, as rows of `router.spaces_of`."""
    return await db.fetch("select * from router.spaces_of($1)", tenant_id)


async def build(db: Database, tenant_id: int, space_id: int) -> int:
    """Start or continue to build a space; return the space in use.

    Raises `Conflict` if another one is being built.
    """
    return int((await db.fetch("select router.build_space($1, $2)", tenant_id, space_id))[0][0])


async def give_up(db: Database, tenant_id: int) -> None:
    """Stop building a space; its memories stay until it is dropped."""
    await db.fetch("select router.build_space($1, null)", tenant_id)


async def left(db: Database, tenant_id: int, from_space: int, to_space: int) -> Left:
    """Return how many memories of one space are missing in another."""
    rows = await db.fetch(
        "select count(*) filter (where stored), count(*) filter (where not stored) from router.outdated($1, $2, $3)",
        tenant_id,
        from_space,
        to_space,
        timeout=WHOLE_TIMEOUT,
    )
    return Left(*rows[0])


async def outdated(
    db: Database, tenant_id: int, from_space: int, to_space: int, *, after: int, limit: int
) -> list[tuple[int, bool]]:
    """Return the memories of one space that are missing in another, and whether their prompts are stored.

    Ordered by number, from `after` on. Reads both spaces completely, whatever the limit.
    """
    rows = await db.fetch(
        "select memory_id, stored from router.outdated($1, $2, $3, $4, $5)",
        tenant_id,
        from_space,
        to_space,
        after,
        limit,
        timeout=WHOLE_TIMEOUT,
    )
    return [(row["memory_id"], row["stored"]) for row in rows]


async def prompts(db: Database, tenant_id: int, memories: Sequence[int]) -> dict[int, str]:
    """Return the stored prompts of these memories, without memories that no longer exist."""
    rows = await db.fetch("select * from router.prompts($1, $2)", tenant_id, memories, timeout=BATCH_TIMEOUT)
    return {row["memory_id"]: row["prompt"] for row in rows}


async def reembed(
    db: Database, tenant_id: int, from_space: int, to_space: int, vectors: Mapping[int, HalfVector]
) -> int:
    """Copy memories with new vectors into the space that is being built; return how many.

    Raises `Conflict` if the space is no longer being built.
    """
    rows = await db.fetch(
        "select router.reembed($1, $2, $3, $4, $5)",
        tenant_id,
        from_space,
        to_space,
        list(vectors),
        list(vectors.values()),
        timeout=BATCH_TIMEOUT,
    )
    return int(rows[0][0])


async def switch(db: Database, tenant_id: int, space_id: int, *, lost: int, unfit: Sequence[int]) -> Left:
    """Put the new space in use if no memory is outdated and at most `lost` memories are lost; else change nothing.

    `unfit`: memories whose prompts the new embedder cannot embed. Return the counts that prevented the switch, if any.
    """
    rows = await db.fetch(
        "select outdated, lost from router.switch_space($1, $2, $3, $4)",
        tenant_id,
        space_id,
        lost,
        unfit,
        timeout=WHOLE_TIMEOUT,
    )
    return Left(*rows[0])


async def drop(db: Database, tenant_id: int, space_id: int, limit: int) -> int:
    """Delete up to `limit` memories of an unused space; return how many. Raises `Conflict` if it is in use."""
    rows = await db.fetch("select router.drop_space($1, $2, $3)", tenant_id, space_id, limit, timeout=BATCH_TIMEOUT)
    return int(rows[0][0])


async def register_space(db: Database, name: str, dimensions: int) -> int:
    """Return the number of an embedding space, and register a new one; a standby can return a registered one."""
    statement = "select router.register_space($1, $2)"
    try:
        rows = await db.read(statement, name, dimensions)
    except DatabaseUnavailable:
        if not db.replicated:
            raise
        rows = await db.fetch(statement, name, dimensions)
    return int(rows[0][0])


async def width(db: Database) -> int:
    """Return the dimensions of the embedding column, which the first migration sets."""
    rows = await db.read("select router.embedding_width()")
    return int(rows[0][0])
