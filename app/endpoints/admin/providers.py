"""/v1/router/admin/providers: who serves models."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field
from starlette.requests import Request
from starlette.responses import Response

from app.endpoints.admin.auth import Body, route
from app.endpoints.requests import parsed
from app.errors import BadRequest
from app.http.responses import answer
from app.operations import providers as administered
from app.operations.providers import Api, KeyHeader
from app.store import providers
from app.store.database import Database

Url = Annotated[str, Field(pattern=r"^https?://[!-~]+$", max_length=2000)]
#: As names of models: in the path they are said as they are.
_NAME = re.compile(r"[^\x00-\x20\x7f-\xa0]([^\x00-\x1f\x7f-\x9f]{0,98}[^\x00-\x20\x7f-\xa0])?")


def _theirs(variable: str) -> str:
    # Whoever may say where a key is sent must not be able to send ours.
    if variable.upper().startswith(("ROUTER_", "PG", "DATABASE_")):
        raise ValueError("this variable is the router's own, and no provider's key")
    return variable


Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,199}$"), AfterValidator(_theirs)]


class PutProvider(Body):
    """Where it is and which environment variable of the router holds its key; what is left out stays.

    `key_variable` null: no key is sent. A new one speaks what its host is known for, else what OpenAI does.
    """

    base_url: Url | None = None
    key_variable: Variable | None = None
    speaks: Annotated[list[Api], Field(min_length=1, max_length=10)] | None = None
    key_header: KeyHeader | None = None


async def list_providers(request: Request, db: Database) -> Response:
    """Every provider, with how many models it serves."""
    return answer({"object": "list", "data": [shown(row) for row in await providers.upstreams(db)]})


async def put_provider(request: Request, db: Database) -> Response:
    """Add a provider, or change one."""
    name = request.path_params["provider"]
    wanted = await parsed(request, PutProvider)
    if not _NAME.fullmatch(name):
        raise BadRequest("A provider's name has 1 to 100 characters, no control characters and no spaces around it.")
    known = await administered.find(db, name)
    if wanted.base_url is None and known is None:
        raise BadRequest("base_url: a new provider needs one.", param="base_url")
    base_url = wanted.base_url or str(known and known["base_url"])
    variable = wanted.key_variable
    if variable is None and "key_variable" in wanted.model_fields_set:
        variable = ""
    await administered.put(db, name, base_url, variable, speaks=wanted.speaks, key_header=wanted.key_header)
    found = await administered.find(db, name)
    return answer(shown(found or {"provider_id": None, "name": name}))


async def delete_provider(request: Request, db: Database) -> Response:
    """Delete a provider that serves no model."""
    name = request.path_params["provider"]
    await administered.remove(db, name)
    return answer({"object": "router.provider", "name": name, "deleted": True})


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """A provider as JSON: the name of the variable that holds its key, never the key."""
    found = dict(row)
    return {"object": "router.provider", "id": found.pop("provider_id"), **found}


routes = [
    route("/providers", list_providers, "GET"),
    route("/providers/{provider:path}", put_provider, "PUT"),
    route("/providers/{provider:path}", delete_provider, "DELETE"),
]
