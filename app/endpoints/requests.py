"""Requests to the JSON API: their caller, and their body as a pydantic model."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel
from starlette.requests import Request

from app.entities import Caller
from app.http.requests import bearer, read_body
from app.http.scope import TENANT
from app.http.validation import parse_object, validated
from app.services import Services, services_of

M = TypeVar("M", bound=BaseModel)


async def called(request: Request) -> tuple[Services, Caller]:
    """The process's services and who is calling. Raises `Unauthorized`."""
    services = services_of(request.scope)
    caller = await services.directory.caller(bearer(dict(request.scope["headers"])))
    request.scope[TENANT] = caller.tenant
    return services, caller


async def body_of(request: Request) -> bytes:
    """The request's body. Raises as `read_body` does."""
    return await read_body(
        request.receive, dict(request.scope["headers"]), services_of(request.scope).settings.max_body
    )


async def parsed(request: Request, model: type[M], *, optional: bool = False) -> M:
    """The request's body as `model`; where it is `optional`, none is an empty one.

    Raises `BadRequest` naming the first field that is wrong.
    """
    raw = await body_of(request)
    return validated(model, {} if optional and not raw else parse_object(raw))
