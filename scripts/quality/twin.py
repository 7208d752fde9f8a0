"""The rule in numpy: router.estimates and router.decide for many prompts at once.

quality/deviation.py compares both."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scripts.quality.fit import Fit, fitted, flags
from scripts.quality.formula import deviations, own_estimate, share
from scripts.quality.means import guesses, mean, means, of_guess, of_task, shrunk
from scripts.quality.memory import Floats, Ints, Memory, Questions, Sums, nearest, summed
from scripts.quality.settings import Settings

#: Expected tokens if no answer's length is known.
TOKENS = 256.0
#: Weight of a wider mean of answers' lengths in a narrower one, in answers.
LENGTHS = 5.0


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
        quality, tokens = (mean(total[-1], many[-1]) for total, many in memory.sums)
        return cls(sums, quality, tokens, weight)

    def added(self, sums: Sums, memories: int) -> Sums:
        """Return these sums plus `sums`, of a tenant with so many memories."""
        part = self.weight / (self.weight + memories) if self.weight > 0 else 0.0
        parts = (getattr(sums, name) + part * getattr(self.sums, name) for name in sums.__dataclass_fields__)
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

    def by_means(self, quality: Floats) -> Estimates:
        """Return estimates of the same cost, but with each model's mean (shape (models,)) as its quality."""
        known = np.broadcast_to(quality, self.quality.shape)
        sure = np.isfinite(known).astype(np.float64)
        return replace(self, quality=known, labels=sure, confidence=sure)


def estimated(
    memory: Memory,
    sums: Sums,
    questions: Questions,
    settings: Settings,
    own: Ints | None = None,
    base: Base | None = None,
    fit: Fit | None = None,
    likely: Floats | None = None,
) -> Estimates:
    """Return expected quality and cost of every model for every question.

    `own`: memories whose labels are left out of the priors; `base`: the shared memory; `fit`: the policy's, if usable;
    `likely`: the guessed tasks of the questions, as `guesses` returns them.
    """
    if base is not None:
        sums = base.added(sums, len(memory.quality) - (own is not None))
    fit_n0, guess, transfer = flags(fit, settings)
    usual = means(memory, settings.n2, own, None if base is None else base.quality)
    usual = np.broadcast_to(usual, sums.quality.shape)
    prior, known = of_task(memory.sums[0], memory.quality, questions.task, own, settings.n1, usual)
    n0 = np.where(known > 0, settings.n0_task, fit_n0)
    if guess and likely is not None:
        untagged = questions.task[:, None] < 0
        prior = np.where(untagged, of_guess(memory, likely, settings.n1, usual, own), prior)
        n0 = np.where(untagged, settings.n0_task, n0)
    quality = own_estimate(prior, sums, n0, settings.ease, memory.density)
    if transfer is not None:
        part = share(settings.transfer, float(np.isfinite(memory.quality).sum(axis=0).mean()))
        quality = (1 - part) * quality + part * (prior + deviations(prior, sums) @ transfer)
    with np.errstate(invalid="ignore", divide="ignore"):
        confidence = np.nan_to_num(np.where(sums.labels > 0, sums.support / (sums.support + n0), 0))
    cost, penalty = _costs(memory, sums, questions, settings, own, base, known > 0)
    return Estimates(quality, sums.labels, confidence, cost, penalty)


class Search:
    """Neighbours found once, and summed once for each k and tau, for questions with and without tags."""

    def __init__(self, memory: Memory, questions: Questions, k: int, own: Ints | None = None) -> None:
        """`k`: the greatest k of all settings; `own`: as for `nearest`."""
        self.memory = memory
        self.k = k
        self._questions = {True: questions, False: questions.untagged()}
        self._near = nearest(memory, questions, k, own)
        self._own = own
        self._sums: dict[tuple[int, float], Sums] = {}
        self._fits: dict[Settings, Fit | None] = {}
        self._likely: dict[int, Floats] = {}

    def fit(self, settings: Settings) -> Fit | None:
        """Return the fit of the memory for these settings, which is made once."""
        if not settings.fitted:
            return None
        if settings not in self._fits:
            self._fits[settings] = fitted(self.memory, settings)
        return self._fits[settings]

    def sums(self, settings: Settings) -> Sums:
        """Return the sums over the neighbours of all questions."""
        key = settings.k, settings.tau
        if key not in self._sums:
            self._sums[key] = summed(self.memory, self._near.first(settings.k), settings.tau)
        return self._sums[key]

    def estimates(self, settings: Settings, *, tagged: bool, fit: Fit | None = None) -> Estimates:
        """Return the estimates of all questions; `fit`: None: the one of `self.fit`."""
        if settings.k not in self._likely:
            self._likely[settings.k] = guesses(self.memory, self._near.first(settings.k))
        return estimated(
            self.memory, self.sums(settings), self._questions[tagged], settings, self._own,
            fit=self.fit(settings) if fit is None else fit, likely=self._likely[settings.k],
        )  # fmt: skip


def chosen(found: Estimates, alphas: Floats, default: int, settings: Settings) -> Ints:
    """Return the model ranked first by router.decide, for each alpha and question: shape (alphas, questions)."""
    # Ordered by cost, then by number, so that the first of equal scores is the choice.
    order = np.argsort(found.cost, axis=1, kind="stable")
    quality = np.take_along_axis(np.where(np.isnan(found.quality), -np.inf, found.quality), order, axis=1)
    penalty = np.take_along_axis(found.penalty, order, axis=1)
    best = np.stack([(quality - alpha * penalty).argmax(axis=1) for alpha in alphas])
    rows = np.arange(len(order))
    choices = order[rows, best]
    declined = found.confidence[rows, choices] < settings.confidence_floor
    served: Ints = np.where(declined | np.isnan(found.quality[:, default]), default, choices)
    return served


def _costs(
    memory: Memory,
    sums: Sums,
    questions: Questions,
    settings: Settings,
    own: Ints | None,
    base: Base | None,
    tagged: NDArray[np.bool_],
) -> tuple[Floats, Floats]:
    """Return the expected cost, USD, and its share of what the dearest model costs for an average prompt."""
    total, many = memory.sums[1]
    all_sum, all_count = (np.repeat(values[-1][None], len(questions.task), axis=0) for values in (total, many))
    if own is not None:
        known = np.isfinite(memory.tokens[own])
        all_sum, all_count = all_sum - np.where(known, memory.tokens[own], 0), all_count - known
    wider = np.full(total.shape[1], np.nan) if base is None else base.tokens
    mean_of_all = shrunk(all_sum, all_count, LENGTHS, wider)
    prior, _ = of_task(memory.sums[1], memory.tokens, questions.task, own, LENGTHS, mean_of_all)
    tokens = _blended(sums.tokens, sums.token_support, np.where(tagged, settings.n0_task, settings.n0), prior)
    known = np.isfinite(tokens)
    others = np.where(known, tokens, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    others = np.where(known.any(axis=1), others, TOKENS)
    expected = np.where(known, tokens, others[:, None])
    prices = memory.prices
    cost = questions.prompt_tokens[:, None] * prices.prompt + expected * prices.completion
    usual = shrunk(total[-1], many[-1], LENGTHS, wider)
    usual = np.where(np.isfinite(usual), usual, expected)
    prompt = memory.mean_prompt if len(memory.quality) else questions.prompt_tokens[:, None]
    unit = (prompt * prices.prompt + usual * prices.completion).max(axis=1, keepdims=True)
    return cost, np.divide(cost, unit, out=np.zeros_like(cost), where=unit > 0)


def _blended(weighted: Floats, support: Floats, n0: Floats, prior: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        alone = np.where(support > 0, weighted / support, np.nan)
        both = support + n0
        return np.where(np.isnan(prior), alone, np.where(both > 0, (weighted + n0 * prior) / both, np.nan))
