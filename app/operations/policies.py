"""Policies: add and change them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import BadRequest, ConfigurationError
from ..store import models as stored_models
from ..store import policies as stored_policies
from ..store.database import Database
from ..store.policy_changes import ChangedBy
from .policy_defaults import choose, policy_defaults


async def put(
    db: Database,
    tenant_id: int,
    name: str,
    *,
    backend: str | None = None,
    default: str | None = None,
    models: Sequence[str] | None = None,
    weights: Sequence[float] | None = None,
    settings: Mapping[str, Any],
    by: ChangedBy = "cli",
) -> list[str]:
    """Add a policy, or change one: None keeps a value, or for a new policy takes it from ROUTER_* and the prices.

    Candidates that are disabled are removed; the returned notes name them. Raises `BadRequest` naming the field,
    `ConfigurationError` for a model that does not exist, or if no model has a price.
    """
    notes = []
    known = next((row for row in await stored_policies.list_policies(db, tenant_id) if row["name"] == name), None)
    put: dict[str, Any]
    if known is None:
        defaults = policy_defaults()
        chosen = choose(await stored_models.models(db), models or defaults.candidates, default)
        if chosen is None:
            raise ConfigurationError("No model has a price: add models with `pgrouter model add` first.")
        put = {"backend": defaults.backend, "models": chosen[0], "default": chosen[1], "weights": None}
        put["settings"] = {**defaults.settings, **settings}
    else:
        enabled = {model.name for model in await stored_models.models(db)}
        kept = [pair for pair in zip(known["models"], known["weights"], strict=True) if pair[0] in enabled]
        if models is None and len(kept) < len(known["models"]):
            gone = ", ".join(sorted(set(known["models"]) - enabled))
            notes.append(f"{gone}: disabled, and removed from the candidates of {name}.")
        put = {"backend": known["backend"], "default": default or known["default_model"], "settings": settings}
        put["models"] = list(models) if models else [model for model, _ in kept]
        put["weights"] = None if models else [weight for _, weight in kept]
    if backend is not None:
        put["backend"] = backend
    if weights is not None:
        put["weights"] = list(weights)
    if put["weights"] is not None and len(put["weights"]) != len(put["models"]):
        count, models_of = len(put["weights"]), ", ".join(put["models"])
        raise BadRequest(f"{count} weights, but {len(put['models'])} models: {models_of}", param="weights")
    await stored_policies.put_policy(db, tenant_id, name, by=by, **put)
    return notes
