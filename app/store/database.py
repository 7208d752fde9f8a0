"""The database of the process: statements for the primary, and reads that a standby may answer."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from copy import copy
from functools import cached_property, partial
from typing import Any

import asyncpg

from ..errors import ConfigurationError, DatabaseError, DatabaseUnavailable, NotFound, PermissionDenied, SchemaError
from . import servers
from .connections import Connections
from .errors import NO_PRIMARY, READ_ONLY, REFUSALS, translate_errors
from .pool import Pool, Rows, prepare
from .servers import Servers

#: The schema revision of this version, the last one of `migrations/`.
REVISION = "0105"
APP_ROLE = "router_app"
#: The encoding that a database must have.
ENCODING = "UTF8"
#: SQLSTATEs of a missing function and a missing schema.
NO_SCHEMA = {"42883", "3F000"}
#: search_path. With other schemas, a user who may create functions there could have our statements call them.
PATH = "pg_catalog, pg_temp"
#: Timeout for closing the connections, seconds.
CLOSE_TIMEOUT = 0.5
#: Timeout of `read_newest` for the primary, if there are standbys, seconds.
PRIMARY_TIMEOUT = 1.0
#: Differences of the schema that an error shows.
SHOWN = 3
#: What repairs a schema.
REPAIR = "run `pgrouter migrate` as the owner of the database"

log = logging.getLogger("pgrouter.store")

#: What a host may set for a role or database, and correct answers need: read back at the start. Each statement is a
#: transaction that sees the rows committed before it, and is ended by its caller's timeout alone. Not
#: default_transaction_read_only: a host sets it when the disk is full, and writing on would stop the server.
PINNED = {
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "transaction_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "row_security": "on",
    "transform_null_equals": "off",
}

# One generic plan per function suits every tenant (each tier lacks the index that would mislead the planner), and
# planning costs more than executing. JIT and parallel workers only add latency to calls this short.
SESSION = {
    **PINNED,
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    # Twice the default k of a policy. For a larger k, or with deleted rows in the index, the scan continues.
    "hnsw.ef_search": "200",
    "hnsw.iterative_scan": "relaxed_order",
    # A plan made for a single tenant, whose rows are the whole table, must still suit thousands of tenants.
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "timezone": "UTC",
}


class Database:
    """Connections as one role to the primary, and with `standbys` also to a standby for reads.

    `role` is set at connection, so that the process has fewer rights than the login of `dsn`; None keeps the login's
    (for administration by the command line). If a server cannot be reached, or its pool is exhausted, calls raise
    `DatabaseUnavailable`; errors of `sql/` are raised as the classes in `REFUSALS`, other
    errors of Postgres as `DatabaseError`. With one server in `dsn` there is
    one pool of up to `size` connections; with several there may be a second one for reads. With `lanes`, half of each
    pool is for calls that requests wait for: calls of `background` share the other half.
    """

    def __init__(
        self, dsn: str, *, size: int = 8, role: str | None = APP_ROLE, standbys: bool = False, lanes: bool = False
    ) -> None:
        self.dsn = dsn
        self.role = role
        self._in_background = False
        self._apart = False
        several = len(servers.split_dsn(dsn)) > 1
        pool = partial(
            Pool,
            dsn,
            size=size,
            session={
                "application_name": "pgrouter",
                "search_path": PATH,
                **SESSION,
                **({"role": role} if role else {}),
            },
            refusals=REFUSALS,
            reserved=(size + 1) // 2 if lanes and size > 1 else 0,
        )
        self._writes = pool(servers=Servers(dsn, servers.PRIMARY), message=NO_PRIMARY) if several else pool()
        attributes = servers.readers(dsn) if several and standbys else servers.PRIMARY
        self._reads = self._writes if attributes == servers.PRIMARY else pool(servers=Servers(dsn, attributes))

    @property
    def replicated(self) -> bool:
        """Whether reads and writes may go to different servers."""
        return self._reads is not self._writes

    @cached_property
    def background(self) -> Database:
        """The same database for calls that no routed request waits for: they use half of the connections at most."""
        found = copy(self)
        found._in_background = True
        return found

    @property
    def measuring(self) -> Database:
        """The same database for backtests, which take up to minutes: `background`, unless that is one connection.

        Then each call has a connection of its own, beside those of the pool, so that teaching need not wait for it.
        """
        if self.shared > 1:
            return self.background
        found = copy(self)
        found._apart = True
        return found

    @property
    def connections(self) -> Mapping[str, Connections]:
        """The connections of each pool: `writes`, and `reads` if those may go to a standby."""
        reads = {"reads": self._reads.connections} if self.replicated else {}
        return {"writes": self._writes.connections, **reads}

    @property
    def available(self) -> bool:
        """Whether the last read reached a server."""
        return self._reads.available

    @property
    def writable(self) -> bool:
        """Whether the last write reached the primary."""
        return self._writes.available

    @property
    def shared(self) -> int:
        """Connections of each pool that calls of `background` may hold."""
        return self._reads.connections.background

    @property
    def unreachable(self) -> bool:
        """Whether no server that accepts writes answers."""
        return self._writes.unreachable

    async def open(self) -> None:
        """Connect. Raises `ConfigurationError` if no server can be reached, or if it refuses the role.

        With `standbys`, a standby is enough.
        """
        try:
            await self._open()
            await self._check_session()
        except BaseException:
            await self.close()
            raise

    async def _open(self) -> None:
        try:
            await self._reads.open()
            if self.replicated:
                try:
                    await self._writes.open()
                except OSError as error:
                    log.warning("no primary can be reached (%s): decisions work, teaching does not", error)
        except asyncpg.InsufficientPrivilegeError as error:
            hint = f"; as an administrator: grant {self.role} to its login" if self.role else ""
            raise ConfigurationError(f"The database of DATABASE_URL cannot be used: {error}{hint}.") from error
        except asyncpg.InvalidParameterValueError as error:
            # The migrations create the role.
            raise ConfigurationError(f"The database is not ready ({error}): run `pgrouter migrate`.") from error
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
            raise ConfigurationError(f"The database of DATABASE_URL cannot be used: {error}") from error

    async def _check_session(self) -> None:
        """Raise `ConfigurationError` for a setting that did not reach the session, through a pooler for example."""
        pinned = {"search_path": PATH, **PINNED, **({"role": self.role} if self.role else {})}
        for pool in {self._reads, self._writes}:
            if not pool.available:
                continue
            rows = await pool.fetch("select n, current_setting(n, true) from unnest($1::text[]) as n", list(pinned))
            if (
                pool is self._writes
                and not self.replicated
                and (await pool.fetch("show transaction_read_only"))[0][0] == "on"
            ):
                log.warning("%s Callers with limits get 503.", READ_ONLY)
            for name, found in rows:
                if found != pinned[name]:
                    raise ConfigurationError(
                        f"The database's sessions have {name} = {found}, but need {pinned[name]}: "
                        "if a pooler is in between, it must pass on the parameters that a session starts with."
                    )
            encoding = (await pool.fetch("select current_setting('server_encoding')"))[0][0]
            if encoding != ENCODING:
                raise ConfigurationError(
                    f"The database's encoding is {encoding}, which cannot store every prompt and name: create a "
                    f"database with encoding '{ENCODING}' template template0, and set DATABASE_URL to it."
                )

    async def close(self) -> None:
        """Close the connections; after half a second, terminate the rest."""
        await asyncio.gather(*(pool.close(CLOSE_TIMEOUT) for pool in {self._writes, self._reads}))

    def fetch(self, statement: str, *arguments: Any, timeout: float = 5.0) -> Rows:
        """Return the rows of a statement from the primary; `timeout`: seconds, including the wait for a connection."""
        return self._of(self._writes)(statement, *arguments, timeout=timeout)

    def read(self, statement: str, *arguments: Any, timeout: float = 5.0) -> Rows:
        """Return the rows of a read, like `fetch`, but possibly from a standby, which lags behind a little."""
        if self.replicated:
            return self._read(statement, *arguments, timeout=timeout)
        return self._of(self._reads)(statement, *arguments, timeout=timeout)

    async def read_newest(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        """Return the rows of a read, from the primary if it can be reached: for data whose changes it notifies."""
        if self.replicated and self._writes.available:
            with suppress(DatabaseUnavailable):
                return await self._writes.fetch(statement, *arguments, timeout=PRIMARY_TIMEOUT)
        return await self._reads.fetch(statement, *arguments)

    async def _read(self, statement: str, *arguments: Any, timeout: float) -> list[asyncpg.Record]:  # noqa: ASYNC109
        ends = time.monotonic() + timeout
        try:
            return await self._of(self._reads)(statement, *arguments, timeout=timeout)
        except NotFound:
            # A row that has just been inserted may be missing on the standby.
            retry = self._writes
        except DatabaseUnavailable as error:
            if error.cause in ("pool", "timeout") or not self._reads.available:
                raise
            # The connection was lost during the call, for example because its server stopped. A read can be repeated.
            retry = self._reads
        left = max(0.001, ends - time.monotonic())
        return await self._of(retry)(statement, *arguments, timeout=left)

    def _of(self, pool: Pool) -> Callable[..., Rows]:
        if self._apart:
            return pool.fetch_apart
        return pool.fetch_in_background if self._in_background else pool.fetch

    async def check_revision(self) -> None:
        """Raise `SchemaError` naming the command to run, unless the schema has the revision of this version."""
        try:
            found = (await self.read("select router.revision()"))[0][0]
        except PermissionDenied as error:
            raise SchemaError(
                f"{self.role or 'The login'} may not use the schema ({error.reported}): {REPAIR}.",
                f"The database lacks grants for this process: {REPAIR}.",
            ) from error
        except DatabaseError as error:
            if error.sqlstate not in NO_SCHEMA:
                raise
            found = None
        if found != REVISION:
            state = "has no schema `router`" if found is None else f"is at schema revision {found}"
            hint = "upgrade pgrouter" if found is not None and found > REVISION else "run `pgrouter migrate`"
            message = f"The database {state}, but this version needs {REVISION}: {hint}."
            raise SchemaError(message, message)

    async def check_schema(self) -> None:
        """Raise `SchemaError` unless the schema is the one that the last migration made.

        A restore may change owners, lose grants and policies, or leave out functions, and then keys are refused or
        tenants not separated. The error names what differs and the command that repairs it.
        """
        try:
            problems = [row[0] for row in await self.read("select problem from router.check_schema()")]
        except DatabaseError as error:
            problems = [error.reported]
        if problems:
            listing = "; ".join(problems[:SHOWN])
            more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
            wrong = "The database's schema is not as `pgrouter migrate` left it"
            raise SchemaError(f"{wrong} ({listing}{more}): {REPAIR}.", f"{wrong}: {REPAIR}.")

    @asynccontextmanager
    async def listen(self, channel: str, on_notify: Callable[[], None]) -> AsyncIterator[asyncio.Event]:
        """Call `on_notify` at every NOTIFY on `channel`, and yield an event that is set if the connection is lost.

        Raises `DatabaseUnavailable` without a primary, because standbys send no notifications.
        """
        lost = asyncio.Event()
        connection = await self._writes.connect()
        try:
            connection.add_termination_listener(lambda _: lost.set())
            await connection.add_listener(channel, lambda *_: on_notify())
            yield lost
        finally:
            connection.terminate()

    @asynccontextmanager
    async def session(self) -> AsyncIterator[asyncpg.Connection]:
        """Yield a separate connection to the primary, for several statements; it is closed with all its session state.

        Wrap its statements in `translate_errors`. Raises `DatabaseUnavailable` if the server cannot be reached.
        """
        connection = await self._writes.connect()
        try:
            with translate_errors():
                await prepare(connection)
            yield connection
        finally:
            # Without waiting for the server, which rolls back an open transaction.
            connection.terminate()
