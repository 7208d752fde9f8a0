"""A response that is sent piece by piece, and whose source is closed as soon as the client disconnects."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Any

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from .disconnect import ClientDisconnected, until_disconnect

EVENTS = "text/event-stream"
#: JSON values, one a line.
LINES = "application/x-ndjson"
#: A comment, which keeps a connection open.
STILL_HERE = b": still here\n\n"


class PiecesResponse(Response):
    """A response whose body is sent piece by piece; `pieces` is closed at its end and when the client disconnects."""

    def __init__(
        self, pieces: AsyncGenerator[bytes, None], media_type: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(media_type=media_type, headers={"cache-control": "no-store", **(headers or {})})
        del self.headers["content-length"]
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        with suppress(ClientDisconnected):
            await until_disconnect(receive, self._send(send), scope)

    async def _send(self, send: Send) -> None:
        async with aclosing(self._pieces) as pieces:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            async for piece in pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def event(name: str, data: Any) -> bytes:
    """Return an event of this name with `data` as JSON."""
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(data) + b"\n\n"
