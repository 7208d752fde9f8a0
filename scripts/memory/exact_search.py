"""Lower limit of search time: exact search over the same memories, with numpy, in this process."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from scripts.support.corpus import CHUNK, Corpus, Vectors

#: Difference of similarity up to which memories count as equally near: Postgres and numpy round differently.
TIE = 2e-6


class Exact:
    """All memories of one tenant as an array of float32, 1.5 kB each."""

    def __init__(self, corpus: Corpus, memories: int) -> None:
        """`memories`: the size of the tenant, whose memories are those of `world.make`."""
        self._rows = np.empty((memories, corpus.vectors.shape[1]), np.float32)
        for start, (_, rows) in zip(range(0, memories, CHUNK), corpus.copies(memories), strict=True):
            self._rows[start : start + len(rows)] = rows
        self._rows /= np.linalg.norm(self._rows, axis=1, keepdims=True)

    def nearest(self, embedding: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], float]:
        """Return the k highest similarities, highest first, and the milliseconds of the search."""
        started = time.perf_counter()
        similarity = self._rows @ embedding
        k = min(k, len(similarity))
        found = -np.sort(-np.partition(similarity, len(similarity) - k)[len(similarity) - k :])
        return found, (time.perf_counter() - started) * 1000

    def search(self, queries: Vectors, k: int) -> tuple[list[float], list[float]]:
        """Return for each query the similarity of its k-th nearest memory, and the milliseconds of the search."""
        unit = queries.astype(np.float32)
        unit /= np.linalg.norm(unit, axis=1, keepdims=True)
        found = [self.nearest(query, k) for query in unit]
        return [float(similarity[-1]) for similarity, _ in found], [took for _, took in found]


def recall(similarities: list[float], kth: float, k: int) -> float:
    """Return the share of the k nearest that were found; all memories as near as the k-th count as such."""
    return sum(similarity >= kth - TIE for similarity in similarities) / k
