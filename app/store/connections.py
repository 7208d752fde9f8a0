"""A stack of connections, last in, first out, with a queue of the calls that wait for one."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import asyncpg

#: Calls after which a connection is closed, so that its server process frees the memory it has cached.
MAX_CALLS = 50_000
#: Timeout for the validation of a suspect connection, and for closing a connection, seconds.
CLOSE_TIMEOUT = 1.0
#: Time for which no connection is added after the server refused one, seconds.
FULL_PAUSE = 5.0

log = logging.getLogger("pgrouter.store")


class QueueTimeout(TimeoutError):
    """No connection was free in time: the server was not called."""


class ConnectTimeout(TimeoutError):
    """No connection was created in time."""


class Connections:
    """Up to `size` connections, each created by `connect` when it is needed.

    Background calls hold at most `size - reserved` of them, and wait behind other calls. While the server admits fewer
    than `size`, its share of the reserved ones is the same. With a single connection all calls take turns.

    If a connection cannot be created while others are open, its call waits for one of those.

    `take` and `give` are synchronous, because asyncpg's own pool costs more than most statements: a task, a shield and
    two timeouts per call. Last in, first out, because few connections with warm caches serve more than many.
    """

    def __init__(self, connect: Callable[[], Awaitable[asyncpg.Connection]], size: int, reserved: int = 0) -> None:
        self.size = size
        self.reserved = reserved
        self._connect = connect
        self._idle: list[asyncpg.Connection] = []
        self._open: set[asyncpg.Connection] = set()
        self._suspect: set[asyncpg.Connection] = set()
        # Calls left to each connection; expired connections are absent.
        self._left: dict[asyncpg.Connection, int] = {}
        # Connections that are open, connecting, or about to be created by a call that waited.
        self._places = 0
        self._waiters: deque[asyncio.Future[asyncpg.Connection | None]] = deque()
        # Background calls that wait, and the number of places that others hold.
        self._background: deque[asyncio.Future[asyncpg.Connection | None]] = deque()
        self._lent: set[asyncpg.Connection] = set()
        self._lending = 0
        # The connections that the server admitted when it refused another, and until when no more are tried.
        self._admitted = size
        self._full_until = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self._emptied = asyncio.Event()

    @property
    def open(self) -> int:
        """Connections that are open or connecting."""
        return self._places

    @property
    def in_use(self) -> int:
        """Connections that are in use, connecting, or being validated."""
        return self._places - len(self._idle)

    @property
    def waiting(self) -> int:
        """Calls that wait for a connection."""
        return len(self._waiters) + len(self._background)

    @property
    def usable(self) -> int:
        """Connections that there may be: `size`, or fewer for a while after the server refused one."""
        if self._full_until and time.monotonic() < self._full_until:
            return min(self.size, self._admitted)
        return self.size

    @property
    def background(self) -> int:
        """Connections that background calls may hold."""
        usable = self.usable
        return max(1, usable - -(-self.reserved * usable // self.size))

    def take(self) -> asyncpg.Connection | None:
        """Return an idle connection, which must be given back; None if there is none, then call `wait`."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
            self._remove(connection)
        return None

    async def wait(self, within: float) -> asyncpg.Connection:
        """Return the next connection that is idle or can be created; it must be given back.

        Raises `TimeoutError` after `within` seconds, the errors of `connect` if no other connection is open or being
        created, and `InterfaceError` after `close`.
        """
        ends = time.monotonic() + within
        if self._closing:
            raise asyncpg.InterfaceError("the connections are closed")
        connection = self.take()
        if connection is None and self._places < self.usable:
            self._places += 1
        elif connection is None:
            connection = await self._queue(self._waiters, within)
        while connection is None:
            connection = await self._make(ends - time.monotonic()) or await self._queue(
                self._waiters, ends - time.monotonic()
            )
        return connection

    async def wait_in_background(self, within: float) -> asyncpg.Connection:
        """Return a connection as `wait` does, but after the other calls and within the share of background calls."""
        ends = time.monotonic() + within
        if self._closing:
            raise asyncpg.InterfaceError("the connections are closed")
        if self._background or not self._may_lend() or not (self._idle or self._places < self.usable):
            # Its place among the lent ones is counted by the call that wakes it.
            connection = await self._queue(self._background, within)
        else:
            connection = self.take()
            self._lending += 1
            if connection is None:
                self._places += 1
        try:
            while connection is None:
                connection = await self._make(ends - time.monotonic()) or await self._queue(
                    self._waiters, ends - time.monotonic()
                )
        except BaseException:
            self._lending -= 1
            self._wake()
            raise
        self._lending -= 1
        self._lent.add(connection)
        return connection

    def give(self, connection: asyncpg.Connection) -> None:
        """Give back a connection without a running statement; the call that has waited longest gets it."""
        if self._lent:
            self._lent.discard(connection)
        left = self._left.get(connection, 0)
        if left <= 1 or connection.is_closed() or self._closing:
            self._remove(connection)
            return
        self._left[connection] = left - 1
        waiter = self._next()
        if waiter is None:
            self._idle.append(connection)
        else:
            waiter.set_result(connection)
        if self._background:
            self._wake()

    def mark_suspect(self, connection: asyncpg.Connection) -> None:
        """Give back a connection whose call did not complete; it is used again after it has been validated."""
        if connection not in self._left or connection.is_closed() or self._closing:
            self._remove(connection)
            return
        self._suspect.add(connection)
        self._start(self._validate(connection))

    def expire(self) -> None:
        """Replace all connections: idle and suspect ones now, those in use when they are given back."""
        # A new dict, because a connection that is being created refers to the old one.
        self._left = {}
        for connection in self._suspect:
            connection.terminate()
        while self._idle:
            self._remove(self._idle.pop())

    async def close(self, within: float) -> None:
        """Close all connections, those in use when they are given back; after `within` seconds, terminate the rest."""
        self._closing = True
        for waiter in (*self._waiters, *self._background):
            if waiter.done():
                continue
            waiter.set_exception(asyncpg.InterfaceError("the connections are closed"))
        self._waiters.clear()
        self._background.clear()
        while self._idle:
            self._remove(self._idle.pop())
        self._settle()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._emptied.wait(), within)
        for connection in list(self._open):
            connection.terminate()
        await asyncio.gather(*self._tasks)

    async def _queue(
        self, waiters: deque[asyncio.Future[asyncpg.Connection | None]], within: float
    ) -> asyncpg.Connection | None:
        """Wait for a connection that is given back, or for None: the right to create one."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[asyncpg.Connection | None] = loop.create_future()
        waiters.append(waiter)
        timer = loop.call_later(max(0.0, within), _time_out, waiter)
        try:
            return await waiter
        except BaseException:
            if waiter in waiters:
                waiters.remove(waiter)
            elif not waiter.cancelled() and waiter.exception() is None:
                # Cancelled after a connection was assigned.
                if waiters is self._background:
                    self._lending -= 1
                connection = waiter.result()
                self._vacate() if connection is None else self.give(connection)
            raise
        finally:
            timer.cancel()

    def _next(self) -> asyncio.Future[asyncpg.Connection | None] | None:
        return self._first(self._waiters)

    @staticmethod
    def _first(
        waiters: deque[asyncio.Future[asyncpg.Connection | None]],
    ) -> asyncio.Future[asyncpg.Connection | None] | None:
        while waiters:
            waiter = waiters.popleft()
            if not waiter.done():
                return waiter
        return None

    def _may_lend(self) -> bool:
        return len(self._lent) + self._lending < self.background

    def _wake(self) -> None:
        """Give idle connections or free places to background calls that wait, within their share."""
        while self._background and self._may_lend() and not self._waiters and not self._closing:
            connection = self.take()
            if connection is None and self._places >= self.usable:
                return
            waiter = self._first(self._background)
            if waiter is None:
                if connection is not None:
                    self._idle.append(connection)
                return
            if connection is None:
                self._places += 1
            self._lending += 1
            waiter.set_result(connection)

    async def _make(self, within: float) -> asyncpg.Connection | None:
        """Create a connection; None if that failed while others are open or being created, which can be waited for."""
        left = self._left
        try:
            async with asyncio.timeout(max(0.001, within)):
                connection = await self._connect()
        except TimeoutError as error:
            self._vacate()
            raise ConnectTimeout(*error.args) from error
        except (OSError, asyncpg.PostgresError) as error:
            if self._places > 1 and not self._closing:
                self._places -= 1
                self._reduce(error)
                return None
            self._vacate()
            raise
        except BaseException:
            self._vacate()
            raise
        left[connection] = MAX_CALLS
        if self._full_until and self._places > self._admitted:
            self._full_until = 0.0
        self._open.add(connection)
        if self._closing:
            self._remove(connection)
            raise asyncpg.InterfaceError("the connections are closed")
        return connection

    def _reduce(self, error: Exception) -> None:
        """Add no connection for a while, because the server refused one."""
        if not self._full_until:
            log.warning("Postgres refused a connection (%s): calls wait for those that are open", error)
        self._admitted = self._places
        self._full_until = time.monotonic() + FULL_PAUSE

    def _vacate(self) -> None:
        waiter = self._next()
        if waiter is None:
            self._places -= 1
            self._settle()
            if self._background:
                self._wake()
        else:
            waiter.set_result(None)

    def _remove(self, connection: asyncpg.Connection) -> None:
        """Free its place at once, before it is closed: a server that is gone does not answer."""
        self._lent.discard(connection)
        self._left.pop(connection, None)
        self._vacate()
        if connection.is_closed():
            self._forget(connection)
        else:
            self._start(self._close_connection(connection))

    async def _close_connection(self, connection: asyncpg.Connection) -> None:
        # asyncpg first cancels a running statement in the server.
        with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
            await connection.close(timeout=CLOSE_TIMEOUT)
        self._forget(connection)

    def _forget(self, connection: asyncpg.Connection) -> None:
        # Frees what asyncpg holds for it, even if the server has closed it.
        connection.terminate()
        self._open.discard(connection)
        self._settle()

    def _settle(self) -> None:
        if not self._open and not self._places:
            self._emptied.set()

    async def _validate(self, connection: asyncpg.Connection) -> None:
        # asyncpg has requested the cancellation of the call, and waits for it before it sends anything else.
        try:
            await connection.execute("select 1", timeout=CLOSE_TIMEOUT)
        except Exception:
            connection.terminate()
        self._suspect.discard(connection)
        self.give(connection)

    def _start(self, job: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(job)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _time_out(waiter: asyncio.Future[Any]) -> None:
    if not waiter.done():
        waiter.set_exception(QueueTimeout())
