"""A connection pool that fails fast while no server answers."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from typing import Any

import asyncpg
from pgvector.asyncpg import register_vector

from ..errors import Cause, DatabaseUnavailable, RouterError
from .connections import Connections, QueueTimeout
from .dsn import connect
from .errors import (
    NO_SERVER,
    READ_ONLY,
    UNAVAILABLE,
    NoWritableServer,
    cause_of,
    translate,
    translate_errors,
    unavailable,
)
from .servers import Servers

#: Timeout of the check whether the server answers, after a call that timed out, seconds.
PROBE_TIMEOUT = 2.0
#: Seconds after a failure in which calls fail at once; after them one call tries to connect.
PAUSE = 0.5
#: Timeout of a connection attempt, unless the call has a shorter one, seconds.
CONNECT_TIMEOUT = 10.0
#: Seconds for which the connections to a server that accepts no writes are kept.
READ_ONLY_PAUSE = 1.0
#: Timeout for the end of a connection outside of the pool, seconds.
CLOSE_TIMEOUT = 1.0
#: Interval of checks for a better server, if the DSN names several, seconds.
POLL_INTERVAL = 15.0

BUSY = "The routing memory is busy: every connection of this process is in use. Try again."

log = logging.getLogger("pgrouter.store")

Rows = Coroutine[Any, Any, list[asyncpg.Record]]


class Pool:
    """Up to `size` connections with the server settings `session`, created when they are needed.

    They go to the server of `dsn`, or if it names several, to the one that `servers` selects. `refusals`: errors of
    `sql/` by SQLSTATE; `message`: that of `DatabaseUnavailable`; `reserved`: connections that background calls
    may not use.
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
        reserved: int = 0,
    ) -> None:
        self.connections = Connections(self._connect, size, reserved)
        self._dsn = dsn
        self._session = dict(session)
        self._refusals = refusals
        self._servers = servers
        self._message = message
        self._opened = False
        # While the server is away: when the next call may try to reach it, and the cause of errors until then.
        self._retry_at = 0.0
        self._away: Cause = "unreachable"
        self._reached_at = 0.0
        # While the server accepts no writes: until when its connections are kept.
        self._read_only_until = 0.0
        self._probing: asyncio.Task[None] | None = None
        self._polling: asyncio.Task[None] | None = None

    @property
    def available(self) -> bool:
        """Whether the server can be reached: false from a failed connection until a call succeeds."""
        return self._opened and not self._retry_at

    @property
    def unreachable(self) -> bool:
        """Whether no server answers."""
        return bool(self._retry_at) and self._away == "unreachable"

    async def open(self) -> None:
        """Create the first connection. Raises asyncpg's errors; after an `OSError` the pool can still be used."""
        self._opened = True
        if self._servers:
            self._polling = asyncio.create_task(self._poll(self._servers), name="servers")
        try:
            self.connections.give(await self.connections.wait(CONNECT_TIMEOUT))
        except OSError as error:
            self._away, self._retry_at = cause_of(error, connected=False), time.monotonic() + PAUSE
            raise

    async def close(self, within: float) -> None:
        """Close the connections; after `within` seconds, terminate the rest."""
        for task in (self._polling, self._probing):
            if task is not None:
                task.cancel()
                await asyncio.wait({task})
        await self.connections.close(within)

    def fetch(self, statement: str, *arguments: Any, timeout: float = 5.0) -> Rows:
        """Return the rows of a statement, within `timeout` seconds including the wait for a connection."""
        return self._run(statement, arguments, timeout, background=False)

    def fetch_in_background(self, statement: str, *arguments: Any, timeout: float = 5.0) -> Rows:
        """Return rows as `fetch` does, within the share of connections that such calls have."""
        return self._run(statement, arguments, timeout, background=True)

    async def fetch_apart(
        self,
        statement: str,
        *arguments: Any,
        timeout: float = 5.0,  # noqa: ASYNC109
    ) -> list[asyncpg.Record]:
        """Return rows as `fetch` does, on a connection beside those of the pool, which ends with the call."""
        connection = await self.connect()
        try:
            with translate_errors():
                await prepare(connection)
                rows: list[asyncpg.Record] = await connection.fetch(statement, *arguments, timeout=timeout)
                return rows
        finally:
            # Cancels a statement that still runs.
            with suppress(*UNAVAILABLE, asyncpg.PostgresError):
                await connection.close(timeout=CLOSE_TIMEOUT)

    async def _run(
        self,
        statement: str,
        arguments: tuple[Any, ...],
        timeout: float,  # noqa: ASYNC109
        *,
        background: bool,
    ) -> list[asyncpg.Record]:
        assert self._opened, "open() comes first"
        now = time.monotonic()
        if self._retry_at:
            if now < self._retry_at:
                raise DatabaseUnavailable(self._message, cause=self._away)
            self._retry_at = now + PAUSE
        connection = None if background else self.connections.take()
        try:
            if connection is None:
                wait = self.connections.wait_in_background if background else self.connections.wait
                connection = await wait(timeout)
                timeout = max(0.001, timeout - (time.monotonic() - now))
            rows = await self._fetch(connection, statement, arguments, timeout)
        except QueueTimeout as error:
            raise DatabaseUnavailable(BUSY, cause="pool") from error
        except UNAVAILABLE as error:
            if isinstance(error, ValueError):
                # asyncpg could not encode an argument: an error of the caller, not of the server.
                raise
            cause = cause_of(error, connected=connection is not None)
            self._failed(error, cause, since=now)
            raise unavailable(error, cause, self._message) from error
        except asyncpg.PostgresError as error:
            if connection is None:
                # The login was refused, for example.
                self._failed(error, "connect", since=now)
                raise unavailable(error, "connect", self._message) from error
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
        to_server = self._servers.connect if self._servers else connect
        try:
            connection = await to_server(self._dsn, timeout=5, server_settings=self._session)
        except (*UNAVAILABLE, asyncpg.PostgresError) as error:
            raise DatabaseUnavailable(self._message, cause=cause_of(error, connected=False)) from error
        self._reached()
        return connection

    async def _fetch(
        self, connection: asyncpg.Connection, statement: str, arguments: tuple[Any, ...], left: float
    ) -> list[asyncpg.Record]:
        try:
            rows: list[asyncpg.Record] = await connection.fetch(statement, *arguments, timeout=left)
        except BaseException as error:
            # After an error from the server the statement has ended; after any other it may still run.
            ended = isinstance(error, asyncpg.PostgresError) and not isinstance(error, UNAVAILABLE)
            self.connections.give(connection) if ended else self.connections.mark_suspect(connection)
            raise
        self.connections.give(connection)
        return rows

    async def _connect(self) -> asyncpg.Connection:
        to_server = self._servers.connect if self._servers else connect
        connection = await to_server(self._dsn, timeout=CONNECT_TIMEOUT, server_settings=self._session)
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

    def _failed(self, error: Exception, cause: Cause, *, since: float) -> None:
        """Conclude from a failure of a call that began at `since` whether the server is away."""
        now = time.monotonic()
        if isinstance(error, TimeoutError):
            if self._retry_at:
                # It was away already.
                self._retry_at = now + PAUSE
            elif self._reached_at <= since and (self._probing is None or self._probing.done()):
                # A slow statement, or a server that does not answer any more.
                self._probing = asyncio.create_task(self._probe(), name="probe")
        elif cause in ("unreachable", "connect") or isinstance(error, NoWritableServer):
            self._away, self._retry_at = cause, now + PAUSE
        elif cause == "lost":
            # Another server may execute the next call at once; one that is gone refuses its connection.
            self._retry_at = 0.0
        else:
            self._reached()
            if cause == "read_only" and now >= self._read_only_until:
                # The server is no longer the primary, and a new connection finds the one that is; or its host has
                # made it read-only, and a new connection may find that this has ended.
                if now - self._read_only_until > READ_ONLY_PAUSE:
                    log.warning("%s", READ_ONLY)
                self._read_only_until = now + READ_ONLY_PAUSE
                self.connections.expire()

    async def _probe(self) -> None:
        """Check with a new connection whether the server answers; if not, it is away."""
        began = time.monotonic()
        dsn = self._servers.latest or self._dsn if self._servers else self._dsn
        try:
            async with asyncio.timeout(PROBE_TIMEOUT):
                connection = await connect(dsn, server_settings=self._session)
                try:
                    await connection.execute("select 1")
                finally:
                    connection.terminate()
        except OSError:
            if self._reached_at > began:
                return
            if self._servers is None:
                self._away, self._retry_at = "unreachable", time.monotonic() + PAUSE
            else:
                # If its machine is gone, no server closes these connections. Another server may be reachable.
                self._servers.suspect()
                self.connections.expire()
        except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
            # An answer: the server is full, for example.
            return

    def _reached(self) -> None:
        self._reached_at = time.monotonic()
        self._retry_at = 0.0


async def prepare(connection: asyncpg.Connection) -> None:
    """Register the vector type on a new connection, if the database has it."""
    schema = await connection.fetchval(
        "select n.nspname from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'vector'"
    )
    if schema is not None:
        await register_vector(connection, schema=schema)
