"""Regimes of labels: which answers of a memory's prompts get a label, and with which errors.

A regime is made from a memory with all labels. In those called `served` a request is answered by one model, and only
that answer is labelled; then who is asked what depends on the labels so far. With `thumbs` users report half of the bad
answers and a tenth of the good ones, as 0 or 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from scripts.quality.memory import Floats, Ints, Memory
from scripts.quality.settings import ALPHA, NEW, Settings
from scripts.quality.twin import Search, chosen

Mask = NDArray[np.bool_]

FULL, ONE, TWO, FLIPPED = "all labels", "one random label", "two random labels", "15% of labels wrong"
DEFAULT, EMPTY, SEEDED = (
    "served by the default, 10% explored", "served by the policy, 10% explored", "100 prompts labelled, then served"
)  # fmt: skip
THUMBS_EMPTY, THUMBS_SEEDED = f"thumbs: {EMPTY}", f"thumbs: {SEEDED}"
#: Regimes with at most one label of a prompt that was served.
SERVED = (DEFAULT, EMPTY, SEEDED, THUMBS_EMPTY, THUMBS_SEEDED)
REGIMES = (FULL, ONE, TWO, FLIPPED, *SERVED)

#: Share of wrong labels, of explored requests, and of bad and good answers that are reported.
WRONG, EXPLORED, BAD, GOOD = 0.15, 0.1, 0.5, 0.1
#: Prompts with all labels before the policy serves, and requests served between two looks at the memory.
SEED, STEP = 100, 100


def regimes(memory: Memory, seed: int, default: int) -> Iterator[tuple[str, Memory]]:
    """Yield each regime's name and memory, which has only prompts with a label; the same ones for the same seed.

    `memory` has all labels. `two random labels` is left out with two models.
    """
    many, models = memory.quality.shape
    everything = np.ones((many, models), np.bool_)

    def drawn(name: str) -> np.random.Generator:
        return np.random.default_rng([seed, REGIMES.index(name)])

    yield FULL, memory
    yield ONE, labelled(memory, drawn(ONE).random((many, models)).argsort(axis=1).argsort(axis=1) < 1)
    if models > 2:
        yield TWO, labelled(memory, drawn(TWO).random((many, models)).argsort(axis=1).argsort(axis=1) < 2)
    wrong = drawn(FLIPPED).random((many, models)) < WRONG
    yield FLIPPED, labelled(memory, everything, np.where(wrong, 1 - memory.quality, memory.quality))
    rng = drawn(DEFAULT)
    asked = np.where(rng.random(many) < EXPLORED, rng.integers(0, models, many), default)
    yield DEFAULT, labelled(memory, asked[:, None] == np.arange(models))
    for name, thumbs, first, explored in ((EMPTY, THUMBS_EMPTY, 0, EXPLORED), (SEEDED, THUMBS_SEEDED, SEED, 0.0)):
        rng = drawn(name)
        known = served(memory, rng, default, first, explored)
        yield name, labelled(memory, known)
        good = memory.quality >= 0.5
        reported = rng.random((many, models)) < np.where(good, GOOD, BAD)
        reported[:first] = True
        verdict = np.where(np.arange(many)[:, None] < first, memory.quality, good)
        yield thumbs, labelled(memory, known & reported, verdict)


def labelled(memory: Memory, known: Mask, quality: Floats | None = None) -> Memory:
    """Return the prompts that have a label, with only the `known` labels; `quality`: in place of the memory's."""
    quality = memory.quality if quality is None else quality
    found = replace(memory, quality=np.where(known, quality, np.nan), tokens=np.where(known, memory.tokens, np.nan))
    return found.part(np.flatnonzero(known.any(axis=1)))


def served(
    memory: Memory, rng: np.random.Generator, default: int, first: int, explored: float, settings: Settings = NEW
) -> Mask:
    """Return which answers are labelled if the first prompts have all labels and a policy serves the others.

    The policy learns after every `STEP` requests and serves the default at first; `explored`: share of requests that a
    random model serves.
    """
    many, models = memory.quality.shape
    known = np.zeros((many, models), np.bool_)
    known[:first] = True
    for start in range(first, many, STEP):
        rows = np.arange(start, min(many, start + STEP))
        asked = _asked(memory, known, rows, default, settings) if start else np.full(len(rows), default)
        asked = np.where(rng.random(len(rows)) < explored, rng.integers(0, models, len(rows)), asked)
        known[rows, asked] = True
    return known


def _asked(memory: Memory, known: Mask, rows: Ints, default: int, settings: Settings) -> Ints:
    """Return the models that a policy asks at the alpha of a new one, by the labels known so far."""
    so_far = labelled(memory.part(np.arange(rows[0])), known[: rows[0]])
    search = Search(so_far, memory.rows.part(rows), settings.k)
    found = search.estimates(settings, tagged=False)
    (asked,) = chosen(found, np.array([ALPHA]), default, settings)
    return np.array(asked)
