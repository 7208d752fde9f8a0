"""A connection pool that fails fast while the server cannot be reached."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import asyncpg
from pgvector.asyncpg import register_vector

from ..errors import DatabaseUnavailable, RouterError
from .connections import Connections
from .errors import ABORTED, NO_SERVER, UNREACHABLE, aborted_error, translate
from .servers import Servers

#: Consecutive timeouts after which the server counts as unreachable.
MAX_TIMEOUTS = 3
#: Seconds after a failure in which calls fail at once; after them one call tries to connect.
PAUSE = 0.5
#: Timeout of a connection attempt, unless the call has a shorter one, seconds.
CONNECT_TIMEOUT = 10.0
#: Interval of checks for a better server, if the DSN names several, seconds.
POLL_INTERVAL = 15.0


class Pool:
    """Up to `size` connections with the server settings `session`, created when they are needed.

    They go to the server of `dsn`, or if it names several, to the one that `servers` selects. `refusals`: errors of
    `sql/` by SQLSTATE; `message`: that of `DatabaseUnavailable`.
    """

    def __init__(
        self,
        dsn: str,
        *,
        size: int,
        session: Mapping[str, str],
        refusals: Mapping[str, type[RouterError]],
        servers: Servers | None = None,
        message: str = NO_SERVER,
    ) -> None:
        self.connections = Connections(self._connect, size)
        self._dsn = dsn
        self._session = dict(session)
        self._refusals = refusals
        self._servers = servers
        self._message = message
        self._failures = 0
        self._opened = False
        self._retry_at = 0.0
        self._polling: asyncio.Task[None] | None = None

    @property
    def available(self) -> bool:
        """Whether the last call reached the server."""
        return self._opened and not self._retry_at

    async def open(self) -> None:
        """Create the first connection. Raises asyncpg's errors; after an `OSError` the pool can still be used."""
        self._opened = True
        if self._servers:
            self._polling = asyncio.create_task(self._poll(self._servers), name="servers")
        try:
            self.connections.give(await self.connections.wait(CONNECT_TIMEOUT))
        except OSError:
            self._retry_at = time.monotonic() + PAUSE
            raise

    async def close(self, within: float) -> None:
        """Close the connections; after `within` seconds, terminate the rest."""
        if self._polling is not None:
            self._polling.cancel()
            await asyncio.wait({self._polling})
        await self.connections.close(within)

    async def fetch(self, statement: str, *arguments: Any, timeout: float = 5.0) -> list[asyncpg.Record]:  # noqa: ASYNC109
        """Return the rows of a statement, within `timeout` seconds including the wait for a connection."""
        assert self._opened, "open() comes first"
        now = time.monotonic()
        if self._retry_at:
            if now < self._retry_at:
                raise DatabaseUnavailable(self._message)
            self._retry_at = now + PAUSE
        connection = self.connections.take()
        connected = connection is not None
        try:
            if connection is None:
                connection = await self.connections.wait(timeout)
                connected = True
                timeout = max(0.001, timeout - (time.monotonic() - now))
            rows = await self._fetch(connection, statement, arguments, timeout)
        except ABORTED as error:
            self._reached()
            raise aborted_error(error) from error
        except UNREACHABLE as error:
            if isinstance(error, ValueError):
                # asyncpg could not encode an argument: an error of the caller, not of the server.
                raise
            self._failures += 1
            # A single slow statement does not count as an unreachable server, several in a row do.
            if not isinstance(error, TimeoutError) or self._failures >= MAX_TIMEOUTS:
                # With several servers, another one may execute the next call at once.
                self._retry_at = 0.0 if connected and self._servers is not None else time.monotonic() + PAUSE
            if self._servers is not None and self._failures >= MAX_TIMEOUTS:
                # If its machine is gone, no server closes these connections. Another server may be reachable.
                self._servers.suspect()
                self._failures = 0
                self.connections.expire()
            raise DatabaseUnavailable(self._message) from error
        except asyncpg.ReadOnlySQLTransactionError as error:
            # The server is no longer the primary; a new connection finds the one that is.
            self._reached()
            self.connections.expire()
            raise DatabaseUnavailable(self._message) from error
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
        """Return a connection outside of the pool, which the caller closes. Raises `DatabaseUnavailable`."""
        connect = self._servers.connect if self._servers else asyncpg.connect
        try:
            connection = await connect(self._dsn, timeout=5, server_settings=self._session)
        except (*UNREACHABLE, asyncpg.PostgresError) as error:
            raise DatabaseUnavailable(self._message) from error
        self._reached()
        return connection

    async def _fetch(
        self, connection: asyncpg.Connection, statement: str, arguments: tuple[Any, ...], left: float
    ) -> list[asyncpg.Record]:
        try:
            rows: list[asyncpg.Record] = await connection.fetch(statement, *arguments, timeout=left)
        except BaseException as error:
            # After an error from the server the statement has ended; after any other it may still run.
            ended = isinstance(error, asyncpg.PostgresError) and not isinstance(error, (*UNREACHABLE, *ABORTED))
            self.connections.give(connection) if ended else self.connections.mark_suspect(connection)
            raise
        self.connections.give(connection)
        return rows

    async def _connect(self) -> asyncpg.Connection:
        connect = self._servers.connect if self._servers else asyncpg.connect
        connection = await connect(self._dsn, timeout=CONNECT_TIMEOUT, server_settings=self._session)
        try:
            await prepare(connection)
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def _poll(self, servers: Servers) -> None:
        """Switch to a standby once it is reachable again, or to a new one."""
        while True:
            await asyncio.sleep(POLL_INTERVAL)
            if await servers.moved(server_settings=self._session):
                self.connections.expire()

    def _reached(self) -> None:
        self._failures = 0
        self._retry_at = 0.0


async def prepare(connection: asyncpg.Connection) -> None:
    """Register the vector type on a new connection, if the database has it."""
    schema = await connection.fetchval(
        "select n.nspname from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'vector'"
    )
    if schema is not None:
        await register_vector(connection, schema=schema)
