"""GET /v1/models and /v1/models/{id}: the real models, and the tenant's policies as models of this router."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.endpoints.requests import called
from app.entities import Caller, Model
from app.errors import NotFound
from app.http.responses import answer

OWNER = "pgrouter"
_CAN = ("tools", "parallel_tools", "vision", "audio", "json_schema", "reasoning")


async def list_models(request: Request) -> Response:
    """OpenAI's list of models: policies first, then models by name."""
    services, caller = await called(request)
    shown = {name: _shown(name, OWNER) for name in caller.policies}
    for model in (await services.directory.catalog()).models:
        if _may(caller, model):
            shown.setdefault(model.name, _described(model))
    return answer({"object": "list", "data": list(shown.values())})


async def one_model(request: Request) -> Response:
    """One of them. Raises `NotFound`."""
    name = request.path_params["name"]
    services, caller = await called(request)
    if name in caller.policies:
        return answer(_shown(name, OWNER))
    model = (await services.directory.catalog()).get(name)
    if not _may(caller, model):
        raise NotFound(f"The model {name!r} may not serve this key.", param="model", code="model_not_found")
    return answer(_described(model))


def _may(caller: Caller, model: Model) -> bool:
    return caller.allowed_models is None or model.model_id in caller.allowed_models


def _described(model: Model) -> dict[str, Any]:
    """OpenAI's fields, then what is known of it; null: unknown. Sizes in tokens."""
    return {
        **_shown(model.name, model.provider.name),
        "context_window": model.context_window,
        "max_output_tokens": model.max_output,
        "capabilities": {ability: getattr(model, ability) for ability in _CAN},
    }


def _shown(name: str, owner: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": owner}


routes = [
    Route("/v1/models", list_models),
    Route("/v1/models/{name:path}", one_model),
]
