"""Connections to Postgres that know when the server is away and then say so at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import asyncpg
from pgvector.asyncpg import register_vector

from app.errors import DatabaseUnavailable, RouterError
from app.store.connections import Connections
from app.store.errors import translate
from app.store.servers import Servers

NO_SERVER = "The routing memory cannot be reached."
#: Calls in a row that may time out before the server counts as away.
PATIENCE = 3
#: After a failure nobody waits for the server again until this many seconds have passed; then one caller tries.
PAUSE = 0.5
#: What making a connection may take where nobody asks for less, seconds.
CONNECTING = 10.0
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


class Pool:
    """Up to `size` connections with the server settings `session`, made when they are needed.

    They go to the server of `dsn`, or, where it names several, to one that `servers` choose. `refusals` are the errors
    of `sql/` by SQLSTATE, `away` is what `DatabaseUnavailable` says.
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
        self.connections = Connections(self._connect, size)
        self._dsn = dsn
        self._session = dict(session)
        self._refusals = refusals
        self._servers = servers
        self._away = away
        self._failures = 0
        self._opened = False
        self._retry_at = 0.0
        self._looking: asyncio.Task[None] | None = None

    @property
    def available(self) -> bool:
        """Whether the last call reached the server."""
        return self._opened and not self._retry_at

    async def open(self) -> None:
        """Make the first connection. Raises what asyncpg does; after an `OSError` the pool is of use all the same."""
        self._opened = True
        if self._servers:
            self._looking = asyncio.create_task(self._look(self._servers), name="servers")
        try:
            self.connections.give(await self.connections.wait(CONNECTING))
        except OSError:
            self._retry_at = time.monotonic() + PAUSE
            raise

    async def close(self, within: float) -> None:
        """Close the connections; one that does not close within so many seconds is cut."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait({self._looking})
        await self.connections.close(within)

    async def fetch(self, statement: str, *arguments: Any, timeout: float = 5.0) -> list[asyncpg.Record]:  # noqa: ASYNC109
        """The rows of one statement; it and the wait for a connection together take `timeout` seconds at most."""
        assert self._opened, "open() comes first"
        now = time.monotonic()
        if self._retry_at:
            if now < self._retry_at:
                raise DatabaseUnavailable(self._away)
            self._retry_at = now + PAUSE
        connection = self.connections.take()
        connected = connection is not None
        try:
            if connection is None:
                connection = await self.connections.wait(timeout)
                connected = True
                timeout = max(0.001, timeout - (time.monotonic() - now))
            rows = await self._fetch(connection, statement, arguments, timeout)
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
                self.connections.expire()
            raise DatabaseUnavailable(self._away) from error
        except asyncpg.ReadOnlySQLTransactionError as error:
            # It answers, but is no primary any more: whoever is, a new connection finds it.
            self._reached()
            self.connections.expire()
            raise DatabaseUnavailable(self._away) from error
        except asyncpg.PostgresError as error:
            self._reached()
            refusal = self._refusals.get(error.sqlstate or "")
            if refusal is None:
                raise translate(error) from error
            hint = f" {error.hint}" if error.hint else ""
            raise refusal(f"{error.message}.{hint}", param=error.column_name) from error
        self._reached()
        return rows

    async def connect(self) -> asyncpg.Connection:
        """A connection apart from the pool, for its caller to close. Raises `DatabaseUnavailable`."""
        connect = self._servers.connect if self._servers else asyncpg.connect
        try:
            connection = await connect(self._dsn, timeout=5, server_settings=self._session)
        except (*AWAY, asyncpg.PostgresError) as error:
            raise DatabaseUnavailable(self._away) from error
        self._reached()
        return connection

    async def _fetch(
        self, connection: asyncpg.Connection, statement: str, arguments: tuple[Any, ...], left: float
    ) -> list[asyncpg.Record]:
        try:
            rows: list[asyncpg.Record] = await connection.fetch(statement, *arguments, timeout=left)
        except BaseException as error:
            # What the server answered is over; anything else may be under way still.
            over = isinstance(error, asyncpg.PostgresError) and not isinstance(error, (*AWAY, *GAVE_UP))
            self.connections.give(connection) if over else self.connections.doubt(connection)
            raise
        self.connections.give(connection)
        return rows

    async def _connect(self) -> asyncpg.Connection:
        connect = self._servers.connect if self._servers else asyncpg.connect
        connection = await connect(self._dsn, timeout=CONNECTING, server_settings=self._session)
        try:
            await prepare(connection)
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def _look(self, servers: Servers) -> None:
        """Have calls go back to a standby that was away, or over to one that is new."""
        while True:
            await asyncio.sleep(LOOK)
            if await servers.moved(server_settings=self._session):
                self.connections.expire()

    def _reached(self) -> None:
        self._failures = 0
        self._retry_at = 0.0


def gave_up(error: asyncpg.PostgresError) -> DatabaseUnavailable:
    """What one of `GAVE_UP` is to the caller."""
    return DatabaseUnavailable(f"The routing memory gave the call up ({error.message}): try again.")


async def prepare(connection: asyncpg.Connection) -> None:
    """Teach a new connection to carry vectors, once the database has them."""
    schema = await connection.fetchval(
        "select n.nspname from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'vector'"
    )
    if schema is not None:
        await register_vector(connection, schema=schema)
