"""Direct calls of ASGI endpoints, past Starlette's middleware and routing."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ..telemetry.observer import Observer
from .error_handlers import handlers
from .middleware import RequestRecords


class Application:
    """A Starlette application whose ASGI endpoints are called directly if method and path are exactly theirs.

    They are the hot path, and each layer in between adds time to every request and every chunk.
    """

    def __init__(self, app: Starlette, observer: Observer) -> None:
        self._app = app
        self._endpoints: dict[tuple[str, str], ASGIApp] = {
            (method, route.path): RequestRecords(_WithErrorHandlers(app, route.endpoint), observer)
            for route in reversed(app.routes)
            if isinstance(route, Route) and route.app is route.endpoint and not route.param_convertors
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        endpoint = self._endpoints.get((scope.get("method", ""), scope.get("path", "")), self._app)
        await endpoint(scope, receive, send)


class _WithErrorHandlers:
    """An endpoint whose exceptions are answered by the same handlers as Starlette's."""

    def __init__(self, app: Starlette, endpoint: ASGIApp) -> None:
        self._app = app
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = self._app
        try:
            await self._endpoint(scope, receive, send)
        except Exception as error:
            kind = next(kind for kind in type(error).__mro__ if kind in handlers)
            response = await handlers[kind](Request(scope), error)
            # If the answer has begun, the server rejects this second one and closes the connection.
            await response(scope, receive, send)
            if kind is Exception:
                raise
