"""Maintenance of the database: the jobs that are due, and one call for each job."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from typing import Any

from app.errors import DatabaseError
from app.store.database import Database, translated

#: Timeout of a job, seconds: moving or re-indexing a tenant of a million memories takes a quarter of an hour.
LONG = 4 * 3600.0
#: Timeout for ending an abandoned index build, seconds.
ENDING = 2.0

_BUSY = {
    "RT006",  # another session moves memories
    "55P03",  # readers or a writer kept a lock longer than the lock timeout
    "40P01",  # rolled back to end a deadlock
}


_COLUMNS = ("tenant_id", "tenant", "space_id", "day", "amount", "churn")


class Busy(Exception):
    """Another session does the job or holds a lock that it needs: the next round tries again."""


@dataclass(frozen=True, slots=True)
class Job:
    """A maintenance job that is due: a row of `router.chores`."""

    #: What is to be done: the name of the call of this module that does it.
    name: str
    tenant_id: int | None
    tenant: str | None
    space_id: int | None
    #: Day of the ledger, UTC.
    day: date | None
    #: Rows concerned; None: unknown before the job is done.
    amount: int | None
    #: How many of these memories were replaced since the index was built.
    churn: int | None

    @property
    def index(self) -> str:
        """Name of the vector index of the graduated space."""
        return f"memories_large_{self.tenant_id}_{self.space_id}_hnsw"


async def jobs(db: Database, *, graduate_at: int, ledger_days: int) -> list[Job]:
    """The jobs that are due, in the order in which to do them; none on a standby."""
    rows = await db.fetch("select * from router.chores($1, $2)", graduate_at, ledger_days, timeout=60)
    return [Job(name=row["chore"], **{column: row[column] for column in _COLUMNS}) for row in rows]


async def graduate(db: Database, tenant_id: int, space_id: int) -> int:
    """Move a space of a tenant to a partition of its own; returns how many memories. Raises `Busy`."""
    return int(await _call(db, "select router.graduate($1, $2)", tenant_id, space_id))


async def shrink(db: Database, tenant_id: int, space_id: int) -> int:
    """Move a space back to the partition of the exact scan; returns how many memories. Raises `Busy`."""
    return int(await _call(db, "select router.shrink($1, $2)", tenant_id, space_id))


async def sweep(db: Database, tenant_id: int, space_id: int) -> int:
    """Drop the empty partition of a space that was moved; returns how many. Raises `Busy`."""
    return int(await _call(db, "select router.sweep($1, $2)", tenant_id, space_id))


async def open_day(db: Database, day: date) -> int:
    """Make the ledger's partition of a day (UTC). Raises `Busy`."""
    await _call(db, "select router_internal._open_day($1)", day)
    return 1


async def drop_day(db: Database, day: date) -> int:
    """Drop the ledger's partition of a day (UTC); returns how many. Raises `Busy`."""
    return int(await _call(db, "select router.drop_day($1)", day))


async def expire_conversations(db: Database, limit: int) -> int:
    """Delete up to `limit` conversations that have ended; returns how many."""
    return int(await _call(db, "select router.expire_conversations($1)", limit))


async def expire_reservations(db: Database, tenant_id: int) -> int:
    """Release the reservations of a tenant's requests of more than an hour ago; returns how many."""
    return int(await _call(db, "select router.expire_reservations($1)", tenant_id))


async def settle_churn(db: Database, tenant_id: int, space_id: int, churn: int) -> bool:
    """Subtract `churn` from a graduated space's count of replaced memories; False if another session did.

    Needs the owner's login.
    """
    return bool(await _call(db, "select router.settle_churn($1, $2, $3)", tenant_id, space_id, churn))


async def owns(db: Database) -> bool:
    """Whether this login may rebuild the indexes of the memory."""
    rows = await db.fetch("select pg_has_role(relowner, 'usage') from pg_class where oid = 'router.memories'::regclass")
    return bool(rows[0][0])


async def invalid_indexes(db: Database, job: Job) -> list[str]:
    """The indexes that aborted builds have left on the job's partition."""
    rows = await db.fetch(
        "select c.relname from pg_index as i join pg_class as c on c.oid = i.indexrelid"
        " where i.indrelid = to_regclass($1) and not i.indisvalid",
        f"router.{job.index.removesuffix('_hnsw')}",
    )
    return [row[0] for row in rows]


# CONCURRENTLY and VACUUM run neither in functions nor in transactions, so these are separate statements.


async def drop_index(db: Database, name: str) -> None:
    """Drop an index without blocking other sessions. Needs the owner's login."""
    await _call(db, f'drop index concurrently if exists router."{name}"')


async def reindex(db: Database, job: Job) -> None:
    """Rebuild the job's vector index while it is in use. Needs the owner's login. Raises `Busy`."""
    memory = min(32_768 + 2 * (job.amount or 0), 2_097_151)
    steps: list[tuple[str, ...]] = [
        ("select set_config('maintenance_work_mem', $1, false)", f"{memory}kB"),
        # A container's shared memory may be too small for parallel workers of a build, and no request waits for it.
        ("select set_config('max_parallel_maintenance_workers', '0', false)",),
        (f"reindex index concurrently router.{job.index}",),
        # Quick, as the new index has no dead rows; it frees their space in the table.
        (f"vacuum (index_cleanup on) router.{job.index.removesuffix('_hnsw')}",),
    ]
    # A separate connection, as the settings outlive the statement that makes them.
    async with db.session() as connection:
        try:
            with _busy(), translated():
                for statement, *arguments in steps:
                    await connection.execute(statement, *arguments, timeout=LONG)
        finally:
            # Unless it is cancelled, the server would continue an abandoned build.
            with suppress(Exception):
                await connection.close(timeout=ENDING)


async def built(db: Database) -> int | None:
    """Rows indexed so far by the index build of this database; None: no build runs, or this login cannot see it."""
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
    except DatabaseError as error:
        if error.sqlstate in _BUSY:
            raise Busy(error.reported) from error
        raise
