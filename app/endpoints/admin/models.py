"""/v1/router/admin/models: what requests may name, at what price, and what it can do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from app.endpoints.admin.auth import Body, route
from app.endpoints.admin.prices import Usd
from app.endpoints.requests import parsed
from app.entities import CAPABILITIES
from app.http.fields import Text
from app.http.responses import answer
from app.operations import capabilities
from app.operations import models as administered
from app.store import models as registry
from app.store.database import Database

Tokens = Annotated[int, Field(ge=1, le=2**31 - 1)]
_GIVEN = ("input_price", "cached_input_price", "output_price", *CAPABILITIES)


class PutModel(Body):
    """Who serves it under which name, prices in USD per million tokens, and what it can do.

    What is left out or null stays; prices of a new one come from genai-prices where they are known.
    """

    provider: Text | None = None
    upstream_name: Text | None = None
    enabled: bool | None = None
    input_price: Usd | None = None
    cached_input_price: Usd | None = None
    output_price: Usd | None = None
    context_window: Tokens | None = None
    max_output: Tokens | None = None
    tools: bool | None = None
    parallel_tools: bool | None = None
    vision: bool | None = None
    audio: bool | None = None
    json_schema: bool | None = None
    reasoning: bool | None = None


class Refresh(Body):
    """Which models, else all or all of `provider`; `force` overwrites what is known."""

    models: Annotated[list[Text], Field(max_length=1000)] = Field(default_factory=list)
    provider: Text | None = None
    force: bool = False


async def list_models(request: Request, db: Database) -> Response:
    """Every model, the disabled ones too."""
    return answer({"object": "list", "data": [shown(row) for row in await registry.inventory(db)]})


async def read_model(request: Request, db: Database) -> Response:
    """One of them."""
    return answer(shown(await administered.get(db, request.path_params["model"])))


async def put_model(request: Request, db: Database) -> Response:
    """Add a model, or change one; `enabled` false: neither list nor serve it any more."""
    wanted = await parsed(request, PutModel)
    done = await administered.put(
        db,
        request.path_params["model"],
        wanted.provider,
        wanted.upstream_name,
        wanted.model_dump(include=set(_GIVEN)),
        enabled=wanted.enabled,
    )
    return answer({**shown(done.row), "notes": done.notes})


async def refresh_models(request: Request, db: Database) -> Response:
    """Ask providers what models can do, and fill in what is unknown."""
    wanted = await parsed(request, Refresh, optional=True)
    found = await capabilities.refresh(db, wanted.models, provider=wanted.provider, force=wanted.force)
    return answer({"object": "list", "data": found.models, "notes": found.notes})


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """A model as JSON."""
    found = dict(row)
    return {"object": "router.model", "id": found.pop("model_id"), **found}


routes = [
    route("/models", list_models, "GET"),
    route("/models/refresh", refresh_models, "POST"),
    route("/models/{model:path}", read_model, "GET"),
    route("/models/{model:path}", put_model, "PUT"),
]
