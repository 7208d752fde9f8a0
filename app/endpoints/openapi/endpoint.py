"""GET /openapi.json: what this process serves, for programs."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.http.responses import answer
from app.services import services_of


async def openapi(request: Request) -> Response:
    """The OpenAPI document, made at the first call of a process."""
    app = request.scope["app"]
    if not hasattr(app.state, "openapi"):
        # Here, because it describes the endpoints, this one too.
        from app.endpoints.openapi import OPERATIONS, document

        # Without a master key there is no administration.
        keys = {None, "tenant"} | ({"master"} if services_of(request.scope).settings.admin_key else set())
        app.state.openapi = document(app.routes, [operation for operation in OPERATIONS if operation.key in keys])
    return answer(app.state.openapi)


routes = [Route("/openapi.json", openapi)]
