"""Splits a set into taught rows and questions, and converts its costs to prices and lengths of answers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from scripts.quality.label_sets import Floats, LabelSet
from scripts.quality.memory import Ints, Memory, Prices, Questions

#: Share of a set that is not taught, the questions.
ASKED = 0.2
#: Assumed tokens of a model's mean answer. The price per token is set so that prompt and answer add up to the row's
#: cost, so the number only matters for a model whose answers' lengths are unknown.
ANSWER = 200.0


@dataclass(frozen=True)
class Embedded:
    """A set with its embeddings: `questions` and `vectors` (float16, of the column's width) are by prompt."""

    labels: LabelSet
    embedder: str
    vectors: NDArray[np.float16]
    questions: Questions

    @classmethod
    def of(cls, labels: LabelSet, embedder: str, vectors: NDArray[np.float16], prompt_tokens: Ints) -> Embedded:
        """`vectors` has no row of zeros."""
        # The dimensions that the column has more than the embedder are zero and would only cost time.
        real = vectors[:, vectors.any(axis=0)].astype(np.float32)
        real /= np.linalg.norm(real, axis=1, keepdims=True)
        tags = labels.tasks or [None] * len(labels.prompts)
        numbers = {tag: number for number, tag in enumerate(sorted({tag for tag in tags if tag is not None}))}
        task = np.array([-1 if tag is None else numbers[tag] for tag in tags], np.int64)
        return cls(labels, embedder, vectors, Questions(real, prompt_tokens, task))


@dataclass(frozen=True)
class Split:
    """The rows of one seed: `taught`, in the order of teaching, and `asked`, the questions, with all labels."""

    data: Embedded
    seed: int
    taught: Ints
    asked: Ints

    @classmethod
    def of(cls, data: Embedded, seed: int) -> Split:
        """Split a set: at most a fifth are questions. Prompts that not every model answered are always taught."""
        rng = np.random.default_rng(seed)
        complete = rng.permutation(np.flatnonzero(data.labels.complete))
        asked = complete[: max(1, round(ASKED * len(complete)))]
        return cls(data, seed, rng.permutation(np.setdiff1d(np.arange(len(data.labels.prompts)), asked)), asked)

    @cached_property
    def strong(self) -> int:
        """The policy's default: the best single model on the taught rows; of equal ones the cheaper."""
        labels = self.data.labels
        quality, cost = _means(labels.quality[self.taught]), _means(labels.cost[self.taught])
        return int(np.lexsort((np.nan_to_num(cost, nan=np.inf), -np.nan_to_num(quality, nan=-1)))[0])

    @cached_property
    def weak(self) -> int:
        """The cheapest model on the taught rows; of equal ones the better."""
        labels = self.data.labels
        quality, cost = _means(labels.quality[self.taught]), _means(labels.cost[self.taught])
        return int(np.lexsort((-np.nan_to_num(quality, nan=-1), np.nan_to_num(cost, nan=np.inf)))[0])

    def memory(self, size: int | None = None, *, listed: bool = False) -> Memory:
        """Return the taught rows, or the first `size`, priced by these rows; `listed`: one price for all requests."""
        rows = self.taught[:size]
        labels = self.data.labels
        questions = self.data.questions.part(rows)
        fit = list_prices if listed else prices
        tokens, prompt, completion = fit(questions.prompt_tokens, labels.cost[rows])
        # The types of the database.
        quality, tokens = labels.quality[rows].astype(np.float32), tokens.astype(np.float32)
        return Memory(questions, quality.astype(np.float64), tokens.astype(np.float64), Prices(prompt, completion))

    def memory_at(self, size: int, paid: Prices) -> Memory:
        """Return the first `size` taught rows at given prices, which determine the lengths of the answers."""
        rows = self.taught[:size]
        labels = self.data.labels
        questions = self.data.questions.part(rows)
        rest = np.maximum(labels.cost[rows] - questions.prompt_tokens[:, None] * paid.prompt, 0)
        tokens = np.divide(rest, paid.completion, out=np.zeros_like(rest), where=paid.completion > 0)
        tokens = np.where(np.isnan(labels.cost[rows]), np.nan, tokens).astype(np.float32)
        quality = labels.quality[rows].astype(np.float32)
        return Memory(questions, quality.astype(np.float64), tokens.astype(np.float64), paid)


def prices(prompt_tokens: Ints, cost: Floats) -> tuple[Floats, Floats, Floats]:
    """Return completion tokens (rows, models) and USD per prompt and completion token that reproduce each row's cost.

    A file has the cost of a request without its parts. The price of a prompt token is the slope of a model's cost over
    the prompts' lengths, but never so high that a prompt alone would cost more than its row. The answer accounts for
    the rest, so that each row has exactly its cost.
    """
    found = np.full(cost.shape, np.nan)
    prompt, completion = np.zeros((2, cost.shape[1]))
    for model in range(cost.shape[1]):
        known = np.isfinite(cost[:, model])
        if not known.any():
            continue
        lengths, costs = prompt_tokens[known].astype(np.float64), cost[known, model]
        spread = lengths - lengths.mean()
        slope = float(spread @ costs / (spread @ spread)) if spread.any() else 0.0
        prompt[model] = max(0.0, min(slope, float((costs / np.maximum(lengths, 1)).min())))
        rest = np.maximum(costs - prompt[model] * lengths, 0)
        completion[model] = rest.mean() / ANSWER
        found[known, model] = rest / completion[model] if completion[model] > 0 else 0.0
    return found, prompt, completion


def list_prices(prompt_tokens: Ints, cost: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the same, but each request of a model has its mean cost, for routers with one price per model."""
    del prompt_tokens
    mean = np.nan_to_num(_means(cost))
    return np.where(np.isfinite(cost), ANSWER, np.nan), np.zeros(len(mean)), mean / ANSWER


def _means(values: Floats) -> Floats:
    known = np.isfinite(values)
    counts = known.sum(axis=0)
    sums = np.where(known, values, 0).sum(axis=0)
    found: Floats = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
    return found
