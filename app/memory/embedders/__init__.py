"""Creates the embedder that the settings select, behind its cache."""

from __future__ import annotations

from dataclasses import replace

from ...errors import ConfigurationError
from ...settings import Settings
from .base import MINILM_SPACE, STATIC_SPACE, Embedder, EmbeddingFailed, Paid
from .cache import CachedEmbedder

__all__ = ["CachedEmbedder", "Embedder", "EmbeddingFailed", "Paid", "create", "create_for", "setting_of"]


def create(settings: Settings, dimensions: int) -> CachedEmbedder:
    """Create the embedder of `settings.embedder`, for a halfvec column of `dimensions`.

    It is `static`, `minilm`, `minilm:FOLDER` or `openai:MODEL`. Raises `ConfigurationError` if the name is another,
    if a package, file or key is missing, or if the vectors have too many dimensions for the column.
    """
    embedder = _embedder(settings, dimensions)
    if embedder.dimensions > dimensions:
        raise ConfigurationError(
            f"ROUTER_EMBEDDER={settings.embedder}: its vectors have {embedder.dimensions} dimensions, but the "
            f"database's column has {dimensions}. Choose another embedder, or a database migrated for that size."
        )
    return CachedEmbedder(embedder, dimensions, settings.embedding_cache, settings.embedding_deadline)


def create_for(space: str, settings: Settings, dimensions: int) -> CachedEmbedder:
    """Create the embedder of a space, for a halfvec column of `dimensions`.

    Raises `ConfigurationError` if the process or its environment lacks it.
    """
    setting = setting_of(space)
    if setting is None:
        embedder = create(settings, dimensions)
        if embedder.space == space:
            return embedder
        raise ConfigurationError(
            f"{space} is the space of a model in a folder: set ROUTER_EMBEDDER=minilm:/path/to/that/folder."
        )
    embedder = create(replace(settings, embedder=setting), dimensions)
    if embedder.space != space:
        raise ConfigurationError(
            f"ROUTER_EMBEDDER={setting} has the space {embedder.space} in this process, not {space}."
        )
    return embedder


def setting_of(space: str) -> str | None:
    """Return the `ROUTER_EMBEDDER` of a space, by its name; None for the space of a folder or an unknown one."""
    model, _, dimensions = space.rpartition("@")
    if model.startswith("openai:") and dimensions.isdecimal():
        return model
    return {STATIC_SPACE: "static", MINILM_SPACE: "minilm"}.get(space)


def _embedder(settings: Settings, dimensions: int) -> Embedder:
    # Imported when selected, because each needs packages that cost start-up time and memory or are not installed.
    kind, _, argument = settings.embedder.partition(":")
    if settings.embedder == "static":
        from .static import StaticEmbedder

        return StaticEmbedder()
    if kind == "minilm" and (argument or settings.embedder == "minilm"):
        from .minilm import MiniLMEmbedder

        return MiniLMEmbedder(argument or None)
    if kind == "openai" and argument:
        from .remote import RemoteEmbedder

        return RemoteEmbedder(argument, dimensions, settings.embedding_url)
    raise ConfigurationError(
        f"ROUTER_EMBEDDER={settings.embedder!r}: choose static, minilm, minilm:/path/to/folder or openai:MODEL."
    )
