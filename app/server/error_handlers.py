"""Turns exceptions that an endpoint did not handle into responses."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from app.errors import DatabaseError, NotFound, RouterError
from app.http.disconnect import CLIENT_CLOSED_REQUEST, ClientDisconnected
from app.http.responses import answer
from app.server.middleware import HEADER
from app.telemetry.logs import REQUEST_ID

log = logging.getLogger("pgrouter")


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
    return Response(status_code=CLIENT_CLOSED_REQUEST)


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
    ClientDisconnected: nobody,
    DatabaseError: unexpected,
    Exception: unexpected,
}
