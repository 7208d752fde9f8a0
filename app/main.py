"""The Starlette application: routes and handlers as plain data."""

from __future__ import annotations

import logging

import asyncpg
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount

from app.demo import provider
from app.endpoints import backtests, chat, decisions, health, memories, models, preferences, usage
from app.endpoints.http import CLIENT_GONE, ClientGone, answer
from app.errors import RouterError
from app.services import Services

log = logging.getLogger("pgrouter")

routes = [
    *chat.routes,
    *models.routes,
    *preferences.routes,
    *memories.routes,
    *decisions.routes,
    *backtests.routes,
    *usage.routes,
    *health.routes,
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
    body = {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": "unknown_url"}}
    response = answer(body, error.status_code)
    response.headers.update(error.headers or {})
    return response


async def nobody(request: Request, error: Exception) -> Response:
    """The client has left; whatever is said is not heard."""
    return Response(status_code=CLIENT_GONE)


async def unexpected(request: Request, error: Exception) -> Response:
    """A fault of ours or of the database; the server logs where, and the client is told no more."""
    log.error("%s %s failed: %s", request.method, request.url.path, type(error).__name__)
    body = {"error": {"message": "Internal error.", "type": "server_error", "param": None, "code": "internal_error"}}
    return answer(body, 500)


def create_app(services: Services) -> Starlette:
    """The application of one process, serving with what is running already."""
    app = Starlette(
        routes=[*routes, *demo_routes] if services.settings.demo else routes,
        exception_handlers={
            RouterError: refuse,
            HTTPException: no_such_path,
            ClientGone: nobody,
            asyncpg.PostgresError: unexpected,
            Exception: unexpected,
        },
    )
    # A redirect's empty body is not what a client of OpenAI expects.
    app.router.redirect_slashes = False
    app.state.services = services
    return app
