"""Embedding spaces of a tenant: building another one from the stored prompts while the old one serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pgvector import HalfVector

from app.errors import DatabaseUnavailable
from app.store.database import Database

#: Reading or writing at most one batch, and what looks through all of a tenant's memories, seconds.
BATCH_TIMEOUT = 120
WHOLE_TIMEOUT = 1800


class Left(NamedTuple):
    """Memories that the new space has not got: those that can be rewritten, and those that cannot."""

    outdated: int
    lost: int


async def spaces_of(db: Database, tenant_id: int) -> list[Mapping[str, Any]]:
    """The spaces a tenant has anything in, as rows of `router.spaces_of`."""
    return await db.fetch("select * from router.spaces_of($1)", tenant_id)


async def build(db: Database, tenant_id: int, space_id: int) -> int:
    """Begin to build a space or go on with it; returns the space that serves meanwhile.

    Raises `Conflict` while a third one is being built.
    """
    return int((await db.fetch("select router.build_space($1, $2)", tenant_id, space_id))[0][0])


async def give_up(db: Database, tenant_id: int) -> None:
    """Build no space any more; what was written of it stays until it is dropped."""
    await db.fetch("select router.build_space($1, null)", tenant_id)


async def left(db: Database, tenant_id: int, from_space: int, to_space: int) -> Left:
    """How much of one space another has not got."""
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
    """Memories of one space that another has not got, by number from `after` on, and whether their prompts are stored.

    Goes through all of both spaces, however few are asked for.
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
    """The stored prompts of these memories; one that is gone meanwhile is not among them."""
    rows = await db.fetch("select * from router.prompts($1, $2)", tenant_id, memories, timeout=BATCH_TIMEOUT)
    return {row["memory_id"]: row["prompt"] for row in rows}


async def reembed(
    db: Database, tenant_id: int, from_space: int, to_space: int, vectors: Mapping[int, HalfVector]
) -> int:
    """Copy memories, given their new vectors, into the space that is being built; returns how many.

    Raises `Conflict` when it is not being built any more.
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
    """Let the built space serve, if nothing is outdated and at most `lost` memories are lost; else nothing changes.

    `unfit` are memories whose prompts the new embedder has no vector for. Returns what kept it from switching, if any.
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
    """Forget up to `limit` memories of a space that is not in use; returns how many. Raises `Conflict` if it is."""
    rows = await db.fetch("select router.drop_space($1, $2, $3)", tenant_id, space_id, limit, timeout=BATCH_TIMEOUT)
    return int(rows[0][0])


async def register_space(db: Database, name: str, dimensions: int) -> int:
    """The number of an embedding space, made at its first use; one that is known is found on a standby, too."""
    statement = "select router.register_space($1, $2)"
    try:
        rows = await db.read(statement, name, dimensions)
    except DatabaseUnavailable:
        if not db.replicated:
            raise
        rows = await db.fetch(statement, name, dimensions)
    return int(rows[0][0])


async def width(db: Database) -> int:
    """Dimensions of the embedding column, as chosen at the first migration."""
    rows = await db.read("select router.embedding_width()")
    return int(rows[0][0])
