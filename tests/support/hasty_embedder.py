"""An embedder that takes no time, and fails on demand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from app.memory.embedders import CachedEmbedder, EmbeddingFailed
from tests.support.sql_world import WIDTH


class Hasty:
    """An embedder that fails at a text with a certain word."""

    name, dimensions, quick = "hasty", 2, True

    async def embed(self, texts: Sequence[str]) -> Any:
        if any("fail" in text for text in texts):
            raise EmbeddingFailed("no answer")
        return np.array([[1.0, 0.0] if text != "!" else [0.0, 0.0] for text in texts], np.float32)

    async def close(self) -> None: ...


def hasty() -> CachedEmbedder:
    return CachedEmbedder(Hasty(), WIDTH, 10, 1)
