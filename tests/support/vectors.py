"""Texts to embed and comparisons of their vectors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pgvector import HalfVector

from app.memory.embedders import CachedEmbedder

WIDTH = 384
ODD_TEXTS = {
    "nul": "\x00",
    "nul-inside": "a\x00b",
    "lone-surrogate": "\ud800",
    "surrogate-inside": "x \udfff y",
    "special-tokens": "<s></s><unk>[CLS][SEP]",
    "newlines": "\n" * 5000 + "a",
    "emoji": "🙂" * 3000,
    "one-long-word": "x" * 2_000_000,
    "one-character": "é",
}


def floats(vector: HalfVector | None) -> NDArray[np.float32]:
    assert vector is not None
    return vector.to_numpy().astype(np.float32)


async def assert_paraphrases_are_close(embedder: CachedEmbedder) -> None:
    one, same, other = await embedder.embed_many(
        [
            "How do I reset my password?",
            "I forgot my password, how can I change it?",
            "What is the boiling point of lead?",
        ]
    )
    assert floats(one) @ floats(same) > floats(one) @ floats(other) + 0.2
