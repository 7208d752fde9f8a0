"""API keys, stored as hashes: creates, changes, rotates, revokes, lists and authenticates them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Literal

from ..entities import Caller, Space
from .database import Database
from .policies import policies


async def create_key(
    db: Database,
    tenant_id: int,
    key_hash: bytes,
    hint: str,
    name: str = "",
    expires_at: datetime | None = None,
    models: Sequence[str] | None = None,
    scopes: Sequence[str] | None = None,
) -> int:
    """Store the SHA-256 of a new key; return its number. `models`: the models it may use, None: all.

    `scopes`: what it may do, None: everything, or with `models` all but `manage`.
    """
    rows = await db.fetch(
        "select router.create_key($1, $2, $3, $4, $5, $6, $7)",
        tenant_id,
        key_hash,
        hint,
        name,
        expires_at,
        models,
        scopes,
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
    scopes: Sequence[str] | None = None,
) -> bool:
    """Change the values that are not None; return False if there is no such key.

    `expires_at` "infinity": never; empty `models`: all; empty `scopes`: those of a key without scopes of its own.
    Raises `BadRequest` for an unknown model or scope.
    """
    # asyncpg encodes datetime.max as infinity.
    until = datetime.max.replace(tzinfo=UTC) if expires_at == "infinity" else expires_at
    rows = await db.fetch(
        "select router.change_key($1, $2, $3, $4, $5, $6)", tenant_id, key_id, name, until, models, scopes
    )
    return bool(rows[0][0])


async def rotate_key(
    db: Database, tenant_id: int, key_id: int, key_hash: bytes, hint: str, until: datetime | None = None
) -> int | None:
    """Replace a key, which stays valid until `until` (None: becomes invalid now); return the new key's number.

    Return None if the tenant has no such key, or if it is revoked or expired.
    """
    rows = await db.fetch("select router.rotate_key($1, $2, $3, $4, $5)", tenant_id, key_id, key_hash, hint, until)
    return None if rows[0][0] is None else int(rows[0][0])


async def revoke_key(db: Database, tenant_id: int, key_id: int) -> bool:
    """Revoke a key; False if the tenant has none with that number."""
    return bool((await db.fetch("select router.revoke_key($1, $2)", tenant_id, key_id))[0][0])


async def list_keys(db: Database, tenant_id: int) -> list[Mapping[str, Any]]:
    """Return the keys of a tenant, including revoked ones, without their hashes."""
    return await db.fetch("select * from router.list_keys($1)", tenant_id)


async def authenticate(db: Database, key_hash: bytes) -> Caller | None:
    """Return the caller of a key's SHA-256; None if it is unknown, revoked or expired. Takes two round trips."""
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
        scopes=frozenset(row["scopes"]),
    )
