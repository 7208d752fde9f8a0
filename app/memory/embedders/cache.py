"""The embedder that the application uses: with a cache, a deadline, and vectors padded for the database."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from hashlib import blake2b
from typing import cast

import numpy as np
from numpy.typing import NDArray
from pgvector import HalfVector

from ...caching import LRU, SingleFlight
from .base import QUICK_CHARS, BilledEmbedder, Embedder, EmbeddingFailed, Paid

#: Texts per call of the embedder in `embed_many`.
CHUNK = 64


class CachedEmbedder:
    """Embeds texts as `HalfVector`s of `width` dimensions, with a cache of `capacity` vectors.

    `hits` and `misses` count look-ups of `embed_one`. The key of an entry is a digest of the text, never the text; an
    entry takes about 1.2 kB at width 384. `deadline` is in seconds and applies to `embed_one`.
    """

    def __init__(self, embedder: Embedder, width: int, capacity: int, deadline: float) -> None:
        self.space = embedder.name
        self.dimensions = embedder.dimensions
        self.width = width
        self.hits = 0
        self.misses = 0
        self._embedder = embedder
        self._billed = cast(BilledEmbedder, embedder) if hasattr(embedder, "embed_billed") else None
        #: The provider's name of the model, if its calls cost money.
        self.model = None if self._billed is None else self._billed.model
        self._deadline = deadline
        self._vectors = LRU[bytes, HalfVector | None](capacity)
        self._running = SingleFlight[bytes, HalfVector | None]()

    async def embed_one(self, text: str, paid: Paid | None = None) -> HalfVector | None:
        """Return the vector of `text`, which callers share and must not change; None if it has nothing to embed.

        `paid` is called with the tokens if this call costs money. Raises `EmbeddingFailed` with the reason, also after
        the deadline.
        """
        key = _digest(text)
        if key in self._vectors:
            self.hits += 1
            return self._vectors.get(key, None)
        self.misses += 1
        if not text or text.isspace():
            return None
        if self._embedder.quick and len(text) <= QUICK_CHARS:
            return await self._compute(key, text, paid)
        # Requests with the same text share one computation, which continues if one of their clients disconnects.
        return await self._running.run(key, lambda: self._compute_in_time(key, text, paid))

    async def embed_many(self, texts: Sequence[str], paid: Paid | None = None) -> list[HalfVector | None]:
        """Return the vectors of `texts`, in order; None for a text with nothing to embed. There is no deadline.

        Reads the cache but adds nothing to it, because a bulk load would evict the entries of requests. Raises
        `EmbeddingFailed` naming the positions that failed.
        """
        vectors: list[HalfVector | None] = [None] * len(texts)
        for start in range(0, len(texts), CHUNK):
            missing: list[int] = []
            for position in range(start, min(start + CHUNK, len(texts))):
                text = texts[position]
                known = self._vectors.peek(_digest(text), None)
                if known is not None:
                    vectors[position] = known
                elif text and not text.isspace():
                    missing.append(position)
            if not missing:
                continue
            try:
                rows = await self._embed([texts[position] for position in missing], paid)
            except EmbeddingFailed as error:
                raise EmbeddingFailed(f"texts {missing[0]} to {missing[-1]} of {len(texts)}: {error}") from None
            for position, row in zip(missing, rows, strict=True):
                vectors[position] = self._pad(row)
        return vectors

    async def close(self) -> None:
        """Cancel running computations and close the embedder."""
        await self._running.close()
        await self._embedder.close()

    async def _embed(self, texts: Sequence[str], paid: Paid | None) -> NDArray[np.float32]:
        if self._billed is None or paid is None:
            return await self._embedder.embed(texts)
        return await self._billed.embed_billed(texts, paid)

    async def _compute(self, key: bytes, text: str, paid: Paid | None) -> HalfVector | None:
        rows = await self._embed([text], paid)
        vector = self._pad(rows[0])
        self._vectors.put(key, vector)
        return vector

    async def _compute_in_time(self, key: bytes, text: str, paid: Paid | None) -> HalfVector | None:
        try:
            async with asyncio.timeout(self._deadline):
                return await self._compute(key, text, paid)
        except TimeoutError:
            raise EmbeddingFailed(f"{self.space} did not answer within {self._deadline:g} s") from None

    def _pad(self, row: NDArray[np.float32]) -> HalfVector | None:
        if not row.any():
            return None
        padded = np.zeros(self.width, np.float16)
        padded[: len(row)] = row
        return HalfVector(padded)


def _digest(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
