"""What keeps the store in shape: the chores that are due, and each of them as one call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from typing import Any

import asyncpg

from app.store.database import Database, translated

#: A tenant of a million memories takes a quarter of an hour to be moved, or to be indexed anew.
LONG = 4 * 3600.0
#: What ending a build that was given up may take, seconds.
ENDING = 2.0

_BUSY = {
    "RT006",  # another session moves memories
    "55P03",  # readers or a teacher did not let go within the lock's time
    "40P01",  # chosen to end a deadlock
}


class Busy(Exception):
    """Somebody else is at it, or in the way: the chore is tried again in the next round."""


@dataclass(frozen=True, slots=True)
class Chore:
    """One thing that is due, as `router.chores` names it. `amount`: rows it is about, None: not known before.

    `churn`: those of them that were replaced since the index was built.
    """

    chore: str
    tenant_id: int | None
    tenant: str | None
    space_id: int | None
    day: date | None
    amount: int | None
    churn: int | None

    @property
    def index(self) -> str:
        """The vector index of the graduated space it is about."""
        return f"memories_large_{self.tenant_id}_{self.space_id}_hnsw"


async def chores(db: Database, *, graduate_at: int, ledger_days: int) -> list[Chore]:
    """What is due, in the order to do it; nothing on a standby."""
    rows = await db.fetch("select * from router.chores($1, $2)", graduate_at, ledger_days, timeout=60)
    return [Chore(**row) for row in rows]


async def graduate(db: Database, tenant_id: int, space_id: int) -> int:
    """Move a space of a tenant to a partition of its own; returns how many memories. Raises `Busy`."""
    return int(await _call(db, "select router.graduate($1, $2)", tenant_id, space_id))


async def shrink(db: Database, tenant_id: int, space_id: int) -> int:
    """Move it back to the exact scan; returns how many memories. Raises `Busy`."""
    return int(await _call(db, "select router.shrink($1, $2)", tenant_id, space_id))


async def sweep(db: Database, tenant_id: int, space_id: int) -> int:
    """Drop the empty partition a tenant has left; returns how many. Raises `Busy`."""
    return int(await _call(db, "select router.sweep($1, $2)", tenant_id, space_id))


async def open_day(db: Database, day: date) -> int:
    """Make the ledger's partition of a day (UTC). Raises `Busy`."""
    await _call(db, "select router_internal._open_day($1)", day)
    return 1


async def drop_day(db: Database, day: date) -> int:
    """Drop the ledger's partition of a day (UTC); returns how many. Raises `Busy`."""
    return int(await _call(db, "select router.drop_day($1)", day))


async def expire_conversations(db: Database, limit: int) -> int:
    """Forget up to `limit` conversations that have ended; returns how many."""
    return int(await _call(db, "select router.expire_conversations($1)", limit))


async def expire_reservations(db: Database, tenant_id: int) -> int:
    """Give back what a tenant's requests of more than an hour ago have reserved; returns how many there were."""
    return int(await _call(db, "select router.expire_reservations($1)", tenant_id))


async def settle_churn(db: Database, tenant_id: int, space_id: int, churn: int) -> bool:
    """Take `churn` replaced memories off a graduated space's count; False when somebody else did. The owner's."""
    return bool(await _call(db, "select router.settle_churn($1, $2, $3)", tenant_id, space_id, churn))


async def owns(db: Database) -> bool:
    """Whether this login may build the memory's indexes anew."""
    rows = await db.fetch("select pg_has_role(relowner, 'usage') from pg_class where oid = 'router.memories'::regclass")
    return bool(rows[0][0])


async def invalid_indexes(db: Database, chore: Chore) -> list[str]:
    """What an index build that broke off has left of the chore's partition."""
    rows = await db.fetch(
        "select c.relname from pg_index as i join pg_class as c on c.oid = i.indexrelid"
        " where i.indrelid = to_regclass($1) and not i.indisvalid",
        f"router.{chore.index.removesuffix('_hnsw')}",
    )
    return [row[0] for row in rows]


# CONCURRENTLY and VACUUM run in no function and no transaction, so these are statements of their own.


async def drop_index(db: Database, name: str) -> None:
    """Drop an index, keeping nobody waiting. The owner's."""
    await _call(db, f'drop index concurrently if exists router."{name}"')


async def reindex(db: Database, chore: Chore) -> None:
    """Build the chore's vector index anew while it is used. The owner's. Raises `Busy`."""
    memory = min(32_768 + 2 * (chore.amount or 0), 2_097_151)
    steps: list[tuple[str, ...]] = [
        ("select set_config('maintenance_work_mem', $1, false)", f"{memory}kB"),
        # Nobody waits for it, and a container's shared memory is too small for the workers' share of a build.
        ("select set_config('max_parallel_maintenance_workers', '0', false)",),
        (f"reindex index concurrently router.{chore.index}",),
        # With an index that holds no dead rows this is quick, and gives their places in the table back.
        (f"vacuum (index_cleanup on) router.{chore.index.removesuffix('_hnsw')}",),
    ]
    # A connection of its own, for the settings outlive the statement that makes them.
    async with db.session() as connection:
        try:
            with _busy(), translated():
                for statement, *arguments in steps:
                    await connection.execute(statement, *arguments, timeout=LONG)
        finally:
            # A build that is given up would go on, for nobody, unless the server is told.
            with suppress(Exception):
                await connection.close(timeout=ENDING)


async def built(db: Database) -> int | None:
    """How many rows the index has that is being built in this database; None: none is, or one may not look."""
    rows = await db.fetch(
        "select max(tuples_done) from pg_stat_progress_create_index where datname = current_database()"
    )
    return None if rows[0][0] is None else int(rows[0][0])


async def _call(db: Database, statement: str, *arguments: object) -> Any:
    with _busy():
        rows = await db.fetch(statement, *arguments, timeout=LONG)
    return rows[0][0] if rows else None


@contextmanager
def _busy() -> Iterator[None]:
    try:
        yield
    except asyncpg.PostgresError as error:
        if error.sqlstate in _BUSY:
            raise Busy(str(error)) from error
        raise
