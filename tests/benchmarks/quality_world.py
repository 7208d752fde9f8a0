"""Small memories of known structure for the tests of the quality benchmark."""

from __future__ import annotations

import numpy as np

from scripts.quality.label_sets import LabelSet
from scripts.quality.memory import Floats, Memory, Prices, Questions
from scripts.quality.split import Embedded, Split

WIDTH = 384
NAN = float("nan")


def split(*, models: int = 4, unknown: float = 0.0, free: bool = False, prompts: int = 160) -> Split:
    """Return prompts in four clusters, which are their tasks; a fifth of them has no tag."""
    rng = np.random.default_rng(7)
    cluster = rng.integers(0, 4, prompts)
    vectors = (rng.normal(size=(4, WIDTH))[cluster] + rng.normal(size=(prompts, WIDTH))).astype(np.float16)
    quality = np.clip(rng.random((prompts, models)) + 0.3 * (cluster[:, None] == np.arange(models)), 0, 1)
    cost = np.zeros((prompts, models)) if free else rng.random((prompts, models)) * 10.0 ** -np.arange(models)
    hidden = rng.random((prompts, models)) < unknown
    hidden[: prompts // 2] = False
    # Every prompt has the answer of some model, as in every set that is read.
    hidden[:, 0] = False
    quality[hidden], cost[hidden & (rng.random((prompts, models)) < 0.5)] = np.nan, np.nan
    tags = [f"task {number}" if rng.random() < 0.8 else None for number in cluster]
    names = [f"m{number}" for number in range(models)]
    labels = LabelSet("made up", [f"prompt {i}" for i in range(prompts)], tags, names, quality, cost)
    return Split.of(Embedded.of(labels, "test", vectors, rng.integers(1, 500, prompts)), 0)


def memory(quality: list[list[float]] | Floats, task: list[int] | None = None, vectors: Floats | None = None) -> Memory:
    """Return memories with these labels, whose answers have 100 tokens; all embeddings are the same if not given."""
    labels = np.array(quality, np.float64)
    many, models = labels.shape
    places = np.tile([1.0, 0.0], (many, 1)) if vectors is None else vectors
    rows = Questions(
        places.astype(np.float32), np.full(many, 10), np.full(many, -1) if task is None else np.array(task, np.int64)
    )
    prices = Prices(np.full(models, 1e-6), 1e-6 * np.arange(1, models + 1))
    return Memory(rows, labels, np.where(np.isnan(labels), np.nan, 100.0), prices)
