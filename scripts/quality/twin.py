"""router.decide in numpy, for many prompts at once; every run compares both (quality/sql.py)."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Queries searched at a time, and rows of neighbours summed at a time, to bound the memory used.
SEARCHED, SUMMED = 512, 256
#: Expected tokens if no answer's length is known, and the least exponent, as in `estimates`.
TOKENS, LEAST = 256.0, -600.0


@dataclass(frozen=True)
class Settings:
    """Settings of a policy's decision."""

    k: int
    tau: float
    n0: float
    n0_task: float
    n1: float
    confidence_floor: float = 0.0


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

    @cached_property
    def mean_prompt(self) -> float:
        """Mean tokens of a prompt."""
        return float(self.rows.prompt_tokens.mean())

    @cached_property
    def sums(self) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
        """For quality and for tokens: sum and number of labels by task and model; the last row is the total."""
        return _by_task(self.rows.task, self.quality), _by_task(self.rows.task, self.tokens)


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


@dataclass(frozen=True)
class Base:
    """A shared memory as in router_internal._base_sums: sums over its neighbours of the questions, and means."""

    sums: Sums
    quality: Floats
    tokens: Floats
    weight: float

    @classmethod
    def of(cls, memory: Memory, sums: Sums, weight: float) -> Base:
        """`weight`: the policy's base_weight."""
        quality, tokens = (_mean(total[-1], many[-1]) for total, many in memory.sums)
        return cls(sums, quality, tokens, weight)

    def added(self, sums: Sums, memories: int) -> Sums:
        """Return these sums plus `sums`, of a tenant with so many memories."""
        share = self.weight / (self.weight + memories) if self.weight > 0 else 0.0
        parts = (getattr(sums, name) + share * getattr(self.sums, name) for name in sums.__dataclass_fields__)
        return replace(Sums(*parts), labels=sums.labels + self.sums.labels)


@dataclass(frozen=True)
class Estimates:
    """The result of router.estimates, shape (questions, models), NaN for NULL; score = quality - alpha * `penalty`."""

    quality: Floats
    labels: Floats
    confidence: Floats
    cost: Floats
    penalty: Floats

    def part(self, rows: Ints) -> Estimates:
        """Return the estimates of some questions."""
        return Estimates(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def nearest(memory: Memory, questions: Questions, k: int, own: Ints | None = None) -> Near:
    """Return the k nearest memories of each question, or all if fewer; `own`: the memory to leave out for each."""
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
    shape = (len(near.index), memory.quality.shape[1])
    found = Sums(*(np.empty(shape) for _ in range(5)))
    for start in range(0, shape[0], SUMMED):
        part = slice(start, start + SUMMED)
        weights = np.exp(np.maximum((near.similarity[part] - 1) / tau, LEAST))[:, None, :]
        for labels, support, weighted in (
            (memory.quality, found.support, found.quality),
            (memory.tokens, found.token_support, found.tokens),
        ):
            values = labels[near.index[part]]
            known = np.isfinite(values)
            support[part] = (weights @ known)[:, 0]
            weighted[part] = (weights @ np.where(known, values, 0))[:, 0]
            if labels is memory.quality:
                found.labels[part] = known.sum(axis=1)
    return found


def estimated(
    memory: Memory,
    sums: Sums,
    questions: Questions,
    settings: Settings,
    own: Ints | None = None,
    base: Base | None = None,
) -> Estimates:
    """Return expected quality and cost of every model for every question.

    `own`: memories whose labels are left out of the priors; `base`: the shared memory.
    """
    unknown = np.full(memory.quality.shape[1], np.nan)
    means = (unknown, unknown) if base is None else (base.quality, base.tokens)
    if base is not None:
        sums = base.added(sums, len(memory.quality) - (own is not None))
    (prior, tagged), (prior_tokens, _) = (
        _prior(by_task, labels, questions.task, own, settings.n1, mean)
        for by_task, labels, mean in zip(memory.sums, (memory.quality, memory.tokens), means, strict=True)
    )
    n0 = np.where(tagged, settings.n0_task, settings.n0)
    with np.errstate(invalid="ignore", divide="ignore"):
        quality = _blended(sums.quality, sums.support, n0, prior)
        tokens = _blended(sums.tokens, sums.token_support, n0, prior_tokens)
        confidence = np.nan_to_num(np.where(sums.labels > 0, sums.support / (sums.support + n0), 0))
        mean_tokens = _shrunk(memory.sums[1][0][-1], memory.sums[1][1][-1], settings.n1, means[1])
    known = np.isfinite(tokens)
    others = np.where(known, tokens, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    others = np.where(known.any(axis=1), others, TOKENS)
    expected = np.where(known, tokens, others[:, None])
    prices = memory.prices
    cost = questions.prompt_tokens[:, None] * prices.prompt + expected * prices.completion
    usual = np.where(np.isfinite(mean_tokens), mean_tokens, expected)
    prompt = memory.mean_prompt if len(memory.quality) else questions.prompt_tokens[:, None]
    unit = (prompt * prices.prompt + usual * prices.completion).max(axis=1, keepdims=True)
    penalty = np.divide(cost, unit, out=np.zeros_like(cost), where=unit > 0)
    return Estimates(quality, sums.labels, confidence, cost, penalty)


class Search:
    """Neighbours found once, and summed once for each k and tau, for questions with and without tags."""

    def __init__(self, memory: Memory, questions: Questions, k: int, own: Ints | None = None) -> None:
        """`k`: the greatest k of all settings; `own`: as for `nearest`."""
        self.memory = memory
        self._questions = {True: questions, False: questions.untagged()}
        self._near = nearest(memory, questions, k, own)
        self._own = own
        self._sums: dict[tuple[int, float], Sums] = {}

    def priced(self, memory: Memory) -> Search:
        """Return the same neighbours in a memory with other prices and answers' lengths."""
        other = copy(self)
        other.memory, other._sums = memory, {}
        return other

    def estimates(self, settings: Settings, *, tagged: bool) -> Estimates:
        """Return the estimates of all questions."""
        key = settings.k, settings.tau
        if key not in self._sums:
            self._sums[key] = summed(self.memory, self._near.first(settings.k), settings.tau)
        return estimated(self.memory, self._sums[key], self._questions[tagged], settings, self._own)


def chosen(found: Estimates, alphas: Floats, default: int, settings: Settings) -> Ints:
    """Return the model ranked first by router.decide, for each alpha and question: shape (alphas, questions)."""
    # Ordered by cost, then by number, so that the first of equal scores is the choice.
    order = np.argsort(found.cost, axis=1, kind="stable")
    quality = np.take_along_axis(np.where(np.isnan(found.quality), -np.inf, found.quality), order, axis=1)
    penalty = np.take_along_axis(found.penalty, order, axis=1)
    best = np.stack([(quality - alpha * penalty).argmax(axis=1) for alpha in alphas])
    rows = np.arange(len(order))
    choices = order[rows, best]
    declined = (found.confidence[rows, choices] < settings.confidence_floor) | (found.labels[rows, choices] == 0)
    served: Ints = np.where(declined | np.isnan(found.quality[:, default]), default, choices)
    return served


def _by_task(task: Ints, labels: Floats) -> tuple[Floats, Floats]:
    known = np.isfinite(labels)
    values = np.where(known, labels, 0)
    many = int(task.max(initial=-1)) + 1
    sums, counts = np.zeros((2, many + 1, labels.shape[1]))
    tagged = task >= 0
    np.add.at(sums, task[tagged], values[tagged])
    np.add.at(counts, task[tagged], known[tagged])
    sums[-1], counts[-1] = values.sum(axis=0), known.sum(axis=0)
    return sums, counts


def _prior(
    by_task: tuple[Floats, Floats], labels: Floats, task: Ints, own: Ints | None, n1: float, wider: Floats
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return a task's mean, shrunk to the tenant's and that to the wider one, and whether the task has a label."""
    sums, counts = by_task
    all_sum, all_count = (np.repeat(values[-1][None], len(task), axis=0) for values in by_task)
    # A question without a tag, or with one that no memory has, has no sums.
    some = ((task >= 0) & (task < len(sums) - 1))[:, None]
    at = np.where(some[:, 0], task, -1)
    task_sum, task_count = np.where(some, sums[at], 0), np.where(some, counts[at], 0)
    if own is not None:
        known = np.isfinite(labels[own])
        values = np.where(known, labels[own], 0)
        all_sum, all_count = all_sum - values, all_count - known
        task_sum, task_count = task_sum - some * values, task_count - some * known
    return _shrunk(task_sum, task_count, n1, _shrunk(all_sum, all_count, n1, wider)), task_count > 0


def _shrunk(total: Floats, many: Floats, weight: float, wider: Floats) -> Floats:
    """Compute router_internal._prior."""
    with np.errstate(invalid="ignore", divide="ignore"):
        shrunk = np.where(many + weight > 0, (total + weight * wider) / (many + weight), wider)
    return np.where(np.isnan(wider), _mean(total, many), shrunk)


def _mean(total: Floats, many: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(many > 0, total / many, np.nan)


def _blended(weighted: Floats, support: Floats, n0: Floats, prior: Floats) -> Floats:
    alone = np.where(support > 0, weighted / support, np.nan)
    both = support + n0
    return np.where(np.isnan(prior), alone, np.where(both > 0, (weighted + n0 * prior) / both, np.nan))
