"""Usage in the database: requests, tokens and USD of tenants by key, model, policy, day and task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from app.store.database import Database

#: What usage can be shown by.
DIMENSIONS = ("key", "model", "policy", "day", "task")


async def usage(
    db: Database, tenant_id: int, since: datetime, until: datetime, by: Sequence[str] = ()
) -> list[Mapping[str, Any]]:
    """What a tenant used from `since` until before `until`, a row for each of what it is shown by (`DIMENSIONS`)."""
    return await db.read("select * from router.usage($1, $2, $3, $4)", tenant_id, since, until, list(by), timeout=60)


async def usages(db: Database, since: datetime, until: datetime, by: Sequence[str] = ()) -> list[Mapping[str, Any]]:
    """The same for every tenant, each row with its `tenant`. Needs the owner's rights."""
    return await db.fetch("select * from router.usages($1, $2, $3)", since, until, list(by), timeout=600)
