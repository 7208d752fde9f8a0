"""Splits a set into what is taught and what is asked, and turns its costs into prices and lengths of answers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from scripts.quality.label_sets import Floats, LabelSet
from scripts.quality.twin import Ints, Memory, Prices, Questions

#: The share of a set that is asked and not taught.
ASKED = 0.2
#: Tokens of a model's mean answer. What is not paid for the prompt is paid for the answer, whatever a token is said
#: to cost; the number only matters to a model whose answers' lengths nobody knows.
ANSWER = 200.0


@dataclass(frozen=True)
class Embedded:
    """A set as an embedder sees it: `questions` and `vectors` (float16, of the column's width) are by prompt."""

    labels: LabelSet
    embedder: str
    vectors: NDArray[np.float16]
    questions: Questions

    @classmethod
    def of(cls, labels: LabelSet, embedder: str, vectors: NDArray[np.float16], prompt_tokens: Ints) -> Embedded:
        """`vectors` has no row of zeros."""
        real = vectors.astype(np.float32)
        real /= np.linalg.norm(real, axis=1, keepdims=True)
        tags = labels.tasks or [None] * len(labels.prompts)
        numbers = {tag: number for number, tag in enumerate(sorted({tag for tag in tags if tag is not None}))}
        task = np.array([-1 if tag is None else numbers[tag] for tag in tags], np.int64)
        return cls(labels, embedder, vectors, Questions(real, prompt_tokens, task))


@dataclass(frozen=True)
class Split:
    """One seed's rows of a set: `taught` in the order of teaching, and `asked`, whose labels are all known."""

    data: Embedded
    seed: int
    taught: Ints
    asked: Ints

    @classmethod
    def of(cls, data: Embedded, seed: int) -> Split:
        """Four fifths are taught. What not every model answered cannot be judged, so it is taught in any case."""
        rng = np.random.default_rng(seed)
        complete = rng.permutation(np.flatnonzero(data.labels.complete))
        asked = complete[: max(1, round(ASKED * len(complete)))]
        return cls(data, seed, rng.permutation(np.setdiff1d(np.arange(len(data.labels.prompts)), asked)), asked)

    @cached_property
    def strong(self) -> int:
        """The policy's default: the best single model of what is taught, the cheaper of two."""
        labels = self.data.labels
        quality, cost = _means(labels.quality[self.taught]), _means(labels.cost[self.taught])
        return int(np.lexsort((np.nan_to_num(cost, nan=np.inf), -np.nan_to_num(quality, nan=-1)))[0])

    @cached_property
    def weak(self) -> int:
        """The cheapest model of what is taught, the better of two."""
        labels = self.data.labels
        quality, cost = _means(labels.quality[self.taught]), _means(labels.cost[self.taught])
        return int(np.lexsort((-np.nan_to_num(quality, nan=-1), np.nan_to_num(cost, nan=np.inf)))[0])

    def memory(self, size: int | None = None, *, listed: bool = False) -> Memory:
        """What is taught, or the first `size` of it; prices are of these rows alone, `listed`: one for all requests."""
        rows = self.taught[:size]
        labels = self.data.labels
        questions = self.data.questions.part(rows)
        fit = list_prices if listed else prices
        tokens, prompt, completion = fit(questions.prompt_tokens, labels.cost[rows])
        # As the database stores them.
        quality, tokens = labels.quality[rows].astype(np.float32), tokens.astype(np.float32)
        return Memory(questions, quality.astype(np.float64), tokens.astype(np.float64), Prices(prompt, completion))

    def memory_at(self, size: int, paid: Prices) -> Memory:
        """The first `size` of what is taught at given prices: its answers are as long as these prices make them."""
        rows = self.taught[:size]
        labels = self.data.labels
        questions = self.data.questions.part(rows)
        rest = np.maximum(labels.cost[rows] - questions.prompt_tokens[:, None] * paid.prompt, 0)
        tokens = np.divide(rest, paid.completion, out=np.zeros_like(rest), where=paid.completion > 0)
        tokens = np.where(np.isnan(labels.cost[rows]), np.nan, tokens).astype(np.float32)
        quality = labels.quality[rows].astype(np.float32)
        return Memory(questions, quality.astype(np.float64), tokens.astype(np.float64), paid)


def prices(prompt_tokens: Ints, cost: Floats) -> tuple[Floats, Floats, Floats]:
    """Completion tokens (rows, models) and USD a token of prompt and of completion, which make up each row's cost.

    A file says what a request cost, not of what. The price of a prompt's token is the slope of a model's cost over the
    prompts' lengths, but never so high that a row's prompt alone would cost more than the row; the rest is its answer,
    so that each row costs exactly what it did.
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
    """As `prices`, but each request of a model costs its mean: what a router knows that has one price a model."""
    del prompt_tokens
    mean = np.nan_to_num(_means(cost))
    return np.where(np.isfinite(cost), ANSWER, np.nan), np.zeros(len(mean)), mean / ANSWER


def _means(values: Floats) -> Floats:
    known = np.isfinite(values)
    counts = known.sum(axis=0)
    sums = np.where(known, values, 0).sum(axis=0)
    found: Floats = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
    return found
