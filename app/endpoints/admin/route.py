"""A route of the admin API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ...errors import NotFound
from ...operations.refusals import http_errors
from ...services import services_of
from ...store.database import Database
from ..openapi.operation import DocumentedRoute, Operation, Schema

PREFIX = "/v1/router/admin"

#: Errors that every operation may return; 403: the database login may not administer; 404: there is no master key, too.
_ERRORS = (400, 403, 404)

Endpoint = Callable[[Request, Database], Awaitable[Response]]


def admin_route(
    method: str,
    path: str,
    endpoint: Endpoint,
    summary: str,
    response: Any,
    *,
    status: int = 200,
    errors: tuple[int, ...] = (),
    body: type[BaseModel] | None = None,
    body_required: bool = True,
    query: type[BaseModel] | None = None,
    parameters: tuple[Schema, ...] = (),
) -> DocumentedRoute:
    """Return a route below `PREFIX`.

    Its endpoint is called with the owner's database, and errors of Postgres that an operator caused become errors of
    the API. The other parameters are those of `Operation`; `response` is the body of the one success `status`.
    """

    async def handle(request: Request) -> Response:
        # Metrics are labelled with the route, whose path lacks the prefix of the mount.
        request.scope["route"] = whole
        if any("\0" in value for value in request.path_params.values()):
            raise NotFound("The path contains a NUL character, and no name does.")
        db = await services_of(request.scope).owner.database()
        with http_errors():
            return await endpoint(request, db)

    whole = Route(PREFIX + path, handle, methods=[method])
    operation = Operation(
        summary=summary,
        tag="administration",
        responses={status: response},
        errors=(*_ERRORS, *errors),
        query=query,
        parameters=parameters,
        body=body,
        body_required=body_required,
        key="master",
    )
    return DocumentedRoute(method, path, handle, operation, name=endpoint.__name__)
