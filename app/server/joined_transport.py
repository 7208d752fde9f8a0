"""A transport that joins the head of an answer with its body into one write."""

from __future__ import annotations

import asyncio
from typing import Any

#: Maximum size of a first chunk of a body that is joined with the head into one write, bytes.
COPIED = 64 * 1024


class JoinedTransport:
    """A transport that holds a head back until the next write, or until the next turn of the event loop.

    Each write is a system call and wakes the client up, so that head and body are written together.
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
            # A chunk of a body that begins like this is delayed by one turn, too.
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
