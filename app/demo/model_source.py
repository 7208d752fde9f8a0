"""The source of the models of `auto`: the demo provider, or OpenAI if there is a key."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import openai

from ..operations import list_prices
from ..operations.default_candidates import default_candidates
from ..store import models, policies, providers
from ..store.database import Database
from .models import DEMO_MODELS, MODELS, PRICED_ON

log = logging.getLogger("pgrouter.demo")

POLICY = "auto"
DEMO, OPENAI = "demo", "openai"
OPENAI_URL = "https://api.openai.com/v1"
OPENAI_KEY = "OPENAI_API_KEY"
EMBEDDERS = ("text-embedding-3-small", "text-embedding-3-large", "text-embedding-ada-002")

Inventory = Mapping[str, Mapping[str, Any]]


async def put_policy(
    db: Database, tenant_id: int, candidates: Sequence[str], settings: Mapping[str, Any] | None = None
) -> None:
    """Set the candidates of `auto`, given cheapest first; the dearest becomes its default model."""
    await policies.put_policy(
        db, tenant_id, POLICY, backend="knn", default=candidates[-1], models=candidates, settings=settings or {}
    )


async def enable_demo_models(db: Database) -> None:
    """Add or enable the demo's models at their own prices."""
    for model in DEMO_MODELS:
        await models.put_model(
            db,
            model.name,
            DEMO,
            input_price=model.input_price,
            cached_input_price=model.cached_input_price,
            output_price=model.output_price,
            priced_on=PRICED_ON,
            **model.capabilities,
        )


async def choose_source(db: Database, tenant_id: int, environ: Mapping[str, str]) -> None:
    """If there is a key, add OpenAI's models; if the key is new or gone, change the candidates of `auto`.

    The present source is the provider of the default model of `auto`. If that is neither the demo's nor the `openai`
    that reads OPENAI_API_KEY, the operator chose it, and `auto` stays as it is.
    """
    inventory = {row["name"]: row for row in await models.list_models(db)}
    auto = next((row for row in await policies.list_policies(db, tenant_id) if row["name"] == POLICY), None)
    source = inventory[auto["default_model"]]["provider"] if auto is not None else None
    if environ.get(OPENAI_KEY):
        await _use_openai(db, tenant_id, inventory, environ, changes=source == DEMO)
    elif source == OPENAI and await _reads_key(db):
        await enable_demo_models(db)
        await put_policy(db, tenant_id, MODELS)
        await _disable(db, inventory, OPENAI)


async def _use_openai(
    db: Database, tenant_id: int, inventory: Inventory, environ: Mapping[str, str], *, changes: bool
) -> None:
    """Add the models that OpenAI lists; if `changes`, enable them all and let `auto` route between two of them."""
    base_url = environ.get("OPENAI_BASE_URL") or OPENAI_URL
    await providers.put_provider(db, OPENAI, base_url, OPENAI_KEY)
    listed = await _listed(base_url, environ[OPENAI_KEY])
    prices = list_prices.chat_models(OPENAI)
    candidates = default_candidates(prices, listed)
    if not candidates:
        log.warning(
            "%s lists no current chat model with a known price: the candidates of `auto` are those that genai-prices "
            "lists for OpenAI. To choose others, run `pgrouter model add NAME --provider openai --input-price USD "
            "--output-price USD` and `pgrouter policy put demo auto --models NAME,NAME --default NAME`.",
            base_url,
        )
        candidates = default_candidates(prices)
    for name in sorted({*(listed or (*prices, *EMBEDDERS)), *candidates}):
        known = inventory.get(name)
        if known is None or (changes and known["provider"] == OPENAI):
            await _put_openai_model(db, name)
    if changes:
        await put_policy(db, tenant_id, candidates)
        await _disable(db, inventory, DEMO)


async def _listed(base_url: str, key: str) -> list[str] | None:
    """Return the names that `GET /models` lists; None, with a warning, if it fails or lists none."""
    try:
        async with openai.AsyncOpenAI(base_url=base_url, api_key=key, timeout=10, max_retries=0) as client:
            listed = [model.id async for model in client.models.list()]
    except openai.OpenAIError as error:
        why = f"failed ({type(error).__name__})"
    else:
        if listed:
            return listed
        why = "lists no model"
    log.warning("GET %s/models %s: taking the models that genai-prices lists for OpenAI.", base_url, why)
    return None


async def _put_openai_model(db: Database, name: str) -> None:
    price = list_prices.lookup(name, OPENAI)
    await models.put_model(
        db,
        name,
        OPENAI,
        input_price=price and price.input,
        cached_input_price=price and price.cached_input,
        output_price=price and price.output,
        priced_on=price and price.on,
        context_window=price and price.context_window,
    )


async def _disable(db: Database, inventory: Inventory, provider: str) -> None:
    for name, row in inventory.items():
        if row["provider"] == provider and row["enabled"]:
            await models.put_model(db, name, provider, upstream_name=row["upstream_name"], enabled=False)


async def _reads_key(db: Database) -> bool:
    """Return whether the provider `openai` reads OPENAI_API_KEY, so that it cannot serve while that is not set."""
    known = await providers.providers(db)
    return any(provider.name == OPENAI and provider.key_variable == OPENAI_KEY for provider in known)
