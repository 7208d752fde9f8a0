"""Memories, questions and neighbours in numpy, and the sums over neighbours that estimates are made of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Queries searched at a time, and rows of neighbours summed at a time, to bound the memory used.
SEARCHED, SUMMED = 512, 256
#: Least exponent of a weight, as in `estimates`.
LEAST = -300.0
#: Neighbours more than asked for among which exact similarities are compared.
MARGIN = 20


@dataclass(frozen=True)
class Prices:
    """Prices of each model, USD per token, shape (models,)."""

    prompt: Floats
    completion: Floats


@dataclass(frozen=True)
class Questions:
    """Prompts to decide for; `task` is the number of the tag, -1: none. Vectors have length 1."""

    vectors: NDArray[np.float32]
    prompt_tokens: Ints
    task: Ints

    def part(self, rows: Ints) -> Questions:
        """Return some of the questions."""
        return Questions(self.vectors[rows], self.prompt_tokens[rows], self.task[rows])

    def untagged(self) -> Questions:
        """Return the same questions without tags."""
        return replace(self, task=np.full_like(self.task, -1))


@dataclass(frozen=True)
class Memory:
    """The memory of a tenant; `quality` and `tokens` have shape (memories, models), NaN: unknown."""

    rows: Questions
    quality: Floats
    tokens: Floats
    prices: Prices

    def part(self, rows: Ints) -> Memory:
        """Return some of the memories."""
        return Memory(self.rows.part(rows), self.quality[rows], self.tokens[rows], self.prices)

    def untagged(self) -> Memory:
        """Return the same memories without tags."""
        return replace(self, rows=self.rows.untagged())

    @cached_property
    def mean_prompt(self) -> float:
        """Mean tokens of a prompt."""
        return float(self.rows.prompt_tokens.mean())

    @cached_property
    def paired(self) -> NDArray[np.bool_]:
        """Shape (memories,): whether a memory has the labels of two models or more."""
        return np.array(np.isfinite(self.quality).sum(axis=1) >= 2)

    @cached_property
    def sums(self) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
        """For quality and for tokens: sum and number of labels by task and model; the last row is the total."""
        return _by_task(self.rows.task, self.quality), _by_task(self.rows.task, self.tokens)

    @cached_property
    def columns(self) -> Floats:
        """Shape (memories, 4 models): known quality, quality, known tokens, tokens; 0 for unknown."""
        parts = [part for labels in (self.quality, self.tokens) for part in known_and_values(labels)]
        return np.concatenate(parts, axis=1)

    @cached_property
    def density(self) -> float:
        """Labels of a memory, mean."""
        return float(np.isfinite(self.quality).sum()) / max(1, len(self.quality))


@dataclass(frozen=True)
class Near:
    """Neighbours, nearest first: `similarity` and memory `index` have shape (questions, k)."""

    similarity: Floats
    index: Ints

    def first(self, k: int) -> Near:
        """Return the k nearest of them."""
        return Near(self.similarity[:, :k], self.index[:, :k])


@dataclass(frozen=True)
class Sums:
    """Sums over neighbours, shape (questions, models): of weights and weighted labels, for quality and for tokens."""

    labels: Floats
    support: Floats
    quality: Floats
    token_support: Floats
    tokens: Floats


def nearest(memory: Memory, questions: Questions, k: int, own: Ints | None = None, *, exact: bool = False) -> Near:
    """Return the k nearest memories of each question, or all if fewer; `own`: the memory to leave out for each.

    `exact`: similarities of float64, for comparing with the SQL.
    """
    if exact:
        return of_neighbours(memory, questions, nearest(memory, questions, k + MARGIN, own).index).first(k)
    k = min(k, len(memory.quality) - (own is not None))
    similarity = np.empty((len(questions.vectors), k))
    index = np.empty((len(questions.vectors), k), np.int64)
    for start in range(0, len(index), SEARCHED):
        part = slice(start, start + SEARCHED)
        found = questions.vectors[part] @ memory.rows.vectors.T
        if own is not None:
            found[np.arange(len(found)), own[part]] = -np.inf
        best = np.argpartition(-found, k - 1, axis=1)[:, :k] if k < found.shape[1] else (
            np.broadcast_to(np.arange(k), found.shape)
        )  # fmt: skip
        values = np.take_along_axis(found, best, axis=1)
        order = np.argsort(-values, axis=1, kind="stable")
        similarity[part] = np.take_along_axis(values, order, axis=1)
        index[part] = np.take_along_axis(best, order, axis=1)
    return Near(similarity, index)


def summed(memory: Memory, near: Near, tau: float) -> Sums:
    """Sum over all neighbours of `near`."""
    many, models = len(near.index), memory.quality.shape[1]
    found = np.empty((many, 5 * models))
    weights, among = np.zeros((2, min(many, SUMMED), len(memory.quality)))
    for start in range(0, many, SUMMED):
        part = slice(start, start + SUMMED)
        index = near.index[part]
        weights[:], among[:] = 0, 0
        np.put_along_axis(
            weights[: len(index)], index, np.exp(np.maximum((near.similarity[part] - 1) / tau, LEAST)), axis=1
        )
        np.put_along_axis(among[: len(index)], index, 1, axis=1)
        found[part, :models] = (among @ memory.columns[:, :models])[: len(index)]
        found[part, models:] = (weights @ memory.columns)[: len(index)]
    return Sums(*np.split(found, 5, axis=1))


def known_and_values(labels: Floats) -> tuple[Floats, Floats]:
    """Return 1 where a label is known and 0 elsewhere, and the labels with 0 for unknown ones."""
    known = np.isfinite(labels)
    return known.astype(np.float64), np.where(known, labels, 0)


def of_neighbours(memory: Memory, questions: Questions, index: Ints) -> Near:
    """Return neighbours that are known already, shape (questions, k), with exact similarities."""
    similarity = np.empty(index.shape)
    norms = np.linalg.norm(memory.rows.vectors.astype(np.float64), axis=1)
    for at, found in enumerate(index):
        asked = questions.vectors[at].astype(np.float64)
        similarity[at] = memory.rows.vectors[found].astype(np.float64) @ asked / norms[found] / np.linalg.norm(asked)
    order = np.argsort(-similarity, axis=1, kind="stable")
    return Near(np.take_along_axis(similarity, order, axis=1), np.take_along_axis(index, order, axis=1))


def _by_task(task: Ints, labels: Floats) -> tuple[Floats, Floats]:
    known, values = known_and_values(labels)
    many = int(task.max(initial=-1)) + 1
    sums, counts = np.zeros((2, many + 1, labels.shape[1]))
    tagged = task >= 0
    np.add.at(sums, task[tagged], values[tagged])
    np.add.at(counts, task[tagged], known[tagged])
    sums[-1], counts[-1] = values.sum(axis=0), known.sum(axis=0)
    return sums, counts
