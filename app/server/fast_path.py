"""Calls ASGI endpoints directly, without Starlette's middleware and routing."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from app.server.error_handlers import handlers
from app.server.middleware import RequestIds


class Application:
    """Starlette, but endpoints that speak ASGI themselves are called straight away where the path is theirs.

    They are the hot path, and each layer between takes its time of every request and every chunk.
    """

    def __init__(self, app: Starlette) -> None:
        self._app = app
        self._straight: dict[tuple[str, str], ASGIApp] = {
            (method, route.path): RequestIds(_Guarded(app, route.endpoint))
            for route in reversed(app.routes)
            if isinstance(route, Route) and route.app is route.endpoint and not route.param_convertors
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        endpoint = self._straight.get((scope.get("method", ""), scope.get("path", "")), self._app)
        await endpoint(scope, receive, send)


class _Guarded:
    """An endpoint whose errors are answered as Starlette answers them."""

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
            # Where the answer has begun the server takes no other and cuts the connection.
            await response(scope, receive, send)
            if kind is Exception:
                raise
