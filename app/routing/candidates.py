"""Who may serve a request at all: whom it names, whom its key may use, whose provider speaks its API."""

from __future__ import annotations

from app.catalog import Catalog
from app.dialects import Dialect, ParsedRequest
from app.entities import Caller, Model, Policy
from app.errors import BadRequest, Forbidden


def pool(policy: Policy, default: Model, catalog: Catalog) -> list[Model]:
    """The candidates of a policy that are enabled, `default` first."""
    others = (catalog.by_id.get(model_id) for model_id in policy.models if model_id != default.model_id)
    return [default, *(model for model in others if model is not None)]


def beside(model: Model, models: list[Model], caller: Caller) -> list[Model]:
    """Those of the provider of `model`, else it alone: nobody else can go on from what that provider keeps."""
    return [each for each in models if each.provider is model.provider] or [allowed(model, caller)]


def speakers(models: list[Model], dialect: Dialect, policy: Policy) -> list[Model]:
    """Those whose provider speaks the API. Raises `BadRequest` when there are none."""
    found = [model for model in models if dialect.name in model.provider.speaks]
    if not found:
        raise BadRequest(
            f"No candidate of policy {policy.name!r} is served by a provider that speaks {dialect.path}.", param="model"
        )
    return found


def may_use(caller: Caller, model: Model) -> bool:
    """Whether the caller's key may be served by a model."""
    return caller.allowed_models is None or model.model_id in caller.allowed_models


def allowed(model: Model, caller: Caller) -> Model:
    """`model`. Raises `Forbidden` when the key may not use it."""
    if not may_use(caller, model):
        raise Forbidden(f"This key may not use the model {model.name!r}.", param="model")
    return model


def named(name: str, caller: Caller, catalog: Catalog, dialect: Dialect) -> Model:
    """The model that a request names. Raises `NotFound`, `BadRequest` where its provider does not speak the API."""
    policy = caller.policies.get(name)
    if policy is not None and not dialect.billed:
        numbers = (policy.default_model, *policy.models)
        found = [catalog.by_id[number] for number in numbers if number in catalog.by_id]
        return speakers([model for model in found if may_use(caller, model)] or found, dialect, policy)[0]
    if policy is not None and catalog.find(name) is None:
        raise BadRequest(f"{dialect.path} is not routed: name a model, not the policy {name!r}.", param="model")
    model = catalog.get(name)
    if dialect.name not in model.provider.speaks:
        raise BadRequest(
            f"The provider {model.provider.name!r} of {name!r} does not speak {dialect.path}, "
            "or pgrouter was not told that it does.",
            param="model",
        )
    return model


#: An estimate of tokens may be this much too low before a context window overflows.
MARGIN = 1.2


def able(model: Model, dialect: Dialect, reading: ParsedRequest, tokens: int) -> bool:
    """Whether `model` can serve a request of so many prompt tokens.

    What is not known of a model is taken as a yes: the provider will say.
    """
    limit = (reading.limit or 0) // reading.answers
    return not (
        dialect.name not in model.provider.speaks
        or (reading.tools and model.tools is False)
        or (reading.parallel_tools and model.parallel_tools is False)
        or (reading.vision and model.vision is False)
        or (reading.audio and model.audio is False)
        or (reading.json_schema and model.json_schema is False)
        or (reading.reasoning and model.reasoning is False)
        or (model.context_window is not None and tokens * MARGIN + limit > model.context_window)
        or (model.max_output is not None and limit > model.max_output)
    )
