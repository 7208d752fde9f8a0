"""Maintenance jobs of the store: those that are due, and a function for each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from typing import Any

from ..errors import DatabaseError, DatabaseUnavailable
from .database import Database
from .errors import translate_errors

#: Timeout of a job, seconds. To move or index a tenant of a million memories takes a quarter of an hour.
LONG = 4 * 3600.0
#: Timeout for cancelling an index build, seconds.
CLOSE_TIMEOUT = 2.0

#: SQLSTATE: another session moves memories.
_BUSY = {"RT006"}


_COLUMNS = ("tenant_id", "tenant", "space_id", "day", "amount", "churn")


class Busy(Exception):
    """Another session runs the job or holds its locks: it is retried in the next round."""


@dataclass(frozen=True, slots=True)
class Job:
    """A maintenance job that is due, a row of `router.chores`."""

    #: Name of the job: of the function here that runs it.
    name: str
    #: Number of the tenant of the job; None: all tenants.
    tenant_id: int | None
    #: Name of that tenant.
    tenant: str | None
    #: Number of the embedding space of the job.
    space_id: int | None
    #: Day of a partition of the ledger (UTC).
    day: date | None
    #: Number of rows; None: not known in advance.
    amount: int | None
    #: Rows that were replaced since the index was built.
    churn: int | None

    @property
    def index(self) -> str:
        """Name of the vector index of the graduated space."""
        return f"memories_large_{self.tenant_id}_{self.space_id}_hnsw"


async def jobs(db: Database, *, graduate_at: int, ledger_days: int) -> list[Job]:
    """Return the jobs that are due, in the order to run them; empty on a standby."""
    rows = await db.fetch("select * from router.chores($1, $2)", graduate_at, ledger_days, timeout=60)
    return [Job(name=row["chore"], **{column: row[column] for column in _COLUMNS}) for row in rows]


async def graduate(db: Database, tenant_id: int, space_id: int) -> int:
    """Move a tenant's space to a partition of its own; return the number of memories. Raises `Busy`."""
    return int(await _call(db, "select router.graduate($1, $2)", tenant_id, space_id))


async def shrink(db: Database, tenant_id: int, space_id: int) -> int:
    """Move a tenant's space back to the shared partition; return the number of memories. Raises `Busy`."""
    return int(await _call(db, "select router.shrink($1, $2)", tenant_id, space_id))


async def sweep(db: Database, tenant_id: int, space_id: int) -> int:
    """Drop the empty partition of a tenant's space; return how many were dropped. Raises `Busy`."""
    return int(await _call(db, "select router.sweep($1, $2)", tenant_id, space_id))


async def open_day(db: Database, day: date) -> int:
    """Create the ledger's partition of a day (UTC). Raises `Busy`."""
    await _call(db, "select router_internal._open_day($1)", day)
    return 1


async def drop_day(db: Database, day: date) -> int:
    """Drop the ledger's partition of a day (UTC); return how many were dropped. Raises `Busy`."""
    return int(await _call(db, "select router.drop_day($1)", day))


async def expire_conversations(db: Database, limit: int) -> int:
    """Delete up to `limit` conversations that have ended; return how many."""
    return int(await _call(db, "select router.expire_conversations($1)", limit))


async def expire_reservations(db: Database, tenant_id: int) -> int:
    """Release a tenant's reservations that are older than an hour; return how many."""
    return int(await _call(db, "select router.expire_reservations($1)", tenant_id))


async def fit(db: Database, tenant_id: int) -> int:
    """Fit the policies of a tenant whose fit is missing or stale; return how many. Raises `Busy`."""
    return int(await _call(db, "select router.fit_due($1)", tenant_id))


async def settle_churn(db: Database, tenant_id: int, space_id: int, churn: int) -> bool:
    """Subtract `churn` from a space's count of replaced memories; False if another session did. Owner only."""
    return bool(await _call(db, "select router.settle_churn($1, $2, $3)", tenant_id, space_id, churn))


async def owns(db: Database) -> bool:
    """Whether this login may rebuild the memory's indexes."""
    rows = await db.fetch("select pg_has_role(relowner, 'usage') from pg_class where oid = 'router.memories'::regclass")
    return bool(rows[0][0])


async def invalid_indexes(db: Database, job: Job) -> list[str]:
    """Return the invalid indexes that an interrupted build left on the partition of the job."""
    rows = await db.fetch(
        "select c.relname from pg_index as i join pg_class as c on c.oid = i.indexrelid"
        " where i.indrelid = to_regclass($1) and not i.indisvalid",
        f"router.{job.index.removesuffix('_hnsw')}",
    )
    return [row[0] for row in rows]


# CONCURRENTLY and VACUUM cannot run in a function or transaction, so these are separate statements.


async def drop_index(db: Database, name: str) -> None:
    """Drop an index without blocking queries. Owner only."""
    await _call(db, f'drop index concurrently if exists router."{name}"')


async def reindex(db: Database, job: Job) -> None:
    """Rebuild the vector index of the job without blocking queries. Owner only. Raises `Busy`."""
    memory = min(32_768 + 2 * (job.amount or 0), 2_097_151)
    steps: list[tuple[str, ...]] = [
        ("select set_config('maintenance_work_mem', $1, false)", f"{memory}kB"),
        # The build is not urgent, and the shared memory of a container is too small for parallel workers.
        ("select set_config('max_parallel_maintenance_workers', '0', false)",),
        (f"reindex index concurrently router.{job.index}",),
        # Fast after the rebuild, whose index has no dead rows; frees their space in the table.
        (f"vacuum (index_cleanup on) router.{job.index.removesuffix('_hnsw')}",),
    ]
    # A connection of its own, because the settings stay in effect after their statement.
    async with db.session() as connection:
        try:
            with _busy(), translate_errors():
                for statement, *arguments in steps:
                    await connection.execute(statement, *arguments, timeout=LONG)
        finally:
            # If the build was cancelled, closing the connection also cancels it in the server.
            with suppress(Exception):
                await connection.close(timeout=CLOSE_TIMEOUT)


async def built(db: Database) -> int | None:
    """Return the rows in the index that is being built in this database; None: no build, or no permission."""
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
    except DatabaseUnavailable as error:
        # lock_timeout, because readers or a teaching call held the lock, or a deadlock.
        if error.cause == "lock":
            raise Busy(error.message) from error
        raise
