"""The interface of embedders, their error, and helpers for texts that are too long or malformed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

STATIC_SPACE = "wordllama-surface-354"
MINILM_SPACE = "minilm-l6-v2-int8-384"
QUICK_CHARS = 2048
"""Characters that a quick embedder reads without yielding to the event loop: about 0.5 ms, 5 ms at worst."""


#: Called with the tokens of a call of an embedder that costs money.
Paid = Callable[[int], None]


class EmbeddingFailed(Exception):
    """Embedding failed; the message is the reason and contains no part of the text."""


class Embedder(Protocol):
    """Converts texts to unit vectors of one space. The application uses it through `CachedEmbedder`."""

    @property
    def name(self) -> str:
        """Name of the space, such as `wordllama-surface-354`; vectors of two spaces are not comparable."""

    @property
    def dimensions(self) -> int:
        """Dimensions of a vector, before it is padded to those of the database's column."""

    @property
    def quick(self) -> bool:
        """Whether it runs on the event loop, at less than 1 ms for `QUICK_CHARS` characters."""

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return an array of shape (len(texts), dimensions): rows of length 1, or of zeros for an empty text.

        Raises `EmbeddingFailed`.
        """

    async def close(self) -> None:
        """Release threads and connections. The embedder cannot be used afterwards."""


class BilledEmbedder(Embedder, Protocol):
    """An embedder whose calls cost money."""

    @property
    def model(self) -> str:
        """The provider's name of the model."""

    async def embed_billed(self, texts: Sequence[str], paid: Paid | None) -> NDArray[np.float32]:
        """Return vectors as `embed` does, and call `paid` with the tokens once the provider has answered."""


def head_and_tail(text: str, size: int, joint: str = "\n") -> str:
    """Return `text`; if it is longer than `size` characters, its first and last `size // 2` joined by `joint`.

    The head alone is not enough: few-shot prompts share their head and differ in their tail.
    """
    if len(text) <= size:
        return text
    half = size // 2
    return text[:half] + joint + text[-half:]


def replace_surrogates(text: str) -> str:
    """Return `text` with each lone surrogate, which no encoder or tokenizer accepts, replaced by `?`."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text
