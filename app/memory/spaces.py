"""Which embedder speaks for a tenant: the process's own, or the one that its memory's space asks for."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from app.caching import SingleFlight
from app.entities import Caller, Space
from app.errors import ConfigurationError
from app.memory.embedders import CachedEmbedder, EmbeddingFailed, create_for
from app.settings import Settings

log = logging.getLogger("pgrouter.spaces")


@dataclass(frozen=True, slots=True)
class Embedding:
    """A space's number in the database, and the embedder of its vectors."""

    space_id: int
    embedder: CachedEmbedder


class Spaces:
    """The embedders of one process, each made when a tenant first needs it and kept while the process lasts.

    A space that is being built for a tenant is made ready before it serves. What cannot be made, because a package, a
    key or a folder is missing, is logged once and not tried again.
    """

    def __init__(self, settings: Settings, width: int, own: Embedding) -> None:
        self.own = own
        self._settings = settings
        self._width = width
        self._ready = {own.space_id: own}
        self._loading = SingleFlight[int, Embedding]()
        self._impossible: dict[int, str] = {}

    async def of(self, caller: Caller, *, wait: bool = False) -> Embedding:
        """What embeds the prompts of `caller`.

        Raises `EmbeddingFailed` when this process cannot have it, or, unless `wait`, not within the deadline.
        """
        wanted = caller.space
        if wanted is None:
            return self.own
        if caller.next_space is not None and caller.next_space.space_id not in self._ready:
            self._begin(caller.next_space)
        found = self._ready.get(wanted.space_id)
        if found is not None:
            return found
        loading = self._begin(wanted)
        if loading is None:
            raise EmbeddingFailed(self._impossible[wanted.space_id])
        try:
            async with asyncio.timeout(None if wait else self._settings.embedding_deadline):
                # Shielded: the load continues for other requests if this one's client disconnects.
                return await asyncio.shield(loading)
        except TimeoutError:
            raise EmbeddingFailed(f"{wanted.name} is being loaded") from None

    def name_of(self, caller: Caller) -> str:
        """The space that serves `caller`."""
        return self.own.embedder.space if caller.space is None else caller.space.name

    @property
    def hits(self) -> int:
        """Prompts whose vectors were remembered, of all embedders."""
        return sum(each.embedder.hits for each in self._ready.values())

    @property
    def misses(self) -> int:
        """Prompts that had to be embedded."""
        return sum(each.embedder.misses for each in self._ready.values())

    async def close(self) -> None:
        """Release every embedder but the process's own."""
        await self._loading.close()
        for each in self._ready.values():
            if each is not self.own:
                await each.embedder.close()

    def _begin(self, space: Space) -> asyncio.Task[Embedding] | None:
        """The loading of a space that is not ready; None when it is known to be impossible."""
        if space.space_id in self._impossible:
            return None
        return self._loading.start(space.space_id, lambda: self._load(space))

    async def _load(self, space: Space) -> Embedding:
        try:
            # In a thread: reading a model's files takes up to seconds, and requests go on meanwhile.
            made = await asyncio.to_thread(create_for, space.name, self._settings, self._width)
        except ConfigurationError as error:
            reason = f"{space.name} cannot be used in this process: {error}"
            self._impossible[space.space_id] = reason
            log.error("%s Its tenants are served by their default models until it can, and after a restart.", reason)
            raise EmbeddingFailed(reason) from None
        self._ready[space.space_id] = found = Embedding(space.space_id, made)
        return found
