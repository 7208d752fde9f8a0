"""Gives every request a name that its client, the logs and the traces share."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.telemetry.logs import REQUEST_ID

HEADER = b"x-request-id"
#: In the scope of a request whose answer is a provider's: that one is left as it came.
PASSED_ON = "pgrouter.passed_on"

_SANE = re.compile(rb"[!-~]{1,128}")


def request_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The client's `x-request-id` if that is 1 to 128 visible ASCII characters, else a new one."""
    for name, given in headers:
        if name == HEADER and _SANE.fullmatch(given):
            return given.decode("ascii")
    return os.urandom(16).hex()


class RequestIds:
    """ASGI middleware: names the request for whatever logs, and says the name in answers the router makes itself."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        name = request_id(scope["headers"])
        REQUEST_ID.set(name)

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start" and PASSED_ON not in scope:
                headers = message.get("headers", ())
                if all(key.lower() != HEADER for key, _ in headers):
                    message["headers"] = [*headers, (HEADER, name.encode())]
            await send(message)

        await self.app(scope, receive, named)
