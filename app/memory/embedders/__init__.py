"""Embedding: which embedder the settings name, ready to use behind its cache."""

from __future__ import annotations

from dataclasses import replace

from app.errors import ConfigurationError
from app.memory.embedders.base import MINILM_SPACE, STATIC_SPACE, Embedder, EmbeddingFailed
from app.memory.embedders.cache import CachedEmbedder
from app.settings import Settings

__all__ = ["CachedEmbedder", "Embedder", "EmbeddingFailed", "create", "create_for", "setting_of"]


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


def create_for(space: str, settings: Settings, dimensions: int) -> CachedEmbedder:
    """The embedder whose vectors are those of `space`, for a halfvec column of `dimensions`.

    Raises `ConfigurationError` when nothing in this process or its environment makes them.
    """
    setting = setting_of(space)
    if setting is None:
        made = create(settings, dimensions)
        if made.space == space:
            return made
        raise ConfigurationError(f"{space} is of a folder: set ROUTER_EMBEDDER=minilm:/path/to/that/folder.")
    made = create(replace(settings, embedder=setting), dimensions)
    if made.space != space:
        raise ConfigurationError(f"ROUTER_EMBEDDER={setting} makes {made.space} here, not {space}.")
    return made


def setting_of(space: str) -> str | None:
    """What `ROUTER_EMBEDDER` says for a space, judged by its name; None for that of a folder or of nothing known."""
    model, _, dimensions = space.rpartition("@")
    if model.startswith("openai:") and dimensions.isdecimal():
        return model
    return {STATIC_SPACE: "static", MINILM_SPACE: "minilm"}.get(space)


def _embedder(settings: Settings, dimensions: int) -> Embedder:
    # Imported when chosen: each brings packages that cost start-up time and memory, or are not installed.
    kind, _, argument = settings.embedder.partition(":")
    if settings.embedder == "static":
        from app.memory.embedders.static import StaticEmbedder

        return StaticEmbedder()
    if kind == "minilm" and (argument or settings.embedder == "minilm"):
        from app.memory.embedders.minilm import MiniLMEmbedder

        return MiniLMEmbedder(argument or None)
    if kind == "openai" and argument:
        from app.memory.embedders.remote import RemoteEmbedder

        return RemoteEmbedder(argument, dimensions, settings.embedding_url)
    raise ConfigurationError(
        f"ROUTER_EMBEDDER={settings.embedder!r}: choose static, minilm, minilm:/path/to/folder or openai:MODEL."
    )
