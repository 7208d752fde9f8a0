"""The form of a prompt in 98 numbers: its words, its format and its length.

The mean of its token vectors captures the topic of a prompt. Whether it has four lettered choices, is code, or has only
one line predicts the best model as well; these features are hashed into signed buckets (Weinberger et al. 2009).
"""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

WORDS, FORMAT, LENGTH = 64, 32, 2
DIMENSIONS = WORDS + FORMAT + LENGTH

#: Tokens from which on the length of a prompt no longer changes its numbers.
LONG = 890
#: Tokens from which on counting in a table is faster than sorting.
MANY = 4096
_ROOTS = np.sqrt(np.arange(MANY))
_ANGLES = [min(np.log1p(number / 8), 1.5 * np.pi) for number in range(LONG + 1)]
_LENGTHS = np.array([(np.cos(angle), np.sin(angle)) for angle in _ANGLES])
SPACE = "▁"
_KINDS = ("space", "line", "byte", "digit", "letter", "lower", "title", "upper", "script", "signs")


class Surface:
    """Computes the form block of an embedding, for the tokens of one vocabulary."""

    def __init__(self, vocabulary: Sequence[str]) -> None:
        """Prepare tables for `vocabulary`: all tokens by number, up to 65,536, words with a leading U+2581."""
        kinds = {name: number for number, name in enumerate((*_KINDS, *string.punctuation))}
        self._kinds = 2 * len(kinds)
        self._kind = np.array([_kind(token, kinds) for token in vocabulary], np.uint16)
        first: dict[str, int] = {}
        words = np.array(
            [first.setdefault(token.lower(), number) for number, token in enumerate(vocabulary)], np.uint64
        )
        self._word = _Buckets(words, WORDS)
        # Features of the format: the kind of each token, and of each pair of adjacent tokens.
        self._row = (self._kinds * (1 + np.arange(self._kinds))).astype(np.uint16)
        self._pair = _Buckets(np.arange((self._kinds + 1) * self._kinds, dtype=np.uint64) + (1 << 20), FORMAT)

    def of(self, tokens: NDArray[np.uint16]) -> NDArray[np.float32]:
        """Return an array of shape (98,) for a prompt's token numbers, at least one: three parts of length 1."""
        kinds = self._kind[tokens]
        number = len(tokens)
        pairs = np.empty(2 * number - 1, np.uint16)
        pairs[:number] = kinds
        pairs[number:] = self._row[kinds[:-1]] + kinds[1:]
        block = np.empty(DIMENSIONS, np.float32)
        block[:WORDS] = self._word.histogram(tokens)
        block[WORDS:-LENGTH] = self._pair.histogram(pairs)
        block[-LENGTH:] = _LENGTHS[min(number, LONG)]
        return block


class _Buckets:
    """Sums the square roots of feature counts in buckets; a hash selects the bucket and the sign of a feature."""

    def __init__(self, names: NDArray[np.uint64], size: int) -> None:
        """`names`: the name of each feature by its number; features of one name share bucket and sign."""
        hashed = _hash(names)
        self._bucket = (hashed % np.uint64(size)).astype(np.intp)
        self._sign = np.where(hashed >> np.uint64(63), 1.0, -1.0)
        self._size = size

    def histogram(self, features: NDArray[np.uint16]) -> NDArray[np.float64]:
        """Return an array of shape (size,) and of length 1, or of zeros if all features cancel out."""
        if len(features) < MANY:
            # The same as np.unique, in half the time.
            ordered = np.sort(features)
            (changes,) = (ordered[1:] != ordered[:-1]).nonzero()
            starts = np.zeros(len(changes) + 2, np.intp)
            starts[1:-1] = changes
            starts[1:-1] += 1
            starts[-1] = len(ordered)
            found: NDArray[np.integer[Any]] = ordered[starts[:-1]]
            roots = _ROOTS[starts[1:] - starts[:-1]]
        else:
            # Sorting a million tokens would block the event loop for 60 ms.
            counts = np.bincount(features)
            found = np.flatnonzero(counts)
            roots = np.sqrt(counts[found])
        total: NDArray[Any] = np.bincount(self._bucket[found], self._sign[found] * roots, self._size)
        length = math.sqrt(total @ total)
        return total / length if length > 0 else total


def _hash(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Apply the finalizer of SplitMix64 (Steele et al. 2014), a hash that never changes, as stored vectors require."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _kind(token: str, kinds: dict[str, int]) -> int:
    word = token.lstrip(SPACE)
    if token.startswith("<0x"):
        name = {"<0x0A>": "line"}.get(token, "byte")
    elif not word:
        name = "space"
    elif word.isdigit():
        name = "digit"
    elif word.isalpha():
        name = _case(word)
    else:
        name = word if word in kinds else "signs"
    return 2 * kinds[name] + (word is not token and token.startswith(SPACE))


def _case(word: str) -> str:
    if not word.isascii():
        return "script"
    if word.islower():
        return "lower"
    if len(word) == 1:
        return "letter"
    return "upper" if word.isupper() else "title"
