"""Answers to clients of HTTP/1.0."""

from __future__ import annotations

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


class Unchunked:
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
