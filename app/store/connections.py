"""A stack of connections: the one that was used last is handed out first, and whoever finds none waits in line."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import asyncpg

#: A connection is closed after so many calls, so that its server process gives up what it has gathered.
CALLS = 50_000
#: What a connection may take to show that it is of use again, and one that is not wanted to say goodbye, seconds.
MENDING = 1.0


class Connections:
    """Up to `size` connections, each made by `connect` when it is needed.

    To take one and to give it back are plain calls, because asyncpg's own pool costs more than most statements do: a
    task, a shield and two time-outs a call. Few connections at work, each warm, serve more than many do.
    """

    def __init__(self, connect: Callable[[], Awaitable[asyncpg.Connection]], size: int) -> None:
        self.size = size
        self._connect = connect
        self._idle: list[asyncpg.Connection] = []
        self._open: set[asyncpg.Connection] = set()
        self._doubtful: set[asyncpg.Connection] = set()
        # How many calls are left to each; one that has expired is not among them.
        self._left: dict[asyncpg.Connection, int] = {}
        # Connections that are open, being made, or about to be made by one who was waiting.
        self._places = 0
        self._waiters: deque[asyncio.Future[asyncpg.Connection | None]] = deque()
        self._chores: set[asyncio.Task[None]] = set()
        self._closing = False
        self._emptied = asyncio.Event()

    @property
    def open(self) -> int:
        """Connections that are open or being made."""
        return self._places

    @property
    def in_use(self) -> int:
        """Connections that are at work, being made, or being mended."""
        return self._places - len(self._idle)

    @property
    def waiting(self) -> int:
        """Calls that wait for a connection."""
        return len(self._waiters)

    def take(self) -> asyncpg.Connection | None:
        """An idle connection, to be given back; None: there is none, so `wait`."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
            self._remove(connection)
        return None

    async def wait(self, within: float) -> asyncpg.Connection:
        """The next connection that is free or can be made, to be given back.

        Raises `TimeoutError` after `within` seconds, what `connect` raises, and `InterfaceError` once closed.
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
        """Take back a connection on which nothing is under way, for the one who has waited longest."""
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

    def doubt(self, connection: asyncpg.Connection) -> None:
        """Take back a connection after a call that did not come to its end: nobody gets it before it answers again."""
        if connection not in self._left or connection.is_closed() or self._closing:
            self._remove(connection)
            return
        self._doubtful.add(connection)
        self._begin(self._mend(connection))

    def expire(self) -> None:
        """Replace all connections: those that are idle or doubtful now, those at work when they are given back."""
        # A new one, because a connection that is being made belongs to the old.
        self._left = {}
        for connection in self._doubtful:
            connection.terminate()
        while self._idle:
            self._remove(self._idle.pop())

    async def close(self, within: float) -> None:
        """Close all, those at work when they are done; what is left after `within` seconds is cut."""
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
        await asyncio.gather(*self._chores)

    async def _queue(self, within: float) -> asyncpg.Connection | None:
        """A connection that is given back, or None: the place of one that is gone."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[asyncpg.Connection | None] = loop.create_future()
        self._waiters.append(waiter)
        timer = loop.call_later(within, _late, waiter)
        try:
            return await waiter
        except BaseException:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            elif not waiter.cancelled() and waiter.exception() is None:
                # It was cancelled at the very moment.
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
        left[connection] = CALLS
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
        """Let another have its place at once: a server that is gone does not say goodbye."""
        self._left.pop(connection, None)
        self._vacate()
        if connection.is_closed():
            self._forget(connection)
        else:
            self._begin(self._goodbye(connection))

    async def _goodbye(self, connection: asyncpg.Connection) -> None:
        # A call that was given up is taken back from the server first.
        with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
            await connection.close(timeout=MENDING)
        self._forget(connection)

    def _forget(self, connection: asyncpg.Connection) -> None:
        # What asyncpg keeps about it, also where the server has closed it.
        connection.terminate()
        self._open.discard(connection)
        self._settle()

    def _settle(self) -> None:
        if not self._open and not self._places:
            self._emptied.set()

    async def _mend(self, connection: asyncpg.Connection) -> None:
        # asyncpg has asked the server to give the call up and waits for that before it sends anything else.
        try:
            await connection.execute("select 1", timeout=MENDING)
        except Exception:
            connection.terminate()
        self._doubtful.discard(connection)
        self.give(connection)

    def _begin(self, chore: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(chore)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)


def _late(waiter: asyncio.Future[Any]) -> None:
    if not waiter.done():
        waiter.set_exception(TimeoutError())
