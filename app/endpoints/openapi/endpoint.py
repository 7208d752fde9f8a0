"""GET /openapi.json: the OpenAPI document of this process."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from ...http.responses import answer
from ...services import services_of
from .document import document
from .operation import DocumentedRoute, Operation


class OpenApiDocument(TypedDict):
    """An OpenAPI 3.1 document."""

    openapi: str
    info: dict[str, Any]
    servers: list[dict[str, Any]]
    tags: list[dict[str, Any]]
    paths: dict[str, Any]
    components: dict[str, Any]


async def openapi(request: Request) -> Response:
    """Return the OpenAPI document, which the first call of a process generates."""
    app = request.scope["app"]
    if not hasattr(app.state, "openapi"):
        # Without a master key there is no administration.
        keys = [None, "tenant", *(["master"] if services_of(request.scope).settings.admin_key else [])]
        # It takes about 0.2 s, in which other requests are served.
        app.state.openapi = await asyncio.to_thread(document, app.routes, keys)
    return answer(app.state.openapi)


routes = [
    DocumentedRoute(
        "GET",
        "/openapi.json",
        openapi,
        Operation(summary="This document.", tag="process", responses={200: OpenApiDocument}, key=None, database=False),
    )
]
