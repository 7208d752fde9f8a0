"""GET /v1/models and /v1/models/{id}: the real models, and the tenant's policies as models of this router."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.endpoints.http import answer, called
from app.errors import NotFound

OWNER = "pgrouter"


async def list_models(request: Request) -> Response:
    """OpenAI's list of models: policies first, then models by name."""
    return answer({"object": "list", "data": await _models(request)})


async def one_model(request: Request) -> Response:
    """One of them. Raises `NotFound`."""
    name = request.path_params["name"]
    for model in await _models(request):
        if model["id"] == name:
            return answer(model)
    raise NotFound(f"The model {name!r} does not exist here.", param="model", code="model_not_found")


async def _models(request: Request) -> list[dict[str, Any]]:
    services, caller = await called(request)
    catalogue = await services.directory.catalogue()
    owners = dict.fromkeys(caller.policies, OWNER)
    owners |= {model.name: model.provider for model in catalogue.models if model.name not in owners}
    return [{"id": name, "object": "model", "created": 0, "owned_by": owner} for name, owner in owners.items()]


routes = [
    Route("/v1/models", list_models),
    Route("/v1/models/{name:path}", one_model),
]
