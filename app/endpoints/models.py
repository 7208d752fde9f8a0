"""GET /v1/models and /v1/models/{name}: the models, and the tenant's policies as models of this router."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from ..entities import Model
from ..errors import NotFound
from ..http.responses import answer
from ..routing.candidates import may_use
from .openapi.operation import DocumentedRoute, Operation
from .requests import authenticate

OWNER = "pgrouter"


class ModelObject(TypedDict):
    """OpenAI's model object; of a policy there is no more."""

    id: Annotated[str, Field(description="The name that requests use.")]
    object: Literal["model"]
    created: Annotated[int, Field(description="Always 0.")]
    owned_by: Annotated[str, Field(description="The provider; of a policy `pgrouter`.")]


class ModelCapabilities(TypedDict):
    """The capabilities of a model; null: unknown."""

    tools: bool | None
    parallel_tools: bool | None
    vision: bool | None
    audio: bool | None
    json_schema: bool | None
    reasoning: bool | None


class DescribedModel(ModelObject):
    """A model of a provider: OpenAI's fields, then sizes in tokens and capabilities. null: unknown."""

    context_window: int | None
    max_output_tokens: int | None
    capabilities: ModelCapabilities


class ModelList(TypedDict):
    """OpenAI's list of models."""

    object: Literal["list"]
    data: list[DescribedModel | ModelObject]


async def list_models(request: Request) -> Response:
    """Return OpenAI's list of models: policies first, then models by name."""
    services, caller = await authenticate(request)
    found: dict[str, DescribedModel | ModelObject] = {name: _policy(name) for name in caller.policies}
    for model in (await services.directory.catalog()).models:
        if may_use(caller, model):
            found.setdefault(model.name, _described(model))
    models: ModelList = {"object": "list", "data": list(found.values())}
    return answer(models)


async def read_model(request: Request) -> Response:
    """Return one model. Raises `NotFound`."""
    name = request.path_params["name"]
    services, caller = await authenticate(request)
    if name in caller.policies:
        return answer(_policy(name))
    model = (await services.directory.catalog()).get(name)
    if not may_use(caller, model):
        raise NotFound(f"This API key may not use the model {name!r}.", param="model", code="model_not_found")
    return answer(_described(model))


def _policy(name: str) -> ModelObject:
    return {"id": name, "object": "model", "created": 0, "owned_by": OWNER}


def _described(model: Model) -> DescribedModel:
    return {
        "id": model.name,
        "object": "model",
        "created": 0,
        "owned_by": model.provider.name,
        "context_window": model.context_window,
        "max_output_tokens": model.max_output,
        "capabilities": {
            "tools": model.tools,
            "parallel_tools": model.parallel_tools,
            "vision": model.vision,
            "audio": model.audio,
            "json_schema": model.json_schema,
            "reasoning": model.reasoning,
        },
    }


routes = [
    DocumentedRoute(
        "GET",
        "/v1/models",
        list_models,
        Operation(
            summary="The tenant's policies and the models, with their capabilities.",
            tag="OpenAI",
            scope="any",
            responses={200: ModelList},
        ),
    ),
    DocumentedRoute(
        "GET",
        "/v1/models/{name:path}",
        read_model,
        Operation(
            summary="One model or policy.",
            tag="OpenAI",
            scope="any",
            responses={200: DescribedModel | ModelObject},
            errors=(404,),
        ),
    ),
]
