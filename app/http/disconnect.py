"""Cancels the work for a request when its client disconnects."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from starlette.types import Receive, Scope

T = TypeVar("T")

#: Status in the ledger of a request whose client disconnected before the end of the answer (nginx's convention).
CLIENT_CLOSED_REQUEST = 499
#: Key of the client's `Disconnect` in the `extensions` of an ASGI scope.
DISCONNECT = "pgrouter.disconnect"


class ClientDisconnected(Exception):
    """The client closed its connection, so that no response can be sent."""


async def until_disconnect(receive: Receive, work: Awaitable[T], scope: Scope | None = None) -> T:
    """Return the result of `work`, or cancel it when the client disconnects and raise `ClientDisconnected`.

    Needs no task of its own if `scope` is that of a server that runs `app.server.protocol`.
    """
    task = asyncio.current_task()
    assert task is not None
    disconnected = False

    def cancel() -> None:
        nonlocal disconnected
        disconnected = True
        task.cancel()

    disconnect = (scope or {}).get("extensions", {}).get(DISCONNECT) or _ReceiveWatcher(receive)
    disconnect.add(cancel)
    try:
        return await work
    except asyncio.CancelledError:
        if not disconnected:
            raise
        task.uncancel()
        raise ClientDisconnected from None
    finally:
        disconnect.discard(cancel)


class Disconnect:
    """Calls callbacks when a client has closed its connection; cheaper than a task that awaits `http.disconnect`."""

    __slots__ = ("_callbacks", "_disconnected")

    def __init__(self) -> None:
        self._callbacks: set[Callable[[], object]] = set()
        self._disconnected = False

    def add(self, callback: Callable[[], object]) -> None:
        """Call `callback` once at the disconnect; immediately if the client has disconnected already."""
        if self._disconnected:
            callback()
        else:
            self._callbacks.add(callback)

    def discard(self, callback: Callable[[], object]) -> None:
        """Remove `callback`, if it has not been called."""
        self._callbacks.discard(callback)

    def notify(self) -> None:
        """Call all callbacks: the client has disconnected."""
        self._disconnected = True
        while self._callbacks:
            self._callbacks.pop()()


class _ReceiveWatcher:
    """The interface of `Disconnect` for a server without our protocol: a task awaits `http.disconnect`."""

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
