"""What every embedder promises, the error it raises, and how a text too long for it is cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

STATIC_SPACE = "wordllama-surface-354"
MINILM_SPACE = "minilm-l6-v2-int8-384"
QUICK_CHARS = 2048
"""A quick embedder takes a text of this many characters without yielding: about 0.5 ms, 5 ms at worst."""


class EmbeddingFailed(Exception):
    """No embedding could be made; the message is the reason and never holds any of the text."""


class Embedder(Protocol):
    """Turns texts into unit vectors of one space; the cache in front of it is what the rest of the app uses."""

    @property
    def name(self) -> str:
        """The space's stable name, such as `wordllama-surface-354`; it changes iff vectors are not comparable."""

    @property
    def dimensions(self) -> int:
        """Native size of a vector, before it is padded to the database's column."""

    @property
    def quick(self) -> bool:
        """True: runs on the event loop, `QUICK_CHARS` characters well under a millisecond. False: waits for others."""

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Array of shape (len(texts), dimensions), rows of length 1; a row of zeros: the text has nothing to embed.

        Raises `EmbeddingFailed`.
        """

    async def close(self) -> None:
        """Release threads and connections; the embedder is not used afterwards."""


def head_and_tail(text: str, size: int, joint: str = "\n") -> str:
    """`text`, or when it is longer than `size` characters its first and last `size // 2` joined by `joint`.

    Never the head alone: few-shot prompts share their head and differ in their tail.
    """
    if len(text) <= size:
        return text
    half = size // 2
    return text[:half] + joint + text[-half:]


def well_formed(text: str) -> str:
    """`text` with lone surrogates, which are not Unicode and no tokenizer or encoder takes, replaced by `?`."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text
