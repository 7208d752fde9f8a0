"""The middleware of every request: gives it an id and a record, and has it observed when it is over."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..http.requests import HELD, release
from ..telemetry.logs import REQUEST_ID
from ..telemetry.observer import Observer
from ..telemetry.request_record import KEY, RequestRecord

HEADER = b"x-request-id"
#: Paths that are not observed: machines poll the first three, and the router itself calls the demo's provider.
QUIET = ("/healthz", "/readyz", "/metrics", "/demo/")

_VALID_ID = re.compile(rb"[!-~]{1,128}")


class RequestRecords:
    """ASGI middleware that makes each request's `RequestRecord`, and adds its id to answers of the router itself."""

    def __init__(self, app: ASGIApp, observer: Observer) -> None:
        self._app = app
        self._observer = observer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope[KEY] = record = RequestRecord(request_id(scope["headers"]))
        REQUEST_ID.set(record.request_id)

        async def recording(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
                if not record.relayed:
                    headers = message.get("headers", ())
                    if all(name.lower() != HEADER for name, _ in headers):
                        message["headers"] = [*headers, (HEADER, record.request_id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, recording)
        finally:
            if HELD in scope:
                release(scope)
            if not scope["path"].startswith(QUIET):
                if record.route is None:
                    record.route = getattr(scope.get("route"), "path", "unknown")
                self._observer.finish(record)


def request_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Return the client's `x-request-id` if it has 1 to 128 visible ASCII characters, else a new id."""
    for name, given in headers:
        if name == HEADER and _VALID_ID.fullmatch(given):
            return given.decode("ascii")
    return os.urandom(16).hex()
