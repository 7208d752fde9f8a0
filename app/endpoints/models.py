"""GET /v1/models and /v1/models/{id}: the real models, and the tenant's policies as models of this router."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.endpoints.http import answer, called

OWNER = "pgrouter"


async def list_models(request: Request) -> Response:
    """OpenAI's list of models: policies first, then models by name."""
    services, caller = await called(request)
    owners = dict.fromkeys(caller.policies, OWNER)
    for model in (await services.directory.catalogue()).models:
        owners.setdefault(model.name, model.provider.name)
    return answer({"object": "list", "data": [_shown(name, owner) for name, owner in owners.items()]})


async def one_model(request: Request) -> Response:
    """One of them. Raises `NotFound`."""
    name = request.path_params["name"]
    services, caller = await called(request)
    if name in caller.policies:
        return answer(_shown(name, OWNER))
    model = (await services.directory.catalogue()).get(name)
    return answer(_shown(model.name, model.provider.name))


def _shown(name: str, owner: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": owner}


routes = [
    Route("/v1/models", list_models),
    Route("/v1/models/{name:path}", one_model),
]
