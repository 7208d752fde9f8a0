"""Providers: lists, puts and deletes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..entities import Provider
from .database import Database


async def providers(db: Database) -> list[Provider]:
    """Return every provider, ordered by name."""
    return [
        Provider(row["name"], row["base_url"], row["key_variable"], frozenset(row["speaks"]), row["key_header"])
        for row in await db.read_newest("select * from router.list_providers()")
    ]


async def put_provider(
    db: Database,
    name: str,
    base_url: str,
    key_variable: str | None,
    *,
    speaks: Sequence[str] | None = None,
    key_header: str | None = None,
) -> int:
    """Add or change a provider; return its number. None keeps its supported APIs, or the header of its key."""
    rows = await db.fetch(
        "select router.put_provider($1, $2, $3, $4, $5)", name, base_url, key_variable, speaks, key_header
    )
    return int(rows[0][0])


async def delete_provider(db: Database, name: str) -> bool:
    """Delete a provider; False if there is none. Raises asyncpg's ForeignKeyViolationError if it has models."""
    return bool((await db.fetch("select router.delete_provider($1)", name))[0][0])


async def list_providers(db: Database) -> list[Mapping[str, Any]]:
    """Return the rows of every provider, ordered by name."""
    return await db.fetch("select * from router.list_providers()")
