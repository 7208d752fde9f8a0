"""Warm-up: does once, before the port answers, what the first requests would otherwise wait for."""

from __future__ import annotations

from ..demo import dataset
from ..errors import DatabaseError, DatabaseUnavailable
from ..memory.embedders import EmbeddingFailed
from ..services import Services
from ..store.warm_up import warm_up as warm_up_connections

#: Connections that are warmed up: one for a request, one for the ledger that is written after it.
CONNECTIONS = 2
#: A prompt of ordinary words; an embedder that calls a service embeds it too, which opens its connection.
PROMPT = "Summarise this paragraph in one sentence, please."


async def warm_up(services: Services) -> None:
    """Embed a prompt, and run the statements of a request.

    Errors are ignored: the first request will handle them in its own way.
    """
    if services.settings.demo:
        # The demo's provider reads its examples at the first request.
        dataset.by_prompt()
    own = services.spaces.own
    try:
        embedding = await own.embedder.embed_one(PROMPT)
        if embedding is not None:
            connections = min(CONNECTIONS, services.settings.pool_size)
            await warm_up_connections(services.db, own.space_id, embedding, connections)
        # Again, because what was loaded before notifications arrive is stale once they do.
        await services.directory.catalog()
    except (EmbeddingFailed, DatabaseUnavailable, DatabaseError):
        pass
