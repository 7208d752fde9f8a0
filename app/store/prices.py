"""Prices of a tenant that differ from list prices; changing them requires the owner's rights."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from .database import Database


async def prices(db: Database, tenant_id: int) -> list[Mapping[str, Any]]:
    """Return a tenant's prices (USD per million tokens, date, origin) of enabled models, rows of `router.prices`."""
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
    """Set a tenant's prices of a model; return whether it had none. Raises `BadRequest` for an unknown model."""
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
    """Delete a tenant's prices of a model, so that list prices apply; False if it has none.

    Raises `BadRequest` for an unknown model, `Conflict` if the model has no list price and a policy needs its cost.
    """
    return bool((await db.fetch("select router.drop_price($1, $2)", tenant_id, model))[0][0])
