"""Connections to Postgres that know when the server is away and then say so at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import asyncpg
from pgvector.asyncpg import register_vector

from app.errors import MemoryUnavailable, RouterError
from app.store.servers import Servers

NO_SERVER = "The routing memory cannot be reached."
#: Calls in a row that may time out before the server counts as away.
PATIENCE = 3
#: After a failure nobody waits for the server again until this many seconds have passed; then one caller tries.
PAUSE = 0.5
#: Where several servers will do, a better one than the present is looked for that often, seconds.
LOOK = 15.0

AWAY = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the server said goodbye to an idle connection that was then used
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
)
#: The server is there and gave up this one call; a standby could not wait to take away what the primary had removed.
GAVE_UP = (
    asyncpg.SerializationError,
    asyncpg.QueryCanceledError,
    asyncpg.OutOfMemoryError,
    asyncpg.DiskFullError,
)


class PoolUse(NamedTuple):
    """Connections that are open and those at work, and the calls that wait for one."""

    size: int
    in_use: int
    waiting: int


class Pool:
    """Up to `size` connections with the server settings `session`, made when they are needed.

    They go to the server of `dsn`, or, where it names several, to one that `servers` choose. `refusals` are the errors
    of `sql/` by SQLSTATE, `away` is what `MemoryUnavailable` says.
    """

    def __init__(
        self,
        dsn: str,
        *,
        size: int,
        session: Mapping[str, str],
        refusals: Mapping[str, type[RouterError]],
        servers: Servers | None = None,
        away: str = NO_SERVER,
    ) -> None:
        self._dsn = dsn
        self._size = size
        self._session = dict(session)
        self._refusals = refusals
        self._servers = servers
        self._away = away
        self._failures = 0
        self._calls = 0
        self._pool: asyncpg.Pool | None = None
        self._retry_at = 0.0
        self._looking: asyncio.Task[None] | None = None

    @property
    def available(self) -> bool:
        """Whether the last call reached the server."""
        return self._pool is not None and not self._retry_at

    @property
    def use(self) -> PoolUse:
        """How busy it is at this moment."""
        if self._pool is None:
            return PoolUse(0, 0, 0)
        size = self._pool.get_size()
        in_use = size - self._pool.get_idle_size()
        return PoolUse(size, in_use, max(0, self._calls - in_use))

    async def open(self) -> None:
        """Make the first connection. Raises what asyncpg does; after an `OSError` the pool is of use all the same."""
        self._pool = await asyncpg.create_pool(
            self._dsn,
            # No floor: asyncpg restores one by itself and fills the log while the server is away.
            min_size=0,
            max_size=self._size,
            max_inactive_connection_lifetime=0,
            timeout=10,
            init=prepare,
            reset=_keep,
            server_settings=self._session,
            connect=self._servers.connect if self._servers else None,
        )
        if self._servers:
            self._looking = asyncio.create_task(self._look(self._servers), name="servers")
        try:
            await self._pool.fetchval("select 1")
        except OSError:
            self._retry_at = time.monotonic() + PAUSE
            raise

    async def close(self, within: float) -> None:
        """Close the connections; one that does not close within so many seconds is cut."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait({self._looking})
        if self._pool is not None:
            try:
                await asyncio.wait_for(self._pool.close(), within)
            except TimeoutError:
                self._pool.terminate()

    async def fetch(self, statement: str, *arguments: Any, timeout: float = 5.0) -> list[asyncpg.Record]:  # noqa: ASYNC109
        """The rows of one statement; it and the wait for a connection together take `timeout` seconds at most."""
        assert self._pool is not None, "open() comes first"
        now = time.monotonic()
        if self._retry_at:
            if now < self._retry_at:
                raise MemoryUnavailable(self._away)
            self._retry_at = now + PAUSE
        connected = False
        self._calls += 1
        try:
            async with self._pool.acquire(timeout=timeout) as connection:
                connected = True
                left = max(0.001, timeout - (time.monotonic() - now))
                rows: list[asyncpg.Record] = await connection.fetch(statement, *arguments, timeout=left)
        except GAVE_UP as error:
            self._reached()
            raise gave_up(error) from error
        except AWAY as error:
            if isinstance(error, ValueError):
                # asyncpg could not encode an argument: a fault of the call, not of the server.
                raise
            self._failures += 1
            # One slow statement is no reason to keep everyone from asking; a server that hangs is.
            if not isinstance(error, TimeoutError) or self._failures >= PATIENCE:
                # Of several servers another may take the next call at once.
                self._retry_at = 0.0 if connected and self._servers is not None else time.monotonic() + PAUSE
            if self._servers is not None and self._failures >= PATIENCE:
                # Its machine may be gone; then nobody closes these connections, and another server would do.
                self._servers.suspect()
                self._failures = 0
                await self._pool.expire_connections()
            raise MemoryUnavailable(self._away) from error
        except asyncpg.ReadOnlySQLTransactionError as error:
            # It answers, but is no primary any more: whoever is, a new connection finds it.
            self._reached()
            await self._pool.expire_connections()
            raise MemoryUnavailable(self._away) from error
        except asyncpg.PostgresError as error:
            self._reached()
            refusal = self._refusals.get(error.sqlstate or "")
            if refusal is None:
                raise
            hint = f" {error.hint}" if error.hint else ""
            raise refusal(f"{error.message}.{hint}", param=error.column_name) from error
        finally:
            self._calls -= 1
        self._reached()
        return rows

    async def connect(self) -> asyncpg.Connection:
        """A connection apart from the pool, for its caller to close. Raises `MemoryUnavailable`."""
        connect = self._servers.connect if self._servers else asyncpg.connect
        try:
            connection = await connect(self._dsn, timeout=5, server_settings=self._session)
        except (*AWAY, asyncpg.PostgresError) as error:
            raise MemoryUnavailable(self._away) from error
        self._reached()
        return connection

    async def _look(self, servers: Servers) -> None:
        """Have calls go back to a standby that was away, or over to one that is new."""
        while True:
            await asyncio.sleep(LOOK)
            if await servers.moved(server_settings=self._session):
                assert self._pool is not None
                await self._pool.expire_connections()

    def _reached(self) -> None:
        self._failures = 0
        self._retry_at = 0.0


def gave_up(error: asyncpg.PostgresError) -> MemoryUnavailable:
    """What one of `GAVE_UP` is to the caller."""
    return MemoryUnavailable(f"The routing memory gave the call up ({error.message}): try again.")


async def prepare(connection: asyncpg.Connection) -> None:
    """Teach a new connection to carry vectors, once the database has them."""
    schema = await connection.fetchval(
        "select n.nspname from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'vector'"
    )
    if schema is not None:
        await register_vector(connection, schema=schema)


async def _keep(connection: asyncpg.Connection) -> None:
    """Releasing costs no round trip: no call here leaves anything in the session to be reset."""
