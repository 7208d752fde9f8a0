"""Models: add them, with list prices if none are given; enable and disable them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ..errors import BadRequest, ConfigurationError, Conflict, NotFound
from ..store import models as stored_models
from ..store import policies as stored_policies
from ..store import tenants as stored_tenants
from ..store.database import Database
from . import providers

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Put:
    """A model as it is now, a row of `router.list_models`, and notes about the change for the operator."""

    row: Row
    notes: tuple[str, ...] = ()


async def put(
    db: Database,
    name: str,
    provider: str | None,
    upstream_name: str | None,
    given: Mapping[str, Any],
    *,
    cache_share: float | None = None,
    enabled: bool | None = True,
) -> Put:
    """Add a model, or change one: None keeps a value; unknown prices come from genai-prices.

    `given`: prices in USD per million tokens and capabilities, by column; `cache_share`: the price of cached tokens as
    a share of the input price; `enabled` None keeps that value too. Raises `BadRequest` naming the field.
    """
    # Importing the prices takes longer than most commands run.
    from . import list_prices

    given, notes = dict(given), []
    known = await find(db, name)
    if provider is None:
        if known is None:
            raise BadRequest("a new model needs a provider", param="provider")
        provider = str(known["provider"])
    upstream_name = upstream_name or (known["upstream_name"] if known is not None else name)
    found_provider = await providers.find(db, provider)
    if found_provider is None:
        raise BadRequest(
            f"There is no provider {provider!r}: run `pgrouter provider add {provider} --base-url …` first.",
            param="provider",
        )
    now = datetime.now(UTC)
    moved = known is not None and (known["provider"], known["upstream_name"]) != (provider, upstream_name)
    unpriced = known is None or moved or known["input_price"] is None or known["output_price"] is None
    price = list_prices.lookup(upstream_name, provider, found_provider["base_url"], now=now) if unpriced else None
    own = given.get("input_price") is not None or given.get("output_price") is not None
    paid_in = given.get("input_price")
    if paid_in is None:
        paid_in = price.input if price is not None else None if known is None else known["input_price"]
    if cache_share is not None:
        given["cached_input_price"] = share_of(cache_share, paid_in)
    if price is not None:
        filled: dict[str, Any] = {"output_price": price.output, "context_window": price.context_window}
        if given.get("input_price") is None:
            # A list price for cached tokens does not apply beside an input price of the operator's.
            filled |= {"input_price": price.input, "cached_input_price": price.cached_input}
        given |= {field: value for field, value in filled.items() if given.get(field) is None}
        if price.dearer_from is not None and not own:
            notes.append(
                f"{name} costs more from {price.dearer_from} prompt tokens on; the lower price is used for all."
            )
    dated = now.date() if own else price and price.on
    if enabled is None:
        enabled = known is None or bool(known["enabled"])
    if not enabled and known is not None and known["enabled"]:
        await _may_be_disabled(db, name)
    await stored_models.put_model(
        db, name, provider, upstream_name=upstream_name, priced_on=dated, enabled=enabled, **given
    )
    return Put(await get(db, name), tuple(notes))


def share_of(share: float, paid_in: float | None) -> float:
    """The price of cached tokens, from their share of the input price. Raises `BadRequest` without an input price."""
    if paid_in is None:
        raise BadRequest("a share needs an input price: give it too", param="cache_share")
    # In binary, three times a tenth is more than 0.3.
    return round(share * paid_in, 12)


async def put_all(db: Database, known_as: str, provider: str) -> tuple[list[str], list[str]]:
    """Add every chat model of `known_as` with a known price; return the names of the models, and notes.

    Raises `ConfigurationError` if genai-prices has no provider `known_as`.
    """
    from . import list_prices

    try:
        found = list_prices.chat_models(known_as)
    except LookupError as error:
        raise ConfigurationError(f"{error}.") from None
    existing = {row["name"]: row for row in await stored_models.list_models(db)}
    added, notes = [], []
    for name, price in found.items():
        row = existing.get(name)
        if row is not None and row["provider"] != provider:
            notes.append(f"{name} is already served by {row['provider']}, which stays its provider.")
            continue
        await stored_models.put_model(
            db,
            name,
            provider,
            upstream_name=row["upstream_name"] if row is not None else name,
            input_price=price.input,
            cached_input_price=price.cached_input,
            output_price=price.output,
            priced_on=price.on,
            context_window=price.context_window,
            enabled=row is None or row["enabled"],
        )
        added.append(name)
    return added, notes


async def enable(db: Database, name: str, *, enabled: bool) -> None:
    """Enable or disable a model. Raises `NotFound`; `Conflict` for disabling a policy's default model."""
    row = await get(db, name)
    if not enabled:
        await _may_be_disabled(db, name)
    await stored_models.put_model(db, name, row["provider"], upstream_name=row["upstream_name"], enabled=enabled)


async def find(db: Database, name: str) -> Row | None:
    """The model of this name as a row of `router.list_models`, or None."""
    return next((row for row in await stored_models.list_models(db) if row["name"] == name), None)


async def get(db: Database, name: str) -> Row:
    """The model of this name as a row of `router.list_models`. Raises `NotFound`."""
    row = await find(db, name)
    if row is None:
        raise NotFound(f"There is no model {name!r}; `pgrouter model list` lists the models.", param="model")
    return row


async def _may_be_disabled(db: Database, name: str) -> None:
    for tenant in await stored_tenants.list_tenants(db):
        for policy in await stored_policies.list_policies(db, tenant.tenant_id):
            if policy["default_model"] == name:
                raise Conflict(
                    f"{name} is the default model of policy {policy['name']} of tenant {tenant.name!r}: set another "
                    f"default first, `pgrouter policy put {tenant.name!r} {policy['name']} --default …`."
                )
