"""The connections to Postgres: a pool that knows when the server is away and then says so at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from pgvector.asyncpg import register_vector

from app.errors import BadRequest, ConfigurationError, Conflict, MemoryUnavailable, NotFound, RouterError

#: The schema this version speaks to: the last revision of `migrations/`.
REVISION = "0007"
APP_ROLE = "router_app"
#: Calls in a row that may time out before the server counts as away.
PATIENCE = 3
#: After a failure nobody waits for the server again until this many seconds have passed; then one caller tries.
PAUSE = 0.5

# One generic plan per function is right for every tenant (each tier lacks the index that would mislead it), and
# planning anew costs more than the functions do. JIT and parallel workers only add latency to calls this short.
SESSION = {
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "hnsw.ef_search": "100",
    # A plan made while there is one tenant, whose rows are the table, must still be right when there are thousands.
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "timezone": "UTC",
}

REFUSALS: dict[str, type[RouterError]] = {
    "RT001": NotFound,  # no such tenant
    "RT002": NotFound,  # no such policy
    "RT003": BadRequest,  # no such model or provider
    "RT004": BadRequest,  # a model without a price
    "RT005": BadRequest,  # too many task tags
    "RT007": Conflict,  # another space serves or is being built
    "RT009": BadRequest,  # a role that cannot be a reader
}

_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the server said goodbye to an idle connection that was then used
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.ReadOnlySQLTransactionError,
)


class Database:
    """A pool of connections as one role.

    `role` is taken on at connection, so that the login of `dsn` may have more rights than the process uses; `None`
    keeps the login's own (the command line's administration). Every failure to reach the server, the pool's exhaustion
    included, is `MemoryUnavailable`; what `sql/` raises comes as the class in `REFUSALS`.
    """

    def __init__(self, dsn: str, *, size: int = 8, role: str | None = APP_ROLE) -> None:
        self.dsn = dsn
        self.size = size
        self.role = role
        self._failures = 0
        self._pool: asyncpg.Pool | None = None
        self._retry_at = 0.0

    @property
    def available(self) -> bool:
        """Whether the last call reached the server."""
        return self._pool is not None and not self._retry_at

    async def open(self) -> None:
        """Connect. Raises `ConfigurationError` when the server cannot be reached or refuses the role."""
        try:
            self._pool = await asyncpg.create_pool(
                self.dsn,
                # No floor: asyncpg restores one by itself and fills the log while the server is away.
                min_size=0,
                max_size=self.size,
                max_inactive_connection_lifetime=0,
                timeout=10,
                init=_prepare,
                reset=_keep,
                server_settings=self._session(),
            )
            await self._pool.fetchval("select 1")
        except asyncpg.InsufficientPrivilegeError as error:
            hint = f"; as an administrator: grant {self.role} to its login" if self.role else ""
            raise ConfigurationError(f"The database of DATABASE_URL cannot be used: {error}{hint}.") from error
        except asyncpg.InvalidParameterValueError as error:
            # The role is made by the migrations.
            raise ConfigurationError(f"The database is not ready ({error}): run `pgrouter migrate`.") from error
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
            raise ConfigurationError(f"The database of DATABASE_URL cannot be used: {error}") from error

    async def close(self) -> None:
        """Close the connections; one that does not close within two seconds is cut."""
        if self._pool is not None:
            try:
                await asyncio.wait_for(self._pool.close(), 2)
            except TimeoutError:
                self._pool.terminate()

    async def fetch(self, statement: str, *arguments: Any, timeout: float = 5.0) -> list[asyncpg.Record]:  # noqa: ASYNC109
        """The rows of one statement; it and the wait for a connection together take `timeout` seconds at most."""
        assert self._pool is not None, "open() comes first"
        now = time.monotonic()
        if self._retry_at:
            if now < self._retry_at:
                raise MemoryUnavailable("The routing memory cannot be reached.")
            self._retry_at = now + PAUSE
        try:
            async with self._pool.acquire(timeout=timeout) as connection:
                left = max(0.001, timeout - (time.monotonic() - now))
                rows: list[asyncpg.Record] = await connection.fetch(statement, *arguments, timeout=left)
        except _AWAY as error:
            if isinstance(error, ValueError):
                # asyncpg could not encode an argument: a fault of the call, not of the server.
                raise
            self._failures += 1
            # One slow statement is no reason to keep everyone from asking; a server that hangs is.
            if not isinstance(error, TimeoutError) or self._failures >= PATIENCE:
                self._retry_at = time.monotonic() + PAUSE
            raise MemoryUnavailable("The routing memory cannot be reached.") from error
        except asyncpg.PostgresError as error:
            self._reached()
            refusal = REFUSALS.get(error.sqlstate or "")
            if refusal is None:
                raise
            raise refusal(f"{error.message}.", param=error.column_name) from error
        self._reached()
        return rows

    def _reached(self) -> None:
        self._failures = 0
        self._retry_at = 0.0

    async def check_revision(self) -> None:
        """Raise `ConfigurationError` naming the command to run unless the schema is the one this version knows."""
        try:
            found = (await self.fetch("select router.revision()"))[0][0]
        except (asyncpg.UndefinedFunctionError, asyncpg.InvalidSchemaNameError):
            found = None
        if found != REVISION:
            stands = "has no schema `router`" if found is None else f"is at schema revision {found}"
            hint = "upgrade pgrouter" if found is not None and found > REVISION else "run `pgrouter migrate`"
            raise ConfigurationError(f"The database {stands}, this version needs {REVISION}: {hint}.")

    @asynccontextmanager
    async def listening(self, channel: str, heard: Callable[[], None]) -> AsyncIterator[asyncio.Event]:
        """Call `heard` at every NOTIFY on `channel`; the event yielded is set when the connection is lost."""
        lost = asyncio.Event()
        try:
            connection = await asyncpg.connect(self.dsn, timeout=5, server_settings=self._session())
        except (*_AWAY, asyncpg.PostgresError) as error:
            raise MemoryUnavailable("The routing memory cannot be reached.") from error
        try:
            connection.add_termination_listener(lambda _: lost.set())
            await connection.add_listener(channel, lambda *_: heard())
            yield lost
        finally:
            connection.terminate()

    def _session(self) -> dict[str, str]:
        role = {"role": self.role} if self.role else {}
        # Whoever may create functions in a schema on the login's path could else have ours call theirs.
        return {"application_name": "pgrouter", "search_path": "pg_catalog, pg_temp", **SESSION, **role}


async def _prepare(connection: asyncpg.Connection) -> None:
    schema = await connection.fetchval(
        "select n.nspname from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'vector'"
    )
    if schema is not None:
        await register_vector(connection, schema=schema)


async def _keep(connection: asyncpg.Connection) -> None:
    """Releasing costs no round trip: no call here leaves anything in the session to be reset."""
