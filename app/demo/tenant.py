"""The tenant of a first start: its key, its models and its taught memory, ready to be routed by."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from app import prices, signal
from app.demo import recordings
from app.embedder import CachedEmbedder
from app.keys import hash_of, hint_of, make_key
from app.policy_defaults import policy_defaults
from app.store import memory, tenancy
from app.store.database import Database

TENANT = "demo"
CHEAP, STRONG = recordings.MODELS[0], recordings.MODELS[-1]
OPENAI_URL = "https://api.openai.com/v1"
OPENAI_KEY = "OPENAI_API_KEY"
#: By leave-one-out on the 300 taught prompts this keeps the strong model's quality at two fifths of its cost.
ALPHA = 0.05


async def prepare(
    db: Database, embedder: CachedEmbedder, home: Path, own_url: str, environ: Mapping[str, str] = os.environ
) -> str:
    """Make or find the demo tenant and return its key, the same at every start.

    `own_url` is where this process serves; its models are played back from recordings there, or asked of OpenAI when
    `environ` has a key. What the operator changed since the first start stays.
    """
    await _models(db, own_url, environ)
    key_file = home / "api-key"
    tenants = {tenant.name: tenant.tenant_id for tenant in await tenancy.tenants(db)}
    if TENANT in tenants and key_file.exists():
        return key_file.read_text(encoding="ascii").strip()
    if TENANT not in tenants:
        tenants[TENANT] = await tenancy.create_tenant(db, TENANT)
    tenant_id = tenants[TENANT]
    settings = {"alpha": ALPHA, **policy_defaults(environ).settings}
    await tenancy.put_policy(
        db, tenant_id, "auto", backend="knn", default=STRONG, models=recordings.MODELS, settings=settings
    )
    await _teach(db, embedder, tenant_id)
    # Written last, so that a first start that was interrupted is gone through again.
    key = make_key()
    await tenancy.create_key(db, tenant_id, hash_of(key), hint_of(key), "made at the first start")
    descriptor = os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(key + "\n")
    return key


async def _models(db: Database, own_url: str, environ: Mapping[str, str]) -> None:
    real = bool(environ.get(OPENAI_KEY))
    await tenancy.put_provider(db, "demo", f"{own_url}/demo/v1", None)
    await tenancy.put_provider(db, "openai", environ.get("OPENAI_BASE_URL") or OPENAI_URL, OPENAI_KEY)
    known = {model.name for model in await tenancy.models(db) if model.provider == "openai"}
    if real:
        known |= set(prices.chat_models("openai"))
    for name in sorted(known | set(recordings.MODELS)):
        from_openai = real and name in known
        price = prices.lookup(name, "anthropic" if name.startswith("claude") else "openai")
        await tenancy.put_model(
            db,
            name,
            "openai" if from_openai else "demo",
            input_price=price and price.input,
            cached_input_price=price and price.cached_input,
            output_price=price and price.output,
            priced_on=price and price.on,
            context_window=price and price.context_window,
            enabled=from_openai if real else name in recordings.MODELS,
        )


async def _teach(db: Database, embedder: CachedEmbedder, tenant_id: int) -> None:
    taught = recordings.memory()
    ids = {model.name: model.model_id for model in await tenancy.models(db)}
    vectors = await embedder.embed_many([recording.prompt.strip() for recording in taught])
    space_id = await memory.register_space(db, embedder.space, embedder.dimensions)
    await memory.record(
        db,
        tenant_id,
        space_id,
        None,
        [
            memory.Example(
                prompt=recording.prompt.strip(),
                source="import",
                task=recording.task,
                prompt_tokens=signal.tokens_of(recording.prompt.strip()),
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
