"""Tenants: find them by name; create them with their first policy and key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..entities import Tenant
from ..errors import NotFound
from ..store import models as stored_models
from ..store import policies as stored_policies
from ..store import tenants as stored_tenants
from ..store.database import Database
from ..store.policy_changes import ChangedBy
from .keys import new_key
from .policy_defaults import choose, policy_defaults


async def tenant_of(db: Database, name: str) -> Tenant:
    """The tenant of this name. Raises `NotFound`."""
    found = await stored_tenants.list_tenants(db, name)
    if not found:
        raise NotFound(f"There is no tenant {name!r}; `pgrouter tenant list` lists the tenants.", param="tenant")
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
    by: ChangedBy = "cli",
) -> dict[str, Any]:
    """Create a tenant with a key, and with policy `auto` if a model has a price; if one part fails, nothing is created.

    Default of `candidates`: those of ROUTER_CANDIDATES, else chosen by price. Returns `tenant`, `tenant_id`, `policy`
    (None: no model has a price) and `api_key`. Raises `ConfigurationError` for a model that does not exist,
    `RowConflict` when the name is taken.
    """
    defaults = policy_defaults()
    # Checked first, so that a misspelt model name leaves no tenant behind.
    chosen = choose(await stored_models.models(db), candidates or defaults.candidates, default)
    tenant_id = await stored_tenants.create_tenant(
        db, name, memory_cap=memory_cap, store_prompts=store_prompts, route_explicit=route_explicit
    )
    try:
        if chosen is not None:
            await stored_policies.put_policy(
                db,
                tenant_id,
                "auto",
                backend=defaults.backend,
                models=chosen[0],
                default=chosen[1],
                settings=defaults.settings,
                by=by,
            )
        key = await new_key(db, tenant_id, "made with the tenant") if with_key else None
    except BaseException:
        await stored_tenants.delete_tenant(db, tenant_id)
        raise
    policy = chosen and {"policy": "auto", "models": chosen[0], "default_model": chosen[1]}
    return {"tenant": name, "tenant_id": tenant_id, "policy": policy, "api_key": key and key["api_key"]}
