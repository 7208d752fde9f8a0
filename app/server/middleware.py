"""Has the requests observed that ask no model: the router's own endpoints, and what passes through elsewhere."""

from __future__ import annotations

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.services import services_of
from app.telemetry.logs import REQUEST_ID
from app.telemetry.request_record import Finished

#: In the scope of a request: that its endpoint has observed it; whose it is; what came of it, if that was not sent.
OBSERVED, TENANT, STATUS = "pgrouter.observed", "pgrouter.tenant", "pgrouter.status"
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
                    Finished(
                        route=route,
                        operation="",
                        status=scope.get(STATUS, status),
                        arrived_ns=arrived_ns,
                        duration=time.perf_counter() - arrived,
                        request_id=REQUEST_ID.get(),
                        tenant=scope.get(TENANT),
                    )
                )
