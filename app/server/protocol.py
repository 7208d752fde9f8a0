"""uvicorn's HTTP protocol, with an answer's head going out with its body and word of a client that leaves."""

from __future__ import annotations

import asyncio
from typing import Any

import httptools
from uvicorn._types import ASGISendEvent
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from ..http.disconnect import DISCONNECT, Disconnect

#: A head is copied in front of so much of a body rather than written by itself, bytes.
COPIED = 64 * 1024
#: A head that is not through after so many bytes is not waited for any longer.
HEAD = 256 * 1024

_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)
#: Headers that ask for another protocol on this connection, which nobody here speaks.
_OF_UPGRADES = (b"upgrade", b"http2-settings")


class Protocol(HttpToolsProtocol):
    """One connection of a client; `uvicorn.Config(http=Protocol)`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._extensions = {DISCONNECT: Disconnect()}
        self._in_head = True
        self._head_size = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin."""
        super().connection_made(_Joined(transport, self.loop))  # type: ignore[arg-type]

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell every request of the connection, also one that others were sent behind."""
        super().connection_lost(exc)
        self._extensions[DISCONNECT].notify()

    def data_received(self, data: bytes) -> None:
        """Take in what came, within the limit of a head."""
        if self._in_head:
            self._head_size += len(data)
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._go_on_as_it_is(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self.logger.warning("Invalid HTTP request received.")
            self.send_400_response("Invalid HTTP request received.")
        if self._in_head and self._head_size > HEAD and not self.transport.is_closing():
            if self.cycle is None or self.cycle.response_complete:
                self.transport.write(_TOO_LARGE)
            self.transport.close()

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self.scope["extensions"] = self._extensions  # type: ignore[typeddict-item]

    def on_headers_complete(self) -> None:
        """Begin to answer, unless it is to be read once more."""
        self._in_head = False
        self._head_size = 0
        if not self.parser.should_upgrade():
            super().on_headers_complete()
            # Fields of a chunked body's trailer are added to this list from now on, not to the request's headers:
            # they would replace them, `Authorization` too (RFC 9110, 6.5.1).
            self.headers = []
            if self.scope["http_version"] == "1.0":
                self.cycle.send = _Unchunked(self.cycle).send  # type: ignore[method-assign]

    def on_message_complete(self) -> None:
        """End a request."""
        self._in_head = True
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def _go_on_as_it_is(self, rest: bytes) -> None:
        """Read a request that asks for HTTP/2, as Java's client does, as if it did not (RFC 9110, 7.8).

        httptools stops at such a head, and what comes behind it, the body too, is left to whom it may concern.
        """
        method = self.parser.get_method()
        if method == b"CONNECT":
            self.send_400_response("Nothing is tunnelled here.")
            return
        lines = [b"%b %b HTTP/%b" % (method, self.url, self.parser.get_http_version().encode())]
        for name, value in self.headers:
            if name == b"connection":
                tokens = [token.strip() for token in value.split(b",")]
                value = b", ".join(token for token in tokens if token.lower() not in _OF_UPGRADES)
            if name not in _OF_UPGRADES and (value or name != b"connection"):
                lines.append(b"%b: %b" % (name, value))
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"\r\n".join(lines) + b"\r\n\r\n" + rest)


class _Unchunked:
    """Sends the answer to a client of HTTP/1.0, which has no chunks: an unknown length ends with the connection.

    RFC 9112, 6.1. Such connections are always closed after the answer.
    """

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._send = cycle.send
        self._unbounded = False

    async def send(self, message: ASGISendEvent) -> None:
        cycle = self._cycle
        if message["type"] == "http.response.start" and not cycle.response_started:
            self._unbounded = all(name.lower() != b"content-length" for name, _ in message.get("headers", ()))
            if self._unbounded:
                cycle.chunked_encoding = False
        elif message["type"] == "http.response.body" and self._unbounded:
            # uvicorn compares the bytes sent with the length announced.
            cycle.expected_content_length = len(message.get("body", b""))
        await self._send(message)


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
