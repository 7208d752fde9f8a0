"""uvicorn's HTTP protocol, with an answer's head going out with its body and word of a client that leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: The name in a scope's `extensions` of the `Departure` of its client.
GONE = "pgrouter.gone"
#: A head is copied in front of so much of a body rather than written by itself, bytes.
COPIED = 64 * 1024


class Departure:
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


class Protocol(HttpToolsProtocol):
    """One connection of a client; `uvicorn.Config(http=Protocol)`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._extensions = {GONE: Departure()}

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin."""
        super().connection_made(_Joined(transport, self.loop))  # type: ignore[arg-type]

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell every request of the connection, also one that others were sent behind."""
        super().connection_lost(exc)
        self._extensions[GONE].tell()

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self.scope["extensions"] = self._extensions  # type: ignore[typeddict-item]


class _Joined:
    """A transport that keeps a head back until more is written, or until the event loop has had its turn.

    Each write is a call of the system and wakes the client up: a whole answer is one write.
    """

    __slots__ = ("_head", "_loop", "_transport", "get_extra_info", "is_closing", "pause_reading", "resume_reading")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._head = b""
        self._loop = loop
        self._transport = transport
        self.get_extra_info = transport.get_extra_info
        self.is_closing = transport.is_closing
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading

    def write(self, data: bytes) -> None:
        if self._head:
            head, self._head = self._head, b""
            if len(data) <= COPIED:
                data = head + data
            else:
                self._transport.write(head)
        elif data.startswith(b"HTTP/1.1 "):
            # What begins like this and is a body is as late as a head is.
            self._head = data
            self._loop.call_soon(self._flush)
            return
        self._transport.write(data)

    def _flush(self) -> None:
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
