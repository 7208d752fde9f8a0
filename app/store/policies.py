"""Policies: lists, puts and deletes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from ..entities import Policy
from ..errors import NotFound
from ..policy_settings import POLICY_SETTINGS
from .database import Database
from .policy_changes import ChangedBy


async def policies(db: Database, tenant_id: int) -> list[Policy]:
    """Return the policies of a tenant, ordered by name."""
    rows = await db.read_newest("select * from router.candidates($1)", tenant_id)
    return [
        Policy(
            policy_id=row["policy_id"],
            name=row["policy"],
            backend=row["backend"],
            granularity=row["granularity"],
            default_model=row["default_model"],
            models=tuple(row["models"]),
        )
        for row in rows
    ]


async def put_policy(
    db: Database,
    tenant_id: int,
    name: str,
    *,
    backend: str,
    default: str,
    models: Sequence[str],
    weights: Sequence[float] | None = None,
    settings: Mapping[str, Any] = MappingProxyType({}),
    by: ChangedBy = "cli",
) -> int:
    """Add or change a policy; return its number. `by`: who changes it, for its history.

    Raises `BadRequest` for a model that is unknown or has no price.
    """
    rows = await db.fetch(
        "select router.put_policy($1, $2, $3, $4, $5, $6, $7, $8)",
        tenant_id,
        name,
        backend,
        default,
        list(models),
        weights,
        tuple(settings.get(setting) for setting in POLICY_SETTINGS),
        by,
    )
    return int(rows[0][0])


async def delete_policy(db: Database, tenant_id: int, name: str) -> bool:
    """Delete a policy; False if the tenant has none of that name."""
    return bool((await db.fetch("select router.delete_policy($1, $2)", tenant_id, name))[0][0])


async def list_policies(db: Database, tenant_id: int) -> list[Mapping[str, Any]]:
    """Return the policies of a tenant with all settings, and their candidates with weights."""
    return await db.fetch("select * from router.list_policies($1)", tenant_id)


async def settings_of(db: Database, tenant_id: int, policy_id: int) -> Mapping[str, Any]:
    """Return one policy of a tenant as `list_policies` does. Raises `NotFound` if it was deleted."""
    for row in await list_policies(db, tenant_id):
        if row["policy_id"] == policy_id:
            return row
    raise NotFound("The policy was deleted meanwhile.", param="policy")
