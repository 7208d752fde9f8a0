"""Bulk import and export of memories."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg

from .database import Database
from .errors import translate_errors
from .memories import Example

#: Columns of staged_examples to copy, in the order of `Example.composite`.
COLUMNS = (
    "prompt_hash",
    "prompt",
    "source",
    "task",
    "prompt_tokens",
    "quality",
    "completion_tokens",
    "embedding",
)
#: Rows that an export fetches at once.
FETCH_SIZE = 1000


@dataclass(frozen=True, slots=True)
class StagingResult:
    """The result of an import: its examples, and how many memories were created, and evicted by the cap."""

    examples: int
    created: int
    evicted: int


class Staging:
    """Examples in a temporary table on the server; `teach` converts all of them to memories, or none."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        """`connection` must have the table staged_examples, which `router.stage` creates."""
        self._connection = connection

    async def add(self, examples: Sequence[Example]) -> None:
        """Copy examples to the table. Memories are as old as the order of their examples."""
        with translate_errors():
            await self._connection.copy_records_to_table(
                "staged_examples",
                schema_name="pg_temp",
                columns=COLUMNS,
                records=[example.composite() for example in examples],
            )

    async def teach(
        self, tenant_id: int, space_id: int, advance: Callable[[int], None], key_id: int | None = None
    ) -> StagingResult:
        """Teach the added examples; `advance` is called with the number of further examples that are done.

        `key_id`: the key that teaches; None: the command line.

        If cancelled before the commit, it changes nothing. The tenant's other writers wait: about 0.1 ms per example,
        3 ms with an HNSW index.
        """
        done = 0

        def on_notice(_: object, notice: asyncpg.PostgresLogMessage) -> None:
            nonlocal done
            if notice.detail and notice.detail.isdecimal():
                advance(int(notice.detail) - done)
                done = int(notice.detail)

        self._connection.add_log_listener(on_notice)
        transaction = self._connection.transaction()
        with translate_errors():
            # An explicit transaction: after cancelling a single statement it is unknown whether it was committed.
            await transaction.start()
            row = await self._connection.fetchrow(
                "select * from router.record_staged($1, $2, p_key => $3)", tenant_id, space_id, key_id
            )
            commit = asyncio.ensure_future(transaction.commit())
            try:
                await asyncio.shield(commit)
            except asyncio.CancelledError:
                # Too late to cancel: the commit is under way.
                await commit
        return StagingResult(**row)


async def room(db: Database, tenant_id: int) -> tuple[int, int]:
    """Return how many memories a tenant has, and how many it keeps."""
    (row,) = await db.fetch("select * from router.room($1)", tenant_id)
    return row["memories"], row["memory_cap"]


@asynccontextmanager
async def staging(db: Database) -> AsyncIterator[Staging]:
    """Create an empty `Staging`, which is dropped at the end of the context."""
    async with db.session() as connection:
        with translate_errors():
            await connection.execute("select router.stage()")
        yield Staging(connection)


async def export(db: Database, tenant_id: int) -> AsyncGenerator[Mapping[str, Any], None]:
    """Yield all memories of a tenant, oldest first, from one snapshot; at most `FETCH_SIZE` are in memory."""
    async with db.session() as connection:
        with translate_errors():
            transaction = connection.transaction(readonly=True)
            await transaction.start()
            cursor = await connection.cursor("select * from router.export($1)", tenant_id)
        while True:
            with translate_errors():
                rows = await cursor.fetch(FETCH_SIZE)
            if not rows:
                break
            for row in rows:
                yield row
        await transaction.commit()
