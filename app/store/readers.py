"""Readers, Postgres roles that may read a tenant's rows: grants, revokes and lists them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .database import Database


async def grant_tenant(db: Database, role: str, tenant_id: int | None) -> bool:
    """Grant a role of Postgres the right to read a tenant (None: every tenant); False if it had it already.

    Makes the role a member of `router_reader`. Raises `BadRequest` for a role that does not exist or that may read
    everything anyway.
    """
    return bool((await db.fetch("select router.grant_tenant($1, $2)", role, tenant_id))[0][0])


async def revoke_tenant(db: Database, role: str, tenant_id: int | None) -> int:
    """Revoke a reader's grant for a tenant (None: all its grants); return how many were revoked."""
    return int((await db.fetch("select router.revoke_tenant($1, $2)", role, tenant_id))[0][0])


async def list_readers(db: Database) -> list[Mapping[str, Any]]:
    """Return every reader with the tenants it may read, ordered by name."""
    return await db.fetch("select * from router.list_readers()")
