"""Usage of tenants: requests, tokens and USD by key, model, policy, day and task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from .database import Database

#: Columns to group usage by.
DIMENSIONS = ("key", "model", "policy", "day", "task")


async def usage(
    db: Database, tenant_id: int, since: datetime, until: datetime, by: Sequence[str] = ()
) -> list[Mapping[str, Any]]:
    """Return the usage of a tenant from `since` to before `until`, grouped by `by` (of `DIMENSIONS`)."""
    return await db.read("select * from router.usage($1, $2, $3, $4)", tenant_id, since, until, list(by), timeout=60)


async def usages(db: Database, since: datetime, until: datetime, by: Sequence[str] = ()) -> list[Mapping[str, Any]]:
    """Return the usage of every tenant; each row has its `tenant`. Requires the owner's rights."""
    return await db.fetch("select * from router.usages($1, $2, $3)", since, until, list(by), timeout=600)
