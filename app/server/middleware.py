"""Has the requests observed that ask no model: the router's own endpoints, and what passes through elsewhere."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.http.scope import OBSERVED, PASSED_ON, STATUS, TENANT
from app.services import services_of
from app.telemetry.logs import REQUEST_ID
from app.telemetry.request_record import RequestRecord

#: These are asked all the time, by machines; and the demo's provider by the router itself.
QUIET = ("/healthz", "/readyz", "/metrics", "/demo/")


class Observing:
    """ASGI middleware, inside of the one that names requests."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"].startswith(QUIET):
            await self.app(scope, receive, send)
            return
        arrived, arrived_ns = time.perf_counter(), time.time_ns()
        # An error that nobody expected is answered further out.
        status = 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noted)
        finally:
            if OBSERVED not in scope:
                route = getattr(scope.get("route"), "path", "unknown")
                services_of(scope).observer.finished(
                    RequestRecord(
                        route=route,
                        operation="",
                        status=scope.get(STATUS, status),
                        arrived_ns=arrived_ns,
                        duration=time.perf_counter() - arrived,
                        request_id=REQUEST_ID.get(),
                        tenant=scope.get(TENANT),
                    )
                )


HEADER = b"x-request-id"


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
