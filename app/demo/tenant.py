"""The tenant of a first start: its key, its models and its taught memory."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import openai

from app import entities
from app.api_keys import hash_of, hint_of, make_key
from app.demo import dataset
from app.demo.models import DEMO_MODELS, MODELS, PRICED_ON
from app.memory.embedders import CachedEmbedder
from app.operations import list_prices
from app.operations.default_candidates import default_candidates
from app.operations.policy_defaults import policy_defaults
from app.store import keys, memories, models, policies, providers, spaces
from app.store import tenants as tenancy
from app.store.database import Database

log = logging.getLogger("pgrouter.demo")

TENANT, POLICY = "demo", "auto"
DEMO, OPENAI = "demo", "openai"
OPENAI_URL = "https://api.openai.com/v1"
OPENAI_KEY = "OPENAI_API_KEY"
EMBEDDERS = ("text-embedding-3-small", "text-embedding-3-large", "text-embedding-ada-002")
#: The APIs of the demo provider.
SPEAKS = ("chat", "responses", "messages")
#: Chosen by leave-one-out on the taught prompts; README.md says how.
ALPHA = 0.265


async def prepare(
    db: Database, embedder: CachedEmbedder, home: Path, own_url: str, environ: Mapping[str, str] = os.environ
) -> str:
    """Create or find the demo tenant and return its key, which stays the same at every start.

    If `environ` has an OPENAI_API_KEY, `auto` routes between two models of OpenAI; else between the demo's models,
    whose answers the demo provider at `own_url` replays. A later start keeps what the operator changed, except that a
    key that was added or removed makes `auto` change sides.
    """
    key_file = home / "api-key"
    tenants = {tenant.name: tenant for tenant in await tenancy.tenants(db)}
    await providers.put_provider(db, DEMO, f"{own_url}/demo/v1", None, speaks=SPEAKS)
    if TENANT not in tenants or not key_file.exists():
        # Policies and labels name enabled models only, so the demo's models are enabled while the tenant is created.
        await _enable_demo_models(db)
        key = await _tenant(db, embedder, tenants.get(TENANT), environ)
        # Written last, so that a first start that was interrupted is repeated.
        descriptor = os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(key + "\n")
    await _choose_side(db, environ)
    return key_file.read_text(encoding="ascii").strip()


async def _tenant(
    db: Database, embedder: CachedEmbedder, known: entities.Tenant | None, environ: Mapping[str, str]
) -> str:
    """Create the tenant with its policy, memory and key, or what is missing of it; return the key."""
    tenant_id = await tenancy.create_tenant(db, TENANT) if known is None else known.tenant_id
    settings = {"alpha": ALPHA, **policy_defaults(environ).settings}
    await _put_policy(db, tenant_id, MODELS, settings)
    # A tenant that was moved to another embedder has been taught already, and this embedder's vectors do not fit it.
    if known is None or known.space in (None, embedder.space):
        await _teach(db, embedder, tenant_id)
    key = make_key()
    await keys.create_key(db, tenant_id, hash_of(key), hint_of(key), "made at the first start")
    return key


async def _put_policy(
    db: Database, tenant_id: int, candidates: tuple[str, ...], settings: Mapping[str, Any] | None = None
) -> None:
    """Set the candidates of `auto`, cheapest first; the dearest is its default."""
    await policies.put_policy(
        db, tenant_id, POLICY, backend="knn", default=candidates[-1], models=candidates, settings=settings or {}
    )


async def _choose_side(db: Database, environ: Mapping[str, str]) -> None:
    """Add OpenAI's models if there is a key; if the key is new or gone, let `auto` change between them and the demo's.

    The side that `auto` is on is that of its default model's provider; an `auto` with another default stays as it is.
    """
    real = bool(environ.get(OPENAI_KEY))
    if real:
        base_url = environ.get("OPENAI_BASE_URL") or OPENAI_URL
        await providers.put_provider(db, OPENAI, base_url, OPENAI_KEY)
        listed = await _listed(base_url, environ[OPENAI_KEY])
    else:
        listed = None
    tenant = next(tenant for tenant in await tenancy.tenants(db) if tenant.name == TENANT)
    inventory = {row["name"]: row for row in await models.inventory(db)}
    default = next(
        row["default_model"] for row in await policies.settings(db, tenant.tenant_id) if row["name"] == POLICY
    )
    side = inventory[default]["provider"]
    if real:
        await _to_openai(db, tenant.tenant_id, inventory, listed, turned=side == DEMO)
    elif side == OPENAI and await _needs_key(db):
        await _enable_demo_models(db)
        await _put_policy(db, tenant.tenant_id, MODELS)
        await _disable(db, inventory, OPENAI)


async def _to_openai(
    db: Database,
    tenant_id: int,
    inventory: Mapping[str, Mapping[str, Any]],
    listed: list[str] | None,
    *,
    turned: bool,
) -> None:
    """Add OpenAI's models that are new; if `turned`, enable all of them and let `auto` route between two of them."""
    prices = list_prices.chat_models(OPENAI)
    candidates = default_candidates(prices, listed)
    if listed and not candidates:
        log.warning(
            "No known price for any of the %d models that the provider lists: `auto` gets OpenAI's current models. "
            "Change it by `pgrouter model add NAME --provider openai --input-price … --output-price …` and "
            "`pgrouter policy put demo auto --models NAME,NAME`",
            len(listed),
        )
    candidates = candidates or default_candidates(prices)
    for name in sorted({*(listed or (*prices, *EMBEDDERS)), *candidates}):
        known = inventory.get(name)
        if known is None or (turned and known["provider"] in (DEMO, OPENAI)):
            await _put_openai_model(db, name)
    if turned:
        await _put_policy(db, tenant_id, candidates)
        await _disable(db, inventory, DEMO)


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


async def _enable_demo_models(db: Database) -> None:
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


async def _disable(db: Database, inventory: Mapping[str, Mapping[str, Any]], provider: str) -> None:
    for name, row in inventory.items():
        if row["provider"] == provider and row["enabled"]:
            await models.put_model(db, name, provider, upstream_name=row["upstream_name"], enabled=False)


async def _needs_key(db: Database) -> bool:
    """Return whether the provider `openai` reads OPENAI_API_KEY, so that it cannot serve without that variable."""
    return any(
        provider.key_variable == OPENAI_KEY for provider in await providers.providers(db) if provider.name == OPENAI
    )


async def _listed(base_url: str, key: str) -> list[str] | None:
    """Return the names of the models that `GET /models` lists; None, with a warning, if it lists none or fails."""
    try:
        async with openai.AsyncOpenAI(base_url=base_url, api_key=key, timeout=10, max_retries=0) as client:
            listed = [model.id async for model in client.models.list()]
    except openai.OpenAIError as error:
        log.warning(
            "GET %s/models failed (%s): using the models that genai-prices knows", base_url, type(error).__name__
        )
        return None
    if not listed:
        log.warning("GET %s/models lists no model: using the models that genai-prices knows", base_url)
    return listed or None


async def _teach(db: Database, embedder: CachedEmbedder, tenant_id: int) -> None:
    taught = dataset.memory()
    ids = {model.name: model.model_id for model in await models.models(db)}
    vectors = await embedder.embed_many([example.prompt for example in taught])
    space_id = await spaces.register_space(db, embedder.space, embedder.dimensions)
    await memories.record(
        db,
        tenant_id,
        space_id,
        None,
        [
            memories.Example(
                prompt=example.prompt,
                source="import",
                task=None,
                prompt_tokens=example.prompt_tokens,
                scores={ids[name]: answer.score for name, answer in example.answers.items()},
                completion_tokens={ids[name]: answer.tokens for name, answer in example.answers.items()},
                embedding=vector,
            )
            for example, vector in zip(taught, vectors, strict=True)
            if vector is not None
        ],
    )
