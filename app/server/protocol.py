"""uvicorn's HTTP protocol; it also writes head and body together, and notifies requests of a disconnect."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ..http.disconnect import DISCONNECT, Disconnect
from ..http.repeated_warnings import RepeatedWarnings
from .http10 import Unchunked
from .joined_transport import JoinedTransport

#: Maximum size of a request's head, bytes.
HEAD = 256 * 1024

#: Bytes of heads, and of bodies, that are parsed at a time; what follows waits while `PIPELINED` requests do.
SLICE_OF_HEADS = 4 * 1024
SLICE_OF_BODY = 16 * 1024
PIPELINED = 16
#: Seconds between two looks at the time limits of connections.
SWEEP = 1.0

_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)
_TIMED_OUT = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=utf-8\r\nretry-after: 5\r\n"
    b"content-length: 22\r\nconnection: close\r\n\r\nToo many connections.\n"
)
#: Headers of a request to change the protocol of its connection, which is not supported.
_UPGRADE_HEADERS = (b"upgrade", b"http2-settings")


_warnings = RepeatedWarnings(logging.getLogger("pgrouter.server"))


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of connections; times in seconds."""

    #: From the connection, or from a head's first byte, to the end of the head.
    head: float = 30.0
    #: Between two pieces of a body.
    body: float = 60.0
    #: Connections at a time.
    connections: int = 1_000_000


class Protocol(HttpToolsProtocol):
    """One connection of a client; `uvicorn.Config(http=Protocol)`."""

    def __init__(self, *arguments: Any, limits: Limits = Limits(), **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._limits = limits
        self._waiting: deque[memoryview] = deque()
        self._feeding = False
        #: Whether a request has begun whose last byte is still to come.
        self._begun = False
        #: When the head, or the wait for it, began, and when the last bytes came.
        self._head_since = self._received_at = 0.0
        self._extensions = {DISCONNECT: Disconnect()}
        self._in_head = True
        self._head_size = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wrap the transport of a new connection."""
        super().connection_made(JoinedTransport(transport, self.loop))  # type: ignore[arg-type]
        self._head_since = self._received_at = self.loop.time()
        state = self.server_state
        if getattr(state, "sweep", None) is None:
            state.sweep = self.loop.call_later(SWEEP, _sweep, state, self.loop)  # type: ignore[attr-defined]
        if len(self.connections) > self._limits.connections:
            _warnings.warn(f"{self._limits.connections} connections are open, as many as may be: more get 503")
            self.transport.write(_FULL)
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Notify every request of the connection, pipelined ones included."""
        super().connection_lost(exc)
        self._extensions[DISCONNECT].notify()

    def data_received(self, data: bytes) -> None:
        """Parse what came, in slices; what follows `PIPELINED` waiting requests is kept."""
        self._received_at = self.loop.time()
        # Nearly every request is alone on its connection, and fits into one slice.
        if (
            len(data) <= (SLICE_OF_HEADS if self._in_head else SLICE_OF_BODY)
            and not self._waiting
            and not self.pipeline
            and not self._feeding
        ):
            self._parse(data)
            return
        self._waiting.append(memoryview(data))
        self._feed()

    def on_response_complete(self) -> None:
        """Go on with the requests that follow."""
        super().on_response_complete()
        if self._begun or self._waiting:
            self._head_since = self.loop.time()
        if self._waiting and not self.transport.is_closing():
            self._unset_keepalive_if_required()
            self.flow.pause_reading()
            self.loop.call_soon(self._feed)

    def _feed(self) -> None:
        # A parser's callback may end a response, which leads back here.
        if self._feeding:
            return
        self._feeding = True
        try:
            while self._waiting and len(self.pipeline) < PIPELINED:
                if self.parser is None or self.transport.is_closing():
                    self._waiting.clear()
                    return
                data = self._waiting.popleft()
                size = SLICE_OF_HEADS if self._in_head else SLICE_OF_BODY
                if len(data) > size:
                    self._waiting.appendleft(data[size:])
                    data = data[:size]
                self._parse(data)
        finally:
            self._feeding = False
        if self._waiting:
            self.flow.pause_reading()
        elif self.flow.read_paused and not self.pipeline and self.cycle is not None and self.cycle.response_complete:
            self.flow.resume_reading()

    def _parse(self, data: bytes | memoryview) -> None:
        if self._in_head:
            if not self._head_size:
                self._head_since = self._received_at
            self._head_size += len(data)
        self._unset_keepalive_if_required()
        try:
            while True:
                try:
                    self.parser.feed_data(data)
                    break
                except httptools.HttpParserUpgrade as upgrade:
                    data = data[upgrade.args[0] :]
                    if not self._ignore_upgrade():
                        return
        except httptools.HttpParserError:
            _warnings.warn("Invalid HTTP request received.")
            self.send_400_response("Invalid HTTP request received.")
        if self._in_head and self._head_size > HEAD and not self.transport.is_closing():
            if self.cycle is None or self.cycle.response_complete:
                self.transport.write(_TOO_LARGE)
            self.transport.close()

    def end_if_late(self, now: float) -> None:
        """Close the connection if the client is over a time limit."""
        cycle, limits = self.cycle, self._limits
        if self.transport.is_closing():
            return
        if cycle is None or cycle.response_complete:
            # Between two requests the limit of uvicorn holds.
            waited = now - self._head_since if cycle is None or self._begun else 0.0
            late = waited > limits.head
        else:
            late = cycle.more_body and not self.flow.read_paused and now - self._received_at > limits.body
        if late:
            if cycle is None or cycle.response_complete or not cycle.response_started:
                self.transport.write(_TIMED_OUT)
            self.transport.close()

    def on_message_begin(self) -> None:
        """Give the request the notification of disconnects."""
        super().on_message_begin()
        self._begun = True
        self.scope["extensions"] = self._extensions  # type: ignore[typeddict-item]

    def on_headers_complete(self) -> None:
        """Start the application, unless the head is parsed once more without its upgrade."""
        self._in_head = False
        self._head_size = 0
        if not self.parser.should_upgrade():
            super().on_headers_complete()
            # Fields of a chunked body's trailer are added to this list from now on, not to the request's headers:
            # they would replace them, `Authorization` too (RFC 9110, 6.5.1).
            self.headers = []
            if self.scope["http_version"] == "1.0":
                self.cycle.send = Unchunked(self.cycle).send  # type: ignore[method-assign]

    def on_message_complete(self) -> None:
        """Finish the request, unless the head is parsed once more without its upgrade."""
        self._in_head = True
        self._begun = False
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def _ignore_upgrade(self) -> bool:
        """Parse a request again without its upgrade headers, which a server may ignore (RFC 9110, 7.8).

        Java's HTTP client requests an upgrade to HTTP/2. httptools stops after such a head and leaves the rest of the
        bytes, the body included, to its caller. Returns False if the request is refused.
        """
        method = self.parser.get_method()
        if method == b"CONNECT":
            self.send_400_response("CONNECT is not supported.")
            return False
        lines = [b"%b %b HTTP/%b" % (method, self.url, self.parser.get_http_version().encode())]
        for name, value in self.headers:
            if name == b"connection":
                tokens = [token.strip() for token in value.split(b",")]
                value = b", ".join(token for token in tokens if token.lower() not in _UPGRADE_HEADERS)
            if name not in _UPGRADE_HEADERS and (value or name != b"connection"):
                lines.append(b"%b: %b" % (name, value))
        self.parser = httptools.HttpRequestParser(self)
        self.parser.feed_data(b"\r\n".join(lines) + b"\r\n\r\n")
        return True


def _sweep(state: Any, loop: asyncio.AbstractEventLoop) -> None:
    """Look at the time limits of all connections: cheaper than timers, which every request would set anew."""
    now = loop.time()
    for connection in list(state.connections):
        if isinstance(connection, Protocol):
            connection.end_if_late(now)
    state.sweep = loop.call_later(SWEEP, _sweep, state, loop) if state.connections else None
