"""The rarer changes an operator makes: keys that change and rotate, providers that go, abilities that are filled in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from app.store.database import Database

#: What a model can do, in the order of `router.fill_model`; each is a column of `router.models`.
ABILITIES = (
    "context_window", "max_output", "tools", "parallel_tools", "vision", "audio", "json_schema", "reasoning",
)  # fmt: skip


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


async def delete_provider(db: Database, name: str) -> bool:
    """Delete a provider; False when there is none of that name. asyncpg's ForeignKeyViolationError: it has models."""
    return bool((await db.fetch("select router.delete_provider($1)", name))[0][0])


async def fill_model(db: Database, name: str, abilities: Mapping[str, Any], *, force: bool = False) -> bool:
    """Fill in what is unknown of a model's abilities, with `force` also what is known; whether anything changed."""
    rows = await db.fetch(
        "select router.fill_model($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        name,
        *(abilities.get(ability) for ability in ABILITIES),
        force,
    )
    return bool(rows[0][0])
