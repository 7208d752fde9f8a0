"""Models: lists, puts and updates them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

import orjson

from ..entities import CAPABILITIES, Model, Provider
from .database import Database
from .providers import providers


async def models(db: Database) -> list[Model]:
    """Return every enabled model, ordered by name."""
    return [model for model in await labelled_models(db) if model.enabled]


async def labelled_models(db: Database, known: Iterable[Provider] | None = None) -> list[Model]:
    """Return every model, ordered by name, including disabled ones. `known`: all providers, None: read them first."""
    by_name = {provider.name: provider for provider in (await providers(db) if known is None else known)}
    rows = await db.read_newest("select * from router.catalogue()")
    return [
        Model(**{**row, "provider": by_name[row["provider"]], "settings": orjson.loads(row["settings"])})
        for row in rows
        if row["provider"] in by_name
    ]


async def put_model(
    db: Database,
    name: str,
    provider: str,
    *,
    upstream_name: str | None = None,
    input_price: float | None = None,
    cached_input_price: float | None = None,
    output_price: float | None = None,
    priced_on: date | None = None,
    context_window: int | None = None,
    tools: bool | None = None,
    vision: bool | None = None,
    json_schema: bool | None = None,
    enabled: bool = True,
    parallel_tools: bool | None = None,
    audio: bool | None = None,
    reasoning: bool | None = None,
    max_output: int | None = None,
    settings: Mapping[str, Any] | None = None,
    upstream_price: bool = False,
) -> int:
    """Add or change a model; return its number. None keeps a value.

    `settings` replace all that there are; `upstream_price`: the model has no prices of its own any more. Raises
    `BadRequest` for an unknown provider.
    """
    rows = await db.fetch(
        "select router.put_model($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
        name,
        provider,
        upstream_name or name,
        input_price,
        cached_input_price,
        output_price,
        priced_on,
        context_window,
        tools,
        vision,
        json_schema,
        enabled,
        parallel_tools,
        audio,
        reasoning,
        max_output,
        None if settings is None else orjson.dumps(settings).decode(),
        upstream_price,
    )
    return int(rows[0][0])


async def fill_model(db: Database, name: str, capabilities: Mapping[str, Any], *, force: bool = False) -> bool:
    """Set unknown capabilities of a model, with `force` also known ones; return whether any changed."""
    rows = await db.fetch(
        "select router.fill_model($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        name,
        *(capabilities.get(capability) for capability in CAPABILITIES),
        force,
    )
    return bool(rows[0][0])


async def list_models(db: Database) -> list[Mapping[str, Any]]:
    """Return every model, ordered by name, including disabled ones."""
    rows = await db.fetch("select * from router.list_models()")
    return [{**row, "settings": orjson.loads(row["settings"])} for row in rows]
