"""Tenants: found by name, made with their first policy and key, and changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.entities import Tenant
from app.errors import NotFound
from app.operations.keys import new_key
from app.operations.policy_defaults import choose, policy_defaults
from app.store import models, policies, tenants
from app.store.database import Database


async def tenant_of(db: Database, name: str) -> Tenant:
    """The tenant of that name. Raises `NotFound`."""
    found = await tenants.tenants(db, name)
    if not found:
        raise NotFound(f"There is no tenant {name!r}; `pgrouter tenant list` shows them.", param="tenant")
    return found[0]


async def create(
    db: Database,
    name: str,
    *,
    memory_cap: int = 5000,
    store_prompts: bool = True,
    route_explicit: bool = False,
    candidates: Sequence[str] = (),
    default: str | None = None,
    with_key: bool = True,
) -> dict[str, Any]:
    """A tenant with policy `auto`, unless no model has a price, and a key: all of it, or nothing is made.

    Without `candidates` they are those of ROUTER_CANDIDATES, else chosen by price. Returns `tenant`, `tenant_id`,
    `policy` (None: there is none) and `api_key`. Raises `ConfigurationError` for a model that does not exist,
    `RowConflict` when the name is taken.
    """
    defaults = policy_defaults()
    # Before anything is made, so that a misspelt model leaves no tenant behind.
    chosen = choose(await models.models(db), candidates or defaults.candidates, default)
    tenant_id = await tenants.create_tenant(
        db, name, memory_cap=memory_cap, store_prompts=store_prompts, route_explicit=route_explicit
    )
    try:
        if chosen is not None:
            await policies.put_policy(
                db,
                tenant_id,
                "auto",
                backend=defaults.backend,
                models=chosen[0],
                default=chosen[1],
                settings=defaults.settings,
            )
        key = await new_key(db, tenant_id, "made with the tenant") if with_key else None
    except BaseException:
        await tenants.delete_tenant(db, tenant_id)
        raise
    policy = chosen and {"policy": "auto", "models": chosen[0], "default_model": chosen[1]}
    return {"tenant": name, "tenant_id": tenant_id, "policy": policy, "api_key": key and key["api_key"]}
