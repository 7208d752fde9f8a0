"""Lets in whoever has the master key, with a database that may administer, and says what an operator got wrong."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Any

from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from app.entities import Tenant
from app.errors import BadRequest, NotFound, Unauthorized
from app.http.requests import bearer
from app.operations.refusals import http_errors
from app.operations.tenants import tenant_of
from app.services import services_of
from app.store.database import Database

PREFIX = "/v1/router/admin"

Endpoint = Callable[[Request, Database], Awaitable[Response]]


class Body(BaseModel):
    """What an operator sends: a field nobody knows is a slip, and a text is no number."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Gate:
    """Everything behind it needs ROUTER_ADMIN_KEY; where that is not set, there is nothing behind it."""

    def __init__(self, app: Router) -> None:
        self._app = app
        #: What is behind it, for whoever looks through a mount.
        self.routes = app.routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request with the key. Raises `Unauthorized`, or Starlette's 404 without any key to compare."""
        wanted = services_of(scope).settings.admin_key
        if wanted is None:
            raise HTTPException(404)
        given = bearer(dict(scope["headers"]))
        if not hmac.compare_digest(_digest(given), _digest(wanted)):
            raise Unauthorized("Incorrect API key provided: administration needs the master key of this router.")
        await self._app(scope, receive, send)


def _digest(key: str) -> bytes:
    return sha256(key.encode("utf-8", "surrogateescape")).digest()


def route(path: str, endpoint: Endpoint, method: str) -> Route:
    """A route whose endpoint is given the owner's database, and whose errors are an operator's."""

    async def handle(request: Request) -> Response:
        # Metrics go by the route, whose path is without what it is mounted at.
        request.scope["route"] = whole
        if any("\0" in value for value in request.path_params.values()):
            raise NotFound("No name holds a NUL character.")
        db = await services_of(request.scope).owner.database()
        with http_errors():
            return await endpoint(request, db)

    whole = Route(PREFIX + path, handle, methods=[method])
    return Route(path, handle, methods=[method], name=endpoint.__name__)


async def tenant_in(request: Request, db: Database) -> Tenant:
    """The tenant that the path names. Raises `NotFound`."""
    return await tenant_of(db, request.path_params["tenant"])


def number_in(request: Request, name: str) -> int:
    """A number in the path, as columns of type int hold it. Raises `NotFound` for what is none."""
    text = request.path_params[name]
    if len(text) > 10 or not (text.isascii() and text.isdecimal()) or not 0 < int(text) < 2**31:
        raise NotFound(f"There is no {text!r}.", param=name)
    return int(text)


def given_in(body: BaseModel, *, nullable: dict[str, Any]) -> dict[str, Any]:
    """The fields a request names, with null where that means something: what stands in `nullable` for it."""
    found = {}
    for name in body.model_fields_set:
        value = getattr(body, name)
        if value is None:
            if name not in nullable:
                raise BadRequest(f"{name}: it cannot be null; leave it out to keep what it is.", param=name)
            value = nullable[name]
        found[name] = value
    return found
