"""API keys as the database has them, by their hashes: made, changed, put in the place of another, and refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Literal

from app.entities import Caller, Space
from app.store.database import Database
from app.store.policies import policies


async def create_key(
    db: Database,
    tenant_id: int,
    key_hash: bytes,
    hint: str,
    name: str = "",
    expires_at: datetime | None = None,
    models: Sequence[str] | None = None,
) -> int:
    """Store the SHA-256 of a new key; returns the key's number. `models` alone may serve it, None: all."""
    rows = await db.fetch(
        "select router.create_key($1, $2, $3, $4, $5, $6)", tenant_id, key_hash, hint, name, expires_at, models
    )
    return int(rows[0][0])


async def change_key(
    db: Database,
    tenant_id: int,
    key_id: int,
    *,
    name: str | None = None,
    expires_at: datetime | Literal["infinity"] | None = None,
    models: Sequence[str] | None = None,
) -> bool:
    """Change what is not None: `expires_at` "infinity" is never, no `models` are all. False when there is no such key.

    Raises `BadRequest` for a model that does not exist.
    """
    # The driver writes the last moment it can as infinity.
    until = datetime.max.replace(tzinfo=UTC) if expires_at == "infinity" else expires_at
    rows = await db.fetch("select router.change_key($1, $2, $3, $4, $5)", tenant_id, key_id, name, until, models)
    return bool(rows[0][0])


async def rotate_key(
    db: Database, tenant_id: int, key_id: int, key_hash: bytes, hint: str, until: datetime | None = None
) -> int | None:
    """Put a new key in the place of one, which is refused from `until` on, None: at once; the new key's number.

    None when the tenant has no such key, or it is revoked or expired.
    """
    rows = await db.fetch("select router.rotate_key($1, $2, $3, $4, $5)", tenant_id, key_id, key_hash, hint, until)
    return None if rows[0][0] is None else int(rows[0][0])


async def revoke_key(db: Database, tenant_id: int, key_id: int) -> bool:
    """Refuse a key from now on; False when the tenant has none of that number."""
    return bool((await db.fetch("select router.revoke_key($1, $2)", tenant_id, key_id))[0][0])


async def credentials(db: Database, tenant_id: int) -> list[Mapping[str, Any]]:
    """The keys of a tenant, revoked ones too; never their hashes."""
    return await db.fetch("select * from router.list_keys($1)", tenant_id)


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
