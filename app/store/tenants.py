"""Who may ask for what: tenants, their policies, who reads them; and the commands that change these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from app.entities import POLICY_SETTINGS, Caller, Policy, Space, Tenant
from app.store.database import Database


async def authenticate(db: Database, key_hash: bytes) -> Caller | None:
    """The caller of a key's SHA-256, or None for a key that is unknown, revoked or expired. Two round trips."""
    rows = await db.read_newest("select * from router.authenticate($1)", key_hash)
    if not rows:
        return None
    row = rows[0]
    found = await policies(db, row["tenant_id"])
    return Caller(
        tenant_id=row["tenant_id"],
        tenant=row["tenant"],
        key_id=row["key_id"],
        expires_at=row["expires_at"],
        route_explicit=row["route_explicit"],
        policies=MappingProxyType({policy.name: policy for policy in found}),
        space=None if row["space_id"] is None else Space(row["space_id"], row["space"]),
        next_space=None if row["next_space_id"] is None else Space(row["next_space_id"], row["next_space"]),
        default_provider=row["default_provider"],
        allowed_models=None if row["allowed_models"] is None else frozenset(row["allowed_models"]),
        metered=row["metered"],
    )


async def policies(db: Database, tenant_id: int) -> list[Policy]:
    """The policies of a tenant by name."""
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


async def create_tenant(
    db: Database, name: str, *, memory_cap: int = 5000, store_prompts: bool = True, route_explicit: bool = False
) -> int:
    """Make a tenant; returns its number. Raises asyncpg's UniqueViolationError when the name is taken."""
    rows = await db.fetch(
        "select router.create_tenant($1, $2, $3, $4)", name, memory_cap, store_prompts, route_explicit
    )
    return int(rows[0][0])


async def change_tenant(
    db: Database,
    tenant_id: int,
    *,
    memory_cap: int | None = None,
    store_prompts: bool | None = None,
    route_explicit: bool | None = None,
    shared: bool | None = None,
    base: int | None = None,
    default_provider: str | None = None,
) -> bool:
    """Change what is not None; `store_prompts` False erases the stored ones. False when there is no such tenant.

    `base`: the shared tenant whose memory it leans on, 0: none; `default_provider`: its name, '': none. Raises
    `BadRequest` when that tenant shares none, or there is no such provider.
    """
    rows = await db.fetch(
        "select router.change_tenant($1, $2, $3, $4, $5, $6, $7)",
        tenant_id,
        memory_cap,
        store_prompts,
        route_explicit,
        shared,
        base,
        default_provider,
        timeout=600,
    )
    return bool(rows[0][0])


async def delete_tenant(db: Database, tenant_id: int) -> bool:
    """Delete a tenant with everything it has; False when there is none of that number."""
    return bool((await db.fetch("select router.delete_tenant($1)", tenant_id, timeout=600))[0][0])


async def grant_tenant(db: Database, role: str, tenant_id: int | None) -> bool:
    """Let a role of Postgres read a tenant, None: every tenant; False when it could already.

    Makes it a member of `router_reader`. `BadRequest` for a role that does not exist or that no grant limits.
    """
    return bool((await db.fetch("select router.grant_tenant($1, $2)", role, tenant_id))[0][0])


async def revoke_tenant(db: Database, role: str, tenant_id: int | None) -> int:
    """Take a tenant from a reader, None: all it was granted; returns how many grants that were."""
    return int((await db.fetch("select router.revoke_tenant($1, $2)", role, tenant_id))[0][0])


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
) -> int:
    """Add or change a policy; returns its number. `BadRequest` for an unknown model, or one without a price."""
    rows = await db.fetch(
        "select router.put_policy($1, $2, $3, $4, $5, $6, $7)",
        tenant_id,
        name,
        backend,
        default,
        list(models),
        weights,
        tuple(settings.get(setting) for setting in POLICY_SETTINGS),
    )
    return int(rows[0][0])


async def delete_policy(db: Database, tenant_id: int, name: str) -> bool:
    """Delete a policy; False when the tenant has none of that name."""
    return bool((await db.fetch("select router.delete_policy($1, $2)", tenant_id, name))[0][0])


# What there is, for the command line: rows as the functions of `sql/` give them. All need the owner's rights.


async def tenants(db: Database, name: str | None = None) -> list[Tenant]:
    """Every tenant by name, or the one of that name."""
    return [Tenant(**row) for row in await db.fetch("select * from router.tenancies($1)", name, timeout=30)]


async def readers(db: Database) -> list[Mapping[str, Any]]:
    """Every reader by name, with the tenants it was granted."""
    return await db.fetch("select * from router.readers()")


async def settings(db: Database, tenant_id: int) -> list[Mapping[str, Any]]:
    """The policies of a tenant with every setting, and their candidates with weights."""
    return await db.fetch("select * from router.settings($1)", tenant_id)
