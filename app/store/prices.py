"""What a tenant pays for models, where that is not what everybody pays. Changing it needs the owner's rights."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from app.store.database import Database


async def prices(db: Database, tenant_id: int) -> list[Mapping[str, Any]]:
    """What a tenant pays for each enabled model, as rows of `router.prices`: USD per million tokens, date, origin."""
    return await db.read("select * from router.prices($1)", tenant_id)


async def put_price(
    db: Database,
    tenant_id: int,
    model: str,
    *,
    input_price: float,
    cached_input_price: float | None,
    output_price: float,
    priced_on: date,
) -> bool:
    """Let a tenant pay these instead of the model's own prices; whether it had none. `BadRequest`: no such model."""
    rows = await db.fetch(
        "select router.put_price($1, $2, $3, $4, $5, $6)",
        tenant_id,
        model,
        input_price,
        cached_input_price,
        output_price,
        priced_on,
    )
    return bool(rows[0][0])


async def drop_price(db: Database, tenant_id: int, model: str) -> bool:
    """Let a tenant pay the model's own prices again; False when it did.

    `BadRequest` for an unknown model, `Conflict` where the model has none of its own and a policy weighs its cost.
    """
    return bool((await db.fetch("select router.drop_price($1, $2)", tenant_id, model))[0][0])
