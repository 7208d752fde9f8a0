"""Postgres roles that may read a tenant's rows: grant, revoke and list them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.store.database import Database


async def grant_tenant(db: Database, role: str, tenant_id: int | None) -> bool:
    """Let a role of Postgres read a tenant, None: every tenant; False when it could already.

    Makes it a member of `router_reader`. `BadRequest` for a role that does not exist or that no grant limits.
    """
    return bool((await db.fetch("select router.grant_tenant($1, $2)", role, tenant_id))[0][0])


async def revoke_tenant(db: Database, role: str, tenant_id: int | None) -> int:
    """Take a tenant from a reader, None: all it was granted; returns how many grants that were."""
    return int((await db.fetch("select router.revoke_tenant($1, $2)", role, tenant_id))[0][0])


async def readers(db: Database) -> list[Mapping[str, Any]]:
    """Every reader by name, with the tenants it was granted."""
    return await db.fetch("select * from router.list_readers()")
