"""Models: add them, with list prices if none are given; enable and disable them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ..entities import CAPABILITIES
from ..errors import BadRequest, ConfigurationError, Conflict, NotFound
from ..store import models as stored_models
from ..store import policies as stored_policies
from ..store import tenants as stored_tenants
from ..store.database import Database
from . import model_prices, model_settings, providers

Row = Mapping[str, Any]
NO_SETTINGS: Mapping[str, Any] = MappingProxyType({})


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
    settings: Mapping[str, Any] | None = None,
    set_: Mapping[str, Any] = NO_SETTINGS,
    unset: Sequence[str] = (),
    upstream_price: bool = False,
) -> Put:
    """Add a model, or change one: None keeps a value.

    If the catalog has the upstream model, a new model has its provider, prices and capabilities; other unknown prices
    come from genai-prices. `given`: prices in USD per million tokens and capabilities, by column; `cache_share`: the
    price of cached tokens as a share of the input price; `enabled` None keeps that value too; `settings` replace those
    that the model has, `set_` and `unset` change single ones; `upstream_price`: remove the model's own prices, so that
    those of its upstream model apply. Raises `BadRequest` naming the field.
    """
    models = {row["name"]: row for row in await stored_models.list_models(db)}
    known = models.get(name)
    upstream_name = upstream_name or (known["upstream_name"] if known is not None else name)
    base = models.get(upstream_name) if upstream_name != name else None
    if provider is None:
        if known is None and base is None:
            raise BadRequest("a new model needs a provider", param="provider")
        provider = str((known or base or {})["provider"])
    found_provider = await providers.find(db, provider)
    if found_provider is None:
        raise BadRequest(
            f"There is no provider {provider!r}: run `pgrouter provider add {provider} --base-url …` first.",
            param="provider",
        )
    notes: tuple[str, ...] = ()
    if base is not None and base["provider"] != provider:
        base = None
    elif base is not None and base["upstream_name"] != upstream_name:
        # The provider is sent this name, and knows that model by another one.
        notes = (f"{base['provider']} serves {upstream_name} as {base['upstream_name']}: give --upstream-name that.",)
        base = None
    moved = known is not None and (known["provider"], known["upstream_name"]) != (provider, upstream_name)
    if settings is None and (set_ or unset):
        settings = model_settings.changed({} if known is None else known["settings"], set_, unset)
    elif settings is not None:
        settings = model_settings.checked(settings)
    if enabled is None:
        enabled = known is None or bool(known["enabled"])
    if not enabled and known is not None and known["enabled"]:
        await _may_be_disabled(db, name)
    priced = model_prices.filled(
        name,
        {"provider": provider, "upstream_name": upstream_name, "base_url": found_provider["base_url"]},
        known,
        base,
        given,
        moved=moved,
        cache_share=cache_share,
        inherit=upstream_price,
    )
    if base is not None and (known is None or moved):
        missing = [each for each in CAPABILITIES if given.get(each) is None and base[each] is not None]
        priced.columns.update({each: base[each] for each in missing})
    await stored_models.put_model(
        db,
        name,
        provider,
        upstream_name=upstream_name,
        enabled=enabled,
        settings=settings,
        upstream_price=priced.inherited,
        **priced.columns,
    )
    return Put(await get(db, name), (*notes, *priced.notes))


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
