"""Selects the embedder of a tenant: the process's default, or that of the tenant's embedding space."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from ..caching import SingleFlight
from ..entities import Caller, Space
from ..errors import ConfigurationError
from ..settings import Settings
from .embedders import CachedEmbedder, EmbeddingFailed, create_for

log = logging.getLogger("pgrouter.spaces")


@dataclass(frozen=True, slots=True)
class Embedding:
    """A space's number in the database, and the embedder of its vectors."""

    space_id: int
    embedder: CachedEmbedder


class Spaces:
    """The embedders of a process, each loaded when a tenant first needs it and kept until the process ends.

    The embedder of a space that is being built for a tenant is loaded in advance. If loading fails, because a package,
    a key or a folder is missing, the error is logged once and loading is not tried again.
    """

    def __init__(self, settings: Settings, width: int, own: Embedding) -> None:
        self.own = own
        self._settings = settings
        self._width = width
        self._ready = {own.space_id: own}
        self._loading = SingleFlight[int, Embedding]()
        self._failed: dict[int, str] = {}

    async def of(self, caller: Caller, *, wait: bool = False) -> Embedding:
        """Return the embedder of `caller`'s prompts.

        Raises `EmbeddingFailed` if this process cannot load it, or, unless `wait`, if that takes longer than the
        deadline.
        """
        space = caller.space
        if space is None:
            return self.own
        if caller.next_space is not None and caller.next_space.space_id not in self._ready:
            self._start(caller.next_space)
        found = self._ready.get(space.space_id)
        if found is not None:
            return found
        loading = self._start(space)
        if loading is None:
            raise EmbeddingFailed(self._failed[space.space_id])
        try:
            async with asyncio.timeout(None if wait else self._settings.embedding_deadline):
                # Shielded: the load continues for other requests if this one's client disconnects.
                return await asyncio.shield(loading)
        except TimeoutError:
            raise EmbeddingFailed(f"{space.name} is still loading") from None

    def name_of(self, caller: Caller) -> str:
        """Return the name of the embedding space of `caller`."""
        return self.own.embedder.space if caller.space is None else caller.space.name

    @property
    def hits(self) -> int:
        """Prompts found in the caches of all embedders."""
        return sum(each.embedder.hits for each in self._ready.values())

    @property
    def misses(self) -> int:
        """Prompts not found in the caches of all embedders."""
        return sum(each.embedder.misses for each in self._ready.values())

    async def close(self) -> None:
        """Close every embedder but the process's default one."""
        await self._loading.close()
        for each in self._ready.values():
            if each is not self.own:
                await each.embedder.close()

    def _start(self, space: Space) -> asyncio.Task[Embedding] | None:
        """Start to load the embedder of a space and return the task; None if loading has failed before."""
        if space.space_id in self._failed:
            return None
        return self._loading.start(space.space_id, lambda: self._load(space))

    async def _load(self, space: Space) -> Embedding:
        try:
            # In a thread, because reading a model's files takes up to seconds.
            embedder = await asyncio.to_thread(create_for, space.name, self._settings, self._width)
        except ConfigurationError as error:
            reason = f"{space.name} cannot be used in this process: {error}"
            self._failed[space.space_id] = reason
            log.error("%s Its tenants get their default models until this is corrected and pgrouter restarted.", reason)
            raise EmbeddingFailed(reason) from None
        self._ready[space.space_id] = found = Embedding(space.space_id, embedder)
        return found
