"""Tenants: lists, creates, changes and deletes them."""

from __future__ import annotations

from ..entities import Tenant
from .database import Database


async def create_tenant(
    db: Database, name: str, *, memory_cap: int = 5000, store_prompts: bool = True, route_explicit: bool = False
) -> int:
    """Create a tenant; return its number. Raises asyncpg's UniqueViolationError if the name is in use."""
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
    """Change the settings that are not None; return False if there is no such tenant.

    `store_prompts` False also deletes stored prompts. `base`: the tenant whose shared memory it uses, 0: none.
    `default_provider`: name, '': none. Raises `BadRequest` if the base is not shared or the provider is unknown.
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
    """Delete a tenant with all its data; False if there is none with that number."""
    return bool((await db.fetch("select router.delete_tenant($1)", tenant_id, timeout=600))[0][0])


async def list_tenants(db: Database, name: str | None = None) -> list[Tenant]:
    """Return every tenant, ordered by name, or the one called `name`. Requires the owner's rights."""
    return [Tenant(**row) for row in await db.fetch("select * from router.list_tenants($1)", name, timeout=30)]
