"""Candidates of a request: the models that its caller may use, and whether each can serve it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..catalog import Catalog
from ..dialects import Dialect, ParsedRequest
from ..entities import Caller, Model, Policy
from ..errors import BadRequest, Forbidden

#: Factor by which an estimate of tokens may be too low before a context window overflows.
MARGIN = 1.2


@dataclass(frozen=True, slots=True)
class Candidates:
    """The models of a policy that may serve a request.

    `models`: the policy's default first, if the caller may use it; `complete`: whether these are all enabled models of
    the policy; `holder`: the model whose provider keeps the answer that the request continues, None: there is none.
    """

    policy: Policy
    models: Sequence[Model]
    complete: bool = True
    holder: Model | None = None


def policy_models(policy: Policy, default: Model, catalog: Catalog) -> list[Model]:
    """Return the enabled models of a policy, `default` first."""
    others = (catalog.by_id.get(model_id) for model_id in policy.models if model_id != default.model_id)
    return [default, *(model for model in others if model is not None)]


def same_provider(model: Model, models: Sequence[Model], caller: Caller) -> list[Model]:
    """Return those of `models` that the provider of `model` serves, else `model` alone.

    Only that provider can continue from an answer that it keeps. Raises `Forbidden` as `require_allowed` does.
    """
    return [each for each in models if each.provider is model.provider] or [require_allowed(model, caller)]


def supporting(models: Sequence[Model], dialect: Dialect, policy: Policy) -> list[Model]:
    """Return those of `models` whose provider supports the API. Raises `BadRequest` if there are none."""
    found = [model for model in models if dialect.name in model.provider.speaks]
    if not found:
        raise BadRequest(
            f"No candidate of policy {policy.name!r} has a provider that supports {dialect.path}.", param="model"
        )
    return found


def may_use(caller: Caller, model: Model) -> bool:
    """Return whether the caller's key allows a model."""
    return caller.allowed_models is None or model.model_id in caller.allowed_models


def require_allowed(model: Model, caller: Caller) -> Model:
    """Return `model`. Raises `Forbidden` if the caller's key does not allow it."""
    if not may_use(caller, model):
        raise Forbidden(f"This key may not use the model {model.name!r}.", param="model")
    return model


def named(name: str, caller: Caller, catalog: Catalog, dialect: Dialect) -> Model:
    """Return the model that a request names.

    Raises `NotFound` for an unknown name, and `BadRequest` if its provider does not support the API. On a path that
    costs nothing the name may be a policy's: then it is the first of its models that the API and the key allow.
    """
    policy = caller.policies.get(name)
    if policy is not None and not dialect.billed:
        numbers = (policy.default_model, *policy.models)
        found = [catalog.by_id[number] for number in numbers if number in catalog.by_id]
        return supporting([model for model in found if may_use(caller, model)] or found, dialect, policy)[0]
    if policy is not None and catalog.find(name) is None:
        raise BadRequest(f"{dialect.path} is not routed: name a model, not the policy {name!r}.", param="model")
    model = catalog.get(name)
    if dialect.name not in model.provider.speaks:
        raise BadRequest(
            f"The provider {model.provider.name!r} of {name!r} does not support {dialect.path}. If it does, add it "
            "to `speaks` of the provider.",
            param="model",
        )
    return model


def can_serve(model: Model, dialect: Dialect, parsed: ParsedRequest, tokens: int) -> bool:
    """Return whether `model` can serve a request of so many prompt tokens.

    An unknown capability counts as supported: the provider rejects the request if it is not.
    """
    limit = (parsed.limit or 0) // parsed.answers
    return not (
        dialect.name not in model.provider.speaks
        or (parsed.tools and model.tools is False)
        or (parsed.parallel_tools and model.parallel_tools is False)
        or (parsed.vision and model.vision is False)
        or (parsed.audio and model.audio is False)
        or (parsed.json_schema and model.json_schema is False)
        or (parsed.reasoning and model.reasoning is False)
        or (model.context_window is not None and tokens * MARGIN + limit > model.context_window)
        or (model.max_output is not None and limit > model.max_output)
    )
