"""A stack of connections, last in, first out, with a queue of the calls that wait for one."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import asyncpg

#: Calls after which a connection is closed, so that its server process frees the memory it has cached.
MAX_CALLS = 50_000
#: Timeout for the validation of a suspect connection, and for closing a connection, seconds.
CLOSE_TIMEOUT = 1.0


class Connections:
    """Up to `size` connections, each created by `connect` when it is needed.

    `take` and `give` are synchronous, because asyncpg's own pool costs more than most statements: a task, a shield and
    two timeouts per call. Last in, first out, because few connections with warm caches serve more than many.
    """

    def __init__(self, connect: Callable[[], Awaitable[asyncpg.Connection]], size: int) -> None:
        self.size = size
        self._connect = connect
        self._idle: list[asyncpg.Connection] = []
        self._open: set[asyncpg.Connection] = set()
        self._suspect: set[asyncpg.Connection] = set()
        # Calls left to each connection; expired connections are absent.
        self._left: dict[asyncpg.Connection, int] = {}
        # Connections that are open, connecting, or about to be created by a call that waited.
        self._places = 0
        self._waiters: deque[asyncio.Future[asyncpg.Connection | None]] = deque()
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
        return len(self._waiters)

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

        Raises `TimeoutError` after `within` seconds, the errors of `connect`, and `InterfaceError` after `close`.
        """
        ends = time.monotonic() + within
        if self._closing:
            raise asyncpg.InterfaceError("the connections are closed")
        connection = self.take()
        if connection is None and self._places < self.size:
            self._places += 1
        elif connection is None:
            connection = await self._queue(within)
        return connection or await self._make(ends - time.monotonic())

    def give(self, connection: asyncpg.Connection) -> None:
        """Give back a connection without a running statement; the call that has waited longest gets it."""
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
        while waiter := self._next():
            waiter.set_exception(asyncpg.InterfaceError("the connections are closed"))
        while self._idle:
            self._remove(self._idle.pop())
        self._settle()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._emptied.wait(), within)
        for connection in list(self._open):
            connection.terminate()
        await asyncio.gather(*self._tasks)

    async def _queue(self, within: float) -> asyncpg.Connection | None:
        """Wait for a connection that is given back, or for None: the right to create one."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[asyncpg.Connection | None] = loop.create_future()
        self._waiters.append(waiter)
        timer = loop.call_later(within, _time_out, waiter)
        try:
            return await waiter
        except BaseException:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            elif not waiter.cancelled() and waiter.exception() is None:
                # Cancelled after a connection was assigned.
                connection = waiter.result()
                self._vacate() if connection is None else self.give(connection)
            raise
        finally:
            timer.cancel()

    def _next(self) -> asyncio.Future[asyncpg.Connection | None] | None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                return waiter
        return None

    async def _make(self, within: float) -> asyncpg.Connection:
        left = self._left
        try:
            async with asyncio.timeout(max(0.001, within)):
                connection = await self._connect()
        except BaseException:
            self._vacate()
            raise
        left[connection] = MAX_CALLS
        self._open.add(connection)
        if self._closing:
            self._remove(connection)
            raise asyncpg.InterfaceError("the connections are closed")
        return connection

    def _vacate(self) -> None:
        waiter = self._next()
        if waiter is None:
            self._places -= 1
            self._settle()
        else:
            waiter.set_result(None)

    def _remove(self, connection: asyncpg.Connection) -> None:
        """Free its place at once, before it is closed: a server that is gone does not answer."""
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
        waiter.set_exception(TimeoutError())
