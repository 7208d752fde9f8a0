"""The Starlette application: routes and handlers as plain data."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from app.demo import provider
from app.endpoints import admin, backtests, compare, decisions, health, memories, models, teaching, usage
from app.endpoints.openapi import routes as openapi
from app.errors import NotFound, RouterError
from app.http.requests import CLIENT_GONE, ClientGone, answer
from app.proxy import inference, passthrough
from app.server.middleware import Observing
from app.server.request_ids import HEADER, RequestIds
from app.services import Services
from app.telemetry.logs import REQUEST_ID

log = logging.getLogger("pgrouter")

routes = [
    *inference.routes,
    *models.routes,
    *teaching.routes,
    *compare.routes,
    *memories.routes,
    *decisions.routes,
    *backtests.routes,
    *admin.routes,
    *usage.routes,
    *health.routes,
    *openapi.routes,
    *passthrough.routes,
]
#: Only where the process has a database of its own: there its models are served by itself.
demo_routes = [Mount("/demo/v1", routes=provider.routes)]


async def refuse(request: Request, error: Exception) -> Response:
    """A `RouterError` in OpenAI's shape."""
    assert isinstance(error, RouterError)
    response = answer(error.body(), error.status)
    response.headers.update(error.headers)
    return response


async def no_such_path(request: Request, error: Exception) -> Response:
    """Starlette's own 404 and 405 in OpenAI's shape."""
    assert isinstance(error, HTTPException)
    message = f"{request.method} {request.url.path} is not served here: {error.detail}."
    response = answer(NotFound(message, code="unknown_url").body(), error.status_code)
    response.headers.update(error.headers or {})
    return response


async def nobody(request: Request, error: Exception) -> Response:
    """The client has left; whatever is said is not heard."""
    return Response(status_code=CLIENT_GONE)


async def unexpected(request: Request, error: Exception) -> Response:
    """A fault of ours or of the database; the server logs where, and the client is told no more."""
    log.error("%s %s failed: %s", request.method, request.url.path, type(error).__name__)
    response = answer(RouterError("Internal error.", code="internal_error").body(), 500)
    # This one goes out past the middleware.
    response.headers[HEADER.decode()] = REQUEST_ID.get()
    return response


#: What becomes of an error that an endpoint did not answer itself.
handlers: dict[Any, Callable[[Request, Exception], Awaitable[Response]]] = {
    RouterError: refuse,
    HTTPException: no_such_path,
    ClientGone: nobody,
    asyncpg.PostgresError: unexpected,
    Exception: unexpected,
}


def create_app(services: Services) -> Application:
    """The application of one process, serving with what is running already."""
    app = Starlette(
        routes=[*routes, *demo_routes] if services.settings.demo else routes,
        middleware=[Middleware(RequestIds), Middleware(Observing)],
        exception_handlers=handlers,
    )
    # A redirect's empty body is not what a client of OpenAI expects.
    app.router.redirect_slashes = False
    app.state.services = services
    return Application(app)


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
