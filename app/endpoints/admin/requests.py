"""Requests to the admin API: what the path names, and which fields a change has."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict
from starlette.requests import Request

from ...entities import Tenant
from ...errors import BadRequest, NotFound
from ...operations.tenants import tenant_of
from ...store.database import Database


class AdminRequest(BaseModel):
    """A request body; an unknown field is an error, and a string is not a number."""

    model_config = ConfigDict(extra="forbid", strict=True)


async def tenant_in(request: Request, db: Database) -> Tenant:
    """Return the tenant that the path names. Raises `NotFound`."""
    return await tenant_of(db, request.path_params["tenant"])


def number_in(request: Request, name: str) -> int:
    """Return a number in the path that fits a column of type int. Raises `NotFound` for any other text."""
    text = request.path_params[name]
    if len(text) > 10 or not (text.isascii() and text.isdecimal()) or not 0 < int(text) < 2**31:
        raise NotFound(f"There is no {text!r}.", param=name)
    return int(text)


def changes_in(body: BaseModel, *, nullable: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that a request has; null becomes the field's value in `nullable`.

    Raises `BadRequest` for null in a field that `nullable` lacks.
    """
    found = {}
    for name in body.model_fields_set:
        value = getattr(body, name)
        if value is None:
            if name not in nullable:
                raise BadRequest(f"{name}: null is not allowed; leave the field out to keep its value.", param=name)
            value = nullable[name]
        found[name] = value
    return found
