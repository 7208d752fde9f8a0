"""Client disconnects: notice them, and stop the work that nobody waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from starlette.types import Receive, Scope

T = TypeVar("T")

#: The status the ledger gives to a client that left before its answer was through (nginx's convention).
CLIENT_GONE = 499


class ClientGone(Exception):
    """The client closed its connection; there is nobody to answer."""


async def until_gone(receive: Receive, work: Awaitable[T], scope: Scope | None = None) -> T:
    """The result of `work`. A client that leaves meanwhile ends it, and with it the provider's work: `ClientGone`.

    Given the request's `scope` it costs no task, where the server runs `app.server.protocol`.
    """
    task = asyncio.current_task()
    assert task is not None
    gone = False

    def leave() -> None:
        nonlocal gone
        gone = True
        task.cancel()

    departure = (scope or {}).get("extensions", {}).get(GONE) or _Watched(receive)
    departure.add(leave)
    try:
        return await work
    except asyncio.CancelledError:
        if not gone:
            raise
        task.uncancel()
        raise ClientGone from None
    finally:
        departure.discard(leave)


class _Watched:
    """The same as a `Disconnect`, at the price of a task, where the server's protocol does not tell."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive

    def add(self, callback: Callable[[], object]) -> None:
        self._task = asyncio.create_task(self._watch(callback))

    def discard(self, callback: Callable[[], object]) -> None:
        self._task.cancel()

    async def _watch(self, callback: Callable[[], object]) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        callback()


#: The name in a scope's `extensions` of the `Disconnect` of its client.
GONE = "pgrouter.gone"


class Disconnect:
    """Calls back when the client has closed its connection: what a task that waits for `http.disconnect` would cost."""

    __slots__ = ("_callbacks", "_gone")

    def __init__(self) -> None:
        self._callbacks: set[Callable[[], object]] = set()
        self._gone = False

    def add(self, callback: Callable[[], object]) -> None:
        """Have `callback` called, once; at once if the client is gone already."""
        if self._gone:
            callback()
        else:
            self._callbacks.add(callback)

    def discard(self, callback: Callable[[], object]) -> None:
        """Do not call `callback` any more, if it still was to be."""
        self._callbacks.discard(callback)

    def tell(self) -> None:
        """The client is gone."""
        self._gone = True
        while self._callbacks:
            self._callbacks.pop()()
