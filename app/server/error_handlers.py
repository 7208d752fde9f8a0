"""Turns exceptions that an endpoint did not handle into responses."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ..errors import DatabaseError, NotFound, RouterError
from ..http.disconnect import CLIENT_CLOSED_REQUEST, ClientDisconnected
from ..http.responses import answer
from ..telemetry.logs import REQUEST_ID
from .middleware import HEADER
from .unknown_paths import message_for

log = logging.getLogger("pgrouter")


async def refuse(request: Request, error: Exception) -> Response:
    """Return a `RouterError` in OpenAI's shape."""
    assert isinstance(error, RouterError)
    response = answer(error.body(), error.status)
    response.headers.update(error.headers)
    return response


async def no_such_path(request: Request, error: Exception) -> Response:
    """Return Starlette's own 404 and 405 in OpenAI's shape."""
    assert isinstance(error, HTTPException)
    message = message_for(request.scope, error.detail)
    response = answer(NotFound(message, code="unknown_url").body(), error.status_code)
    response.headers.update(error.headers or {})
    return response


async def client_gone(request: Request, error: Exception) -> Response:
    """Return status 499 for a client that closed its connection; nothing of it is delivered."""
    return Response(status_code=CLIENT_CLOSED_REQUEST)


async def unexpected(request: Request, error: Exception) -> Response:
    """Return a 500 for a fault of the router or of the database; only the log has details."""
    log.error("%s %s failed: %s", request.method, request.url.path, type(error).__name__)
    response = answer(RouterError("Internal error.", code="internal_error").body(), 500)
    # Starlette sends this response outside of the middleware, which would add the header.
    response.headers[HEADER.decode()] = REQUEST_ID.get()
    return response


#: The handler of each class of exceptions that an endpoint does not handle itself.
handlers: dict[Any, Callable[[Request, Exception], Awaitable[Response]]] = {
    RouterError: refuse,
    HTTPException: no_such_path,
    ClientDisconnected: client_gone,
    DatabaseError: unexpected,
    Exception: unexpected,
}
