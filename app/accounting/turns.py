"""Bounds the calls that a tenant may have under way beside its requests: teaching, explaining, listing, backtests."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from ..errors import Busy

#: Calls of a tenant that may wait, and for how long, seconds.
MOST_WAITING = 100
TIMEOUT = 10.0
#: The Retry-After of calls that are refused, seconds.
RETRY = 2.0


class Turns:
    """Lets each tenant have up to `most` calls under way; further ones wait in the order in which they came."""

    def __init__(self, most: int) -> None:
        self._most = most
        # Calls under way, and those that wait, of the tenants that have any.
        self._running: dict[int, int] = {}
        self._waiting: dict[int, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def turn(self, tenant: int) -> AsyncIterator[None]:
        """Wait for a turn of the tenant, and hold it. Raises `Busy` if too many calls wait, or after `TIMEOUT`."""
        running = self._running.get(tenant, 0)
        if running < self._most:
            self._running[tenant] = running + 1
        else:
            await self._wait(tenant)
        try:
            yield
        finally:
            self._end(tenant)

    async def _wait(self, tenant: int) -> None:
        queue = self._waiting.setdefault(tenant, deque())
        if len(queue) >= MOST_WAITING:
            raise _busy()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            async with asyncio.timeout(TIMEOUT):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                # The turn came at the same moment.
                self._end(tenant)
            elif turn in queue:
                queue.remove(turn)
                if not queue and self._waiting.get(tenant) is queue:
                    del self._waiting[tenant]
            if isinstance(error, TimeoutError):
                raise _busy() from None
            raise

    def _end(self, tenant: int) -> None:
        """Pass the turn on to the call that has waited longest."""
        queue = self._waiting.get(tenant, ())
        while queue:
            turn = queue.popleft()
            if not turn.done():
                turn.set_result(None)
                break
        else:
            if self._running[tenant] > 1:
                self._running[tenant] -= 1
            else:
                del self._running[tenant]
        if not queue:
            self._waiting.pop(tenant, None)


class _Exclusive:
    """Work of which a tenant may have one piece under way, and a process up to `most`."""

    def __init__(self, most: int, what: str) -> None:
        self._most = most
        self._what = what
        self._tenants: set[int] = set()

    @asynccontextmanager
    async def _held(self, tenant: int) -> AsyncIterator[None]:
        if tenant in self._tenants:
            raise Busy(f"Another {self._what} of this account is running: try again when it has ended.", seconds=RETRY)
        if len(self._tenants) >= self._most:
            raise Busy(f"Other {self._what}s are running: try again when one has ended.", seconds=RETRY)
        self._tenants.add(tenant)
        try:
            yield
        finally:
            self._tenants.discard(tenant)


class Measuring(_Exclusive):
    """The backtests under way: one of each tenant, and up to `most` of the process."""

    def __init__(self, most: int) -> None:
        super().__init__(most, "backtest")

    def backtest(self, tenant: int) -> AbstractAsyncContextManager[None]:
        """Hold one of the backtests. Raises `Busy` if the tenant has one, or the process too many."""
        return self._held(tenant)


class Transfers(_Exclusive):
    """The imports and exports under way, each on a connection of its own: one of each tenant, some of the process."""

    def __init__(self, most: int) -> None:
        super().__init__(most, "import or export")

    def transfer(self, tenant: int) -> AbstractAsyncContextManager[None]:
        """Hold one of the transfers. Raises `Busy` if the tenant has one, or the process too many."""
        return self._held(tenant)


def _busy() -> Busy:
    return Busy("Too many calls of this account are under way: try again in a moment.", seconds=RETRY)
