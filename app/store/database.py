"""What the process asks Postgres through: reads that a standby may answer, writes that find the primary."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import Any

import asyncpg

from app.errors import (
    BadRequest,
    ConfigurationError,
    Conflict,
    DatabaseUnavailable,
    InsufficientMemory,
    NotFound,
    RouterError,
)
from app.store import servers
from app.store.connections import Connections
from app.store.pool import AWAY, GAVE_UP, NO_SERVER, Pool, gave_up, prepare
from app.store.servers import Servers

#: The schema this version speaks to: the last revision of `migrations/`.
REVISION = "0105"
APP_ROLE = "router_app"
#: Whoever may create functions in a schema on the login's path could else have ours call theirs.
PATH = "pg_catalog, pg_temp"
#: What closing the connections may take, seconds.
CLOSING = 2.0
#: With standbys at hand the primary gets so long to say how a tenant is set up, seconds.
HURRY = 1.0

NO_PRIMARY = (
    "The routing memory's primary cannot be reached: nothing can be taught or changed until it is back, "
    "or another server is promoted."
)

Rows = Coroutine[Any, Any, list[asyncpg.Record]]

log = logging.getLogger("pgrouter.store")

# One generic plan per function is right for every tenant (each tier lacks the index that would mislead it), and
# planning anew costs more than the functions do. JIT and parallel workers only add latency to calls this short.
SESSION = {
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    # Twice a policy's usual k; what is forgotten but still in the index, or a larger k, is searched on for.
    "hnsw.ef_search": "200",
    "hnsw.iterative_scan": "relaxed_order",
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
    "RT008": InsufficientMemory,  # a target that the memory does not support
    "RT009": BadRequest,  # a role that cannot be a reader
    "RT010": InsufficientMemory,  # too few memories that label every candidate
    "RT011": Conflict,  # a price that is still needed
    "RT012": BadRequest,  # a tenant that shares no memory
    "RT013": NotFound,  # no such key of the tenant
}


class Database:
    """Connections as one role, to the primary and, with `standbys`, to a standby for what only reads.

    `role` is taken on at connection, so that the login of `dsn` may have more rights than the process uses; `None`
    keeps the login's own (the command line's administration). Every failure to reach a server, its pool's exhaustion
    included, is `DatabaseUnavailable`; what `sql/` raises comes as the class in `REFUSALS`. With one server in `dsn`
    there is one pool, of up to `size` connections; with several there may be a second one for reads.
    """

    def __init__(self, dsn: str, *, size: int = 8, role: str | None = APP_ROLE, standbys: bool = False) -> None:
        self.dsn = dsn
        self.role = role
        several = len(servers.each(dsn)) > 1
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
        )
        self._writes = pool(servers=Servers(dsn, servers.PRIMARY), away=NO_PRIMARY) if several else pool()
        wanted = servers.readers(dsn) if several and standbys else servers.PRIMARY
        self._reads = self._writes if wanted == servers.PRIMARY else pool(servers=Servers(dsn, wanted))

    @property
    def replicated(self) -> bool:
        """Whether reads and writes may go to different servers."""
        return self._reads is not self._writes

    @property
    def connections(self) -> Mapping[str, Connections]:
        """The connections by what they are for: `writes`, and `reads` where those may go to a standby."""
        reads = {"reads": self._reads.connections} if self.replicated else {}
        return {"writes": self._writes.connections, **reads}

    @property
    def available(self) -> bool:
        """Whether the last call that only reads reached a server."""
        return self._reads.available

    @property
    def writable(self) -> bool:
        """Whether the last call to the primary reached it."""
        return self._writes.available

    async def open(self) -> None:
        """Connect. Raises `ConfigurationError` when no server can be reached, or when it refuses the role.

        With a standby at hand it is enough if that is reached.
        """
        try:
            await self._open()
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
                    log.warning("no primary can be reached (%s); decisions are made, teaching has to wait", error)
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
        await asyncio.gather(*(pool.close(CLOSING) for pool in {self._writes, self._reads}))

    def fetch(self, statement: str, *arguments: Any, timeout: float = 5.0) -> Rows:
        """The rows of one statement, from the primary; with the wait for a connection `timeout` seconds at most."""
        return self._writes.fetch(statement, *arguments, timeout=timeout)

    def read(self, statement: str, *arguments: Any, timeout: float = 5.0) -> Rows:
        """As `fetch`, but a standby may answer, which learns of every change a moment late."""
        if self.replicated:
            return self._read(statement, *arguments, timeout=timeout)
        return self._reads.fetch(statement, *arguments, timeout=timeout)

    async def read_newest(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        """As `read`, but from the primary while that answers: for what its notifications say has changed."""
        if self.replicated and self._writes.available:
            with suppress(DatabaseUnavailable):
                return await self._writes.fetch(statement, *arguments, timeout=HURRY)
        return await self._reads.fetch(statement, *arguments)

    async def _read(self, statement: str, *arguments: Any, timeout: float) -> list[asyncpg.Record]:  # noqa: ASYNC109
        ends = time.monotonic() + timeout
        try:
            return await self._reads.fetch(statement, *arguments, timeout=timeout)
        except NotFound:
            # What was made a moment ago is not on the standby yet.
            again = self._writes
        except DatabaseUnavailable as error:
            if isinstance(error.__cause__, (TimeoutError, asyncpg.QueryCanceledError)) or not self._reads.available:
                raise
            # The connection broke under the call, as when its server ends; reading again does no harm.
            again = self._reads
        return await again.fetch(statement, *arguments, timeout=max(0.001, ends - time.monotonic()))

    async def check_revision(self) -> None:
        """Raise `ConfigurationError` naming the command to run unless the schema is the one this version knows."""
        try:
            found = (await self.read("select router.revision()"))[0][0]
        except (asyncpg.UndefinedFunctionError, asyncpg.InvalidSchemaNameError):
            found = None
        if found != REVISION:
            stands = "has no schema `router`" if found is None else f"is at schema revision {found}"
            hint = "upgrade pgrouter" if found is not None and found > REVISION else "run `pgrouter migrate`"
            raise ConfigurationError(f"The database {stands}, this version needs {REVISION}: {hint}.")

    @asynccontextmanager
    async def listening(self, channel: str, heard: Callable[[], None]) -> AsyncIterator[asyncio.Event]:
        """Call `heard` at every NOTIFY on `channel`; the event yielded is set when the connection is lost.

        Only a primary passes notifications on; without one this is `DatabaseUnavailable`.
        """
        lost = asyncio.Event()
        connection = await self._writes.connect()
        try:
            connection.add_termination_listener(lambda _: lost.set())
            await connection.add_listener(channel, lambda *_: heard())
            yield lost
        finally:
            connection.terminate()

    @asynccontextmanager
    async def session(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection of its own, to the primary, for work that spans statements; what they left goes with it.

        What fails in it is wrapped by `translated`. Raises `DatabaseUnavailable` when the server cannot be reached.
        """
        connection = await self._writes.connect()
        try:
            with translated():
                await prepare(connection)
            yield connection
        finally:
            # Nobody waits for a goodbye; the server rolls back what is open.
            connection.terminate()


@contextmanager
def translated() -> Iterator[None]:
    """What Postgres refuses as the class in `REFUSALS`, and its absence as `DatabaseUnavailable`."""
    try:
        yield
    except GAVE_UP as error:
        raise gave_up(error) from error
    except AWAY as error:
        if isinstance(error, ValueError):
            raise
        raise DatabaseUnavailable(NO_SERVER) from error
    except asyncpg.ReadOnlySQLTransactionError as error:
        raise DatabaseUnavailable(NO_PRIMARY) from error
    except asyncpg.PostgresError as error:
        refusal = REFUSALS.get(error.sqlstate or "")
        if refusal is None:
            raise
        raise refusal(f"{error.message}.", param=error.column_name) from error


async def or_unavailable(function: str, answer: Coroutine[Any, Any, list[Any]]) -> list[Any]:
    """Await a query that routing can do without: every database error becomes `DatabaseUnavailable` and is logged."""
    try:
        return await answer
    except asyncpg.PostgresError as error:
        log.error("%s failed with SQLSTATE %s", function, error.sqlstate)
        raise DatabaseUnavailable(f"Postgres could not answer {function}.") from error
