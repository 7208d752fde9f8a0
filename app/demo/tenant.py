"""The tenant of a first start: its key, its models and its taught memory."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from .. import entities
from ..api_keys import hash_of, hint_of, make_key
from ..memory.embedders import CachedEmbedder
from ..operations.policy_defaults import policy_defaults
from ..store import keys, maintenance, memories, models, providers, spaces
from ..store import tenants as tenancy
from ..store.database import Database
from . import dataset
from .model_source import DEMO, choose_source, enable_demo_models, put_policy
from .models import MODELS

TENANT = "demo"
#: The APIs of the demo provider.
SPEAKS = ("chat", "responses", "messages")
#: Set by `pgrouter calibrate --tenant demo --target 0.95`, which tries each taught prompt as if it were new.
ALPHA = 0.265


async def prepare(
    db: Database, embedder: CachedEmbedder, home: Path, own_url: str, environ: Mapping[str, str] = os.environ
) -> str:
    """Create or find the demo tenant and return its key, the same at every start.

    If `environ` has an OPENAI_API_KEY, `auto` routes between two models of OpenAI; else between the demo's models,
    whose answers the demo provider at `own_url` replays. A later start keeps what the operator changed, unless the key
    was added or removed: then the candidates of `auto` change.
    """
    key_file = home / "api-key"
    tenants = {tenant.name: tenant for tenant in await tenancy.list_tenants(db)}
    known = tenants.get(TENANT)
    await providers.put_provider(db, DEMO, f"{own_url}/demo/v1", None, speaks=SPEAKS)
    tenant_id = await tenancy.create_tenant(db, TENANT) if known is None else known.tenant_id
    if known is None or not key_file.exists():
        # Policies and labels may name enabled models only.
        await enable_demo_models(db)
        key = await _fill(db, embedder, tenant_id, known, environ)
        # Written last, so that a first start that was interrupted is repeated.
        descriptor = os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(key + "\n")
    await choose_source(db, tenant_id, environ)
    return key_file.read_text(encoding="ascii").strip()


async def _fill(
    db: Database, embedder: CachedEmbedder, tenant_id: int, known: entities.Tenant | None, environ: Mapping[str, str]
) -> str:
    """Give the tenant its policy, its memory and a key, which is returned."""
    await put_policy(db, tenant_id, MODELS, {"alpha": ALPHA, **policy_defaults(environ).settings})
    # A tenant that was moved to another embedder has been taught already, and this embedder's vectors do not fit it.
    if known is None or known.space in (None, embedder.space):
        await _teach(db, embedder, tenant_id)
        await maintenance.fit(db, tenant_id)
    key = make_key()
    await keys.create_key(db, tenant_id, hash_of(key), hint_of(key), "made at the first start")
    return key


async def _teach(db: Database, embedder: CachedEmbedder, tenant_id: int) -> None:
    """Record the taught examples. They carry no task, for most clients send none: the text alone must do."""
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
