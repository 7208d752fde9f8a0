"""A whole file of examples on its way into a memory, and a whole memory on its way into a file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg

from app.store.database import Database, translated
from app.store.memories import Example

#: The columns of staged_examples that are filled, in the order of `Example.composite`.
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
#: Rows that an export has in flight.
AHEAD = 1000


@dataclass(frozen=True, slots=True)
class StagingResult:
    """What became of a file: its `examples`, how many memories are new, and how many had to go for the cap."""

    examples: int
    created: int
    evicted: int


class Staging:
    """Examples copied to the server that no one sees: `teach` makes memories of all of them, or of none."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        """`connection` has a table staged_examples, as `router.stage` makes it."""
        self._connection = connection

    async def add(self, examples: Sequence[Example]) -> None:
        """Copy some more; the order of all is the order of their ages."""
        with translated():
            await self._connection.copy_records_to_table(
                "staged_examples",
                schema_name="pg_temp",
                columns=COLUMNS,
                records=[example.composite() for example in examples],
            )

    async def teach(self, tenant_id: int, space_id: int, advance: Callable[[int], None]) -> StagingResult:
        """Teach what was added; `advance` hears how many more are done. Cancelled in time, it leaves nothing.

        The tenant's other writers wait meanwhile: about 0.1 ms an example, 3 ms where an HNSW has to take it.
        """
        done = 0

        def hear(_: object, notice: asyncpg.PostgresLogMessage) -> None:
            nonlocal done
            if notice.detail and notice.detail.isdecimal():
                advance(int(notice.detail) - done)
                done = int(notice.detail)

        self._connection.add_log_listener(hear)
        transaction = self._connection.transaction()
        with translated():
            # One statement would do, but cancelling one does not say whether it came to its end.
            await transaction.start()
            row = await self._connection.fetchrow("select * from router.record_staged($1, $2)", tenant_id, space_id)
            commit = asyncio.ensure_future(transaction.commit())
            try:
                await asyncio.shield(commit)
            except asyncio.CancelledError:
                # Too late: it is being kept.
                await commit
        return StagingResult(**row)


@asynccontextmanager
async def staging(db: Database) -> AsyncIterator[Staging]:
    """An empty place to copy examples to; it is gone afterwards, whatever happened."""
    async with db.session() as connection:
        with translated():
            await connection.execute("select router.stage()")
        yield Staging(connection)


async def export(db: Database, tenant_id: int) -> AsyncGenerator[Mapping[str, Any], None]:
    """All memories of a tenant as one moment saw them, the oldest first; no more than `AHEAD` are held here."""
    async with db.session() as connection:
        with translated():
            transaction = connection.transaction(readonly=True)
            await transaction.start()
            cursor = await connection.cursor("select * from router.export($1)", tenant_id)
        while True:
            with translated():
                rows = await cursor.fetch(AHEAD)
            if not rows:
                break
            for row in rows:
                yield row
        await transaction.commit()
