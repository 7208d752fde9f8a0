"""/v1/router/admin/models: the models with their prices and capabilities."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from ...entities import CAPABILITIES
from ...http.fields import Text
from ...http.responses import answer
from ...operations import capabilities, models
from ...store import models as stored_models
from ...store.database import Database
from ..requests import parse_body
from ..responses import Listing, listing, select
from .prices import Usd
from .requests import AdminRequest
from .responses import Notes
from .route import admin_route

Tokens = Annotated[int, Field(ge=1, le=2**31 - 1)]
_GIVEN = ("input_price", "cached_input_price", "output_price", *CAPABILITIES)


class PutModel(AdminRequest):
    """A model; a field that is left out or null keeps its value.

    Prices are USD per million tokens; those of a new model are its upstream model's if there is one, else
    genai-prices' if it has them.
    """

    provider: Text | None = Field(None, description="The provider; a new model needs one.")
    upstream_name: Text | None = Field(None, description="The provider's name of the model. Default: the same name.")
    settings: dict[str, Any] | None = Field(
        None,
        description="Members of a request's body that the model sets where the client sends none, by dotted name such "
        "as `reasoning.effort`; they replace all that it has. {}: none.",
    )
    upstream_price: bool = Field(
        False, description="true: remove its own prices, so that those of its upstream model apply."
    )
    enabled: bool | None = Field(None, description="false: the model is neither listed nor served.")
    input_price: Usd | None = None
    cached_input_price: Usd | None = None
    output_price: Usd | None = None
    context_window: Tokens | None = Field(None, description="Tokens.")
    max_output: Tokens | None = Field(None, description="Tokens.")
    tools: bool | None = None
    parallel_tools: bool | None = None
    vision: bool | None = None
    audio: bool | None = None
    json_schema: bool | None = None
    reasoning: bool | None = None


class Refresh(AdminRequest):
    """The models to refresh."""

    models: Annotated[list[Text], Field(max_length=1000)] = Field(
        default_factory=list, description="Default: all models, or all of `provider`."
    )
    provider: Text | None = Field(None, description="Only models of this provider.")
    force: bool = Field(False, description="Overwrite capabilities that are known already.")


class CapabilityEntry(TypedDict):
    """The capabilities of a model; null: unknown."""

    name: str
    provider: str
    context_window: Annotated[int | None, Field(description="Tokens.")]
    max_output: Annotated[int | None, Field(description="Tokens.")]
    tools: bool | None
    parallel_tools: bool | None
    vision: bool | None
    audio: bool | None
    json_schema: bool | None
    reasoning: bool | None


class ModelEntry(CapabilityEntry):
    """A model with its prices in USD per million tokens; null: unknown."""

    object: Literal["router.model"]
    id: int
    upstream_name: str
    input_price: float | None
    cached_input_price: float | None
    output_price: float | None
    priced_on: Annotated[date | None, Field(description="The day that the prices are from.")]
    priced_by: Annotated[
        str | None, Field(description="The upstream model whose prices these are; null: its own, or unknown.")
    ]
    settings: Annotated[dict[str, Any], Field(description="Members of a request's body that it sets, by dotted name.")]
    enabled: bool


class ChangedModel(ModelEntry):
    """A model as it is now."""

    notes: Notes


class RefreshedModels(TypedDict):
    """The models whose capabilities changed."""

    object: Literal["list"]
    data: list[CapabilityEntry]
    notes: Notes


async def list_models(request: Request, db: Database) -> Response:
    """Return every model, the disabled ones included."""
    return answer(listing([_entry(row) for row in await stored_models.list_models(db)]))


async def read_model(request: Request, db: Database) -> Response:
    """Return one model."""
    return answer(_entry(await models.get(db, request.path_params["model"])))


async def put_model(request: Request, db: Database) -> Response:
    """Add a model, or change one; if `enabled` is false, it is neither listed nor served."""
    wanted = await parse_body(request, PutModel)
    done = await models.put(
        db,
        request.path_params["model"],
        wanted.provider,
        wanted.upstream_name,
        wanted.model_dump(include=set(_GIVEN)),
        enabled=wanted.enabled,
        settings=wanted.settings,
        upstream_price=wanted.upstream_price,
    )
    response: ChangedModel = {**_entry(done.row), "notes": list(done.notes)}
    return answer(response)


async def refresh_models(request: Request, db: Database) -> Response:
    """Fetch the capabilities of models from their providers, and store those that are unknown."""
    wanted = await parse_body(request, Refresh, optional=True)
    found = await capabilities.refresh(db, wanted.models, provider=wanted.provider, force=wanted.force)
    response: RefreshedModels = {
        "object": "list",
        "data": [select(CapabilityEntry, row) for row in found.models],
        "notes": list(found.notes),
    }
    return answer(response)


def _entry(row: Mapping[str, Any]) -> ModelEntry:
    return select(ModelEntry, row, object="router.model", id=row["model_id"])


_PATH = "/models/{model:path}"

routes = [
    admin_route("GET", "/models", list_models, "All models, the disabled ones included.", Listing[ModelEntry]),
    admin_route(
        "POST",
        "/models/refresh",
        refresh_models,
        "Fetch unknown capabilities of models from their providers.",
        RefreshedModels,
        body=Refresh,
        body_required=False,
    ),
    admin_route("GET", _PATH, read_model, "One model.", ModelEntry),
    admin_route("PUT", _PATH, put_model, "Add a model, or change one.", ChangedModel, errors=(409,), body=PutModel),
]
