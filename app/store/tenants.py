"""Who may ask for what: tenants, their policies, who reads them; and the commands that change these."""

from __future__ import annotations

from app.entities import Tenant
from app.store.database import Database


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


# What there is, for the command line: rows as the functions of `sql/` give them. All need the owner's rights.


async def tenants(db: Database, name: str | None = None) -> list[Tenant]:
    """Every tenant by name, or the one of that name."""
    return [Tenant(**row) for row in await db.fetch("select * from router.list_tenants($1)", name, timeout=30)]
