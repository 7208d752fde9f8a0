"""The tenant of a first start: its key, its models and its taught memory, ready to be routed by."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path

import openai

from app import entities
from app.api_keys import hash_of, hint_of, make_key
from app.demo import recordings
from app.dialects import prompt
from app.memory.embedders import CachedEmbedder
from app.operations import list_prices
from app.operations.policy_defaults import policy_defaults
from app.store import keys, memories, models, policies, providers, spaces
from app.store import tenants as tenancy
from app.store.database import Database

log = logging.getLogger("pgrouter.demo")

TENANT = "demo"
CHEAP, STRONG = recordings.MODELS[0], recordings.MODELS[-1]
OPENAI_URL = "https://api.openai.com/v1"
OPENAI_KEY = "OPENAI_API_KEY"
EMBEDDERS = ("text-embedding-3-small", "text-embedding-3-large", "text-embedding-ada-002")
#: What the demo provider answers.
SPEAKS = ("chat", "responses", "messages")
#: Chosen by leave-one-out on the taught prompts; the usual default is so large that the cheap model always serves.
ALPHA = 0.05


async def prepare(
    db: Database, embedder: CachedEmbedder, home: Path, own_url: str, environ: Mapping[str, str] = os.environ
) -> str:
    """Make or find the demo tenant and return its key, the same at every start.

    `own_url` is where this process serves; its models are played back from recordings there, or asked of OpenAI when
    `environ` has a key. What the operator changed since the first start stays, but for a change between those two.
    """
    key_file = home / "api-key"
    tenants = {tenant.name: tenant for tenant in await tenancy.tenants(db)}
    if TENANT not in tenants or not key_file.exists():
        # Policies and labels may name enabled models only; while the tenant is made all the recorded ones are.
        await _models(db, own_url, {})
        key = await _tenant(db, embedder, tenants.get(TENANT), environ)
        # Written last, so that a first start that was interrupted is gone through again.
        descriptor = os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(key + "\n")
    await _models(db, own_url, environ)
    return key_file.read_text(encoding="ascii").strip()


async def _tenant(
    db: Database, embedder: CachedEmbedder, known: entities.Tenant | None, environ: Mapping[str, str]
) -> str:
    tenant_id = await tenancy.create_tenant(db, TENANT) if known is None else known.tenant_id
    settings = {"alpha": ALPHA, **policy_defaults(environ).settings}
    await policies.put_policy(
        db, tenant_id, "auto", backend="knn", default=STRONG, models=recordings.MODELS, settings=settings
    )
    # Moved to another embedder it has been taught already, and this one's vectors are of no use to it.
    if known is None or known.space in (None, embedder.space):
        await _teach(db, embedder, tenant_id)
    key = make_key()
    await keys.create_key(db, tenant_id, hash_of(key), hint_of(key), "made at the first start")
    return key


async def _models(db: Database, own_url: str, environ: Mapping[str, str]) -> None:
    """Models of the demo provider, or of OpenAI; changed only where they are new or the one takes the other's place."""
    real = bool(environ.get(OPENAI_KEY))
    await providers.put_provider(db, "demo", f"{own_url}/demo/v1", None, speaks=SPEAKS)
    wanted = dict.fromkeys(recordings.MODELS, "demo")
    if real:
        base_url = environ.get("OPENAI_BASE_URL") or OPENAI_URL
        await providers.put_provider(db, "openai", base_url, OPENAI_KEY)
        wanted = dict.fromkeys(await _served(base_url, environ[OPENAI_KEY]), "openai")
    known = {row["name"]: row for row in await models.inventory(db)}
    turned = STRONG not in known or (known[STRONG]["provider"] == "openai") != real
    for name, provider in wanted.items():
        if name not in known or (turned and known[name]["provider"] in ("demo", "openai")):
            price = list_prices.lookup(name, "anthropic" if name.startswith("claude") else "openai")
            await models.put_model(
                db,
                name,
                provider,
                input_price=price and price.input,
                cached_input_price=price and price.cached_input,
                output_price=price and price.output,
                priced_on=price and price.on,
                context_window=price and price.context_window,
            )
    if turned:
        for name, row in known.items():
            if name not in wanted and row["provider"] in ("demo", "openai"):
                await models.put_model(db, name, row["provider"], upstream_name=row["upstream_name"], enabled=False)


async def _served(base_url: str, key: str) -> list[str]:
    """What the account may call, and the pair of `auto` in any case; what is known of OpenAI if it does not say."""
    try:
        async with openai.AsyncOpenAI(base_url=base_url, api_key=key, timeout=10, max_retries=0) as client:
            listed = [model.id async for model in client.models.list()]
    except openai.OpenAIError as error:
        log.warning("OpenAI's list of models cannot be had (%s); using the known ones", type(error).__name__)
        listed = [*list_prices.chat_models("openai"), *EMBEDDERS]
    return sorted({*listed, CHEAP, STRONG})


async def _teach(db: Database, embedder: CachedEmbedder, tenant_id: int) -> None:
    taught = recordings.memory()
    ids = {model.name: model.model_id for model in await models.models(db)}
    vectors = await embedder.embed_many([recording.prompt.strip() for recording in taught])
    space_id = await spaces.register_space(db, embedder.space, embedder.dimensions)
    await memories.record(
        db,
        tenant_id,
        space_id,
        None,
        [
            memories.Example(
                prompt=recording.prompt.strip(),
                source="import",
                task=recording.task,
                prompt_tokens=prompt.tokens_of(recording.prompt.strip()),
                scores={ids[name]: answer.score for name, answer in recording.answers.items() if name in ids},
                completion_tokens={
                    ids[name]: answer.completion_tokens for name, answer in recording.answers.items() if name in ids
                },
                embedding=vector,
            )
            for recording, vector in zip(taught, vectors, strict=True)
            if vector is not None
        ],
    )
