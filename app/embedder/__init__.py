"""Embedding: which embedder the settings name, ready to use behind its cache."""

from __future__ import annotations

from app.embedder.base import Embedder, EmbeddingFailed
from app.embedder.cache import CachedEmbedder
from app.errors import ConfigurationError
from app.settings import Settings

__all__ = ["CachedEmbedder", "Embedder", "EmbeddingFailed", "create"]


def create(settings: Settings, dimensions: int) -> CachedEmbedder:
    """The embedder of `settings.embedder`, for a halfvec column of `dimensions`.

    `static`, `minilm`, `minilm:FOLDER` or `openai:MODEL`. Raises `ConfigurationError` when the name is none of these,
    its packages, files or key are missing, or its vectors do not fit the column.
    """
    embedder = _embedder(settings, dimensions)
    if embedder.dimensions > dimensions:
        raise ConfigurationError(
            f"ROUTER_EMBEDDER={settings.embedder}: its vectors have {embedder.dimensions} dimensions, the database's "
            f"column holds {dimensions}. Choose another embedder, or a database migrated for that size."
        )
    return CachedEmbedder(embedder, dimensions, settings.embedding_cache, settings.embedding_deadline)


def _embedder(settings: Settings, dimensions: int) -> Embedder:
    # Imported when chosen: each brings packages that cost start-up time and memory, or are not installed.
    kind, _, argument = settings.embedder.partition(":")
    if settings.embedder == "static":
        from app.embedder.static import StaticEmbedder

        return StaticEmbedder()
    if kind == "minilm" and (argument or settings.embedder == "minilm"):
        from app.embedder.minilm import MiniLMEmbedder

        return MiniLMEmbedder(argument or None)
    if kind == "openai" and argument:
        from app.embedder.remote import RemoteEmbedder

        return RemoteEmbedder(argument, dimensions, settings.embedding_url)
    raise ConfigurationError(
        f"ROUTER_EMBEDDER={settings.embedder!r}: choose static, minilm, minilm:/path/to/folder or openai:MODEL."
    )
