"""The history of policies: lists changes and undoes them."""

from __future__ import annotations

from typing import Any, Literal

import orjson

from .database import Database

#: Who changed a policy, if no tenant's key did.
ChangedBy = Literal["admin", "cli"]


def changed_by(by: ChangedBy | int) -> tuple[str | None, int | None]:
    """Return the arguments `p_by` and `p_key`; a number is that of a tenant's key."""
    return (None, by) if isinstance(by, int) else (by, None)


async def list_policy_changes(
    db: Database, tenant_id: int, policy_id: int | None, *, limit: int
) -> list[dict[str, Any]]:
    """Return the changes of a policy (None: of every one), newest first, as rows of `router.list_policy_changes`."""
    rows = await db.fetch("select * from router.list_policy_changes($1, $2, $3)", tenant_id, policy_id, limit)
    return [
        {**row, **{name: row[name] and orjson.loads(row[name]) for name in ("old_settings", "new_settings")}}
        for row in rows
    ]


async def undo_policy_change(
    db: Database, tenant_id: int, policy_id: int | None, change_id: int, *, force: bool, by: ChangedBy | int
) -> int:
    """Undo a change of a policy (None: of whichever it is); return the number of the new change.

    Raises `NotFound` for an unknown change, `Conflict` if the policy has changed since and `force` is not given, or if
    there is nothing to undo, and `OperatorOnly` if the key of a tenant (`by`: its number) may not undo it.
    """
    rows = await db.fetch(
        "select router.undo_policy_change($1, $2, $3, $4, $5, $6)",
        tenant_id,
        change_id,
        force,
        *changed_by(by),
        policy_id,
    )
    return int(rows[0][0])
