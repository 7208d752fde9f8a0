"""The documented formula of an estimate, computed anew for one prompt."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pgvector import HalfVector

from tests.support.sql_world import Taught

#: Weight of a wider mean of answers' lengths in a narrower one, in answers.
LENGTHS = 5.0


@dataclass(frozen=True)
class Fit:
    """A row of router.fits: `transfer[i][j]` is what the evidence of `models[i]` adds to `models[j]`; None: none."""

    n0: float
    guess: bool
    models: Sequence[int]
    transfer: Sequence[Sequence[float]] | None


@dataclass(frozen=True)
class Twin:
    """Compute the estimates of the documented formula for one prompt; prices by model: input, cached input, output.

    `ledger` has the completion tokens and the token ratio of each model, None: unknown.
    """

    lessons: Sequence[Taught]
    prices: Mapping[int, tuple[float, float, float]]
    k: int
    tau: float
    n0: float
    n0_task: float
    n1: float
    n2: float
    ease: float
    transfer: float
    alpha: float
    switch_penalty: float
    ledger: Mapping[int, tuple[float | None, float | None]]
    fit: Fit | None = None

    def estimates(
        self, embedding: HalfVector, task: str | None, prompt_tokens: int, current: int | None, cached: int
    ) -> dict[int, dict[str, Any]]:
        """Return by model: quality, labels, confidence, completion_tokens, cost_usd, score and their parts."""
        near = self._nearest(embedding)
        found = {model: self._model(model, near, task) for model in self.prices}
        self._estimate(found)
        lengths = [f["length"] for f in found.values() if f["length"] is not None]
        prompts = [lesson.prompt_tokens for lesson in self.lessons]
        average = sum(prompts) / len(prompts) if prompts else prompt_tokens
        units = []
        for model, f in found.items():
            f["completion_tokens"] = (
                f["length"] if f["length"] is not None else sum(lengths) / len(lengths) if lengths else 256
            )
            price, cached_price, output_price = self.prices[model]
            ratio = self.ledger.get(model, (None, None))[1] or 1.0
            prompt = prompt_tokens * ratio
            read = min(cached, prompt) if model == current else 0
            f["cost_usd"] = (
                (prompt - read) * price + read * cached_price + f["completion_tokens"] * output_price
            ) / 1e6
            mean = f["mean_length"] if f["mean_length"] is not None else f["completion_tokens"]
            units.append((average * ratio * price + mean * output_price) / 1e6)
        for model, f in found.items():
            switch = self.switch_penalty if current is not None and model != current else 0
            f["score"] = (
                None
                if f["quality"] is None
                else f["quality"] - self.alpha * (f["cost_usd"] / max(units) if max(units) else 0) - switch
            )
        return found

    def _estimate(self, found: Mapping[int, dict[str, Any]]) -> None:
        known = {model: f for model, f in found.items() if f["prior"] is not None}
        excess = {model: f["total"] - f["prior"] * f["support"] for model, f in known.items()}
        labels = sum(f["known"] for f in found.values())
        density = max(1.0, labels / len(self.lessons))
        support = sum(f["support"] for f in known.values())
        ease = sum(excess.values()) / (support + self.ease * density)
        fit = self.fit
        transfer = None if fit is None else fit.transfer
        share = 0.0
        if fit is not None and transfer is not None and set(found) <= set(fit.models):
            share = self.transfer * labels / (labels + 300 * len(found))
        for model, f in found.items():
            f["quality"] = None
            if f["prior"] is None:
                continue
            weight = f["support"] + f["n0"]
            direct = f["prior"] + ease + ((excess[model] - ease * f["support"]) / weight if weight else 0)
            borrowed = 0.0
            if share > 0 and fit is not None and transfer is not None:
                column = fit.models.index(model)
                borrowed = sum(
                    excess[other] / (known[other]["support"] + 2) * transfer[fit.models.index(other)][column]
                    for other in known
                )
            f["quality"] = (1 - share) * direct + share * (f["prior"] + borrowed)

    def _nearest(self, embedding: HalfVector) -> list[tuple[float, float, Taught]]:
        a = np.asarray(embedding.to_numpy(), np.float64)
        pairs = []
        for lesson in self.lessons:
            b = np.asarray(lesson.embedding.to_numpy(), np.float64)
            similarity = float(a @ b / math.sqrt((a @ a) * (b @ b)))
            pairs.append((math.exp((similarity - 1) / self.tau), similarity, lesson))
        pairs.sort(key=lambda pair: -pair[1])
        return pairs[: self.k]

    def _model(self, model: int, near: list[tuple[float, float, Taught]], task: str | None) -> dict[str, Any]:
        scores = [lesson.scores[model] for lesson in self.lessons if model in lesson.scores]
        of_task = self._of_task(model, task)
        lengths = [lesson.tokens[model] for lesson in self.lessons if model in lesson.tokens]
        of_task_lengths = [
            lesson.tokens[model]
            for lesson in self.lessons
            if model in lesson.tokens and lesson.task == task and task is not None
        ]
        guesses = task is None and self.fit is not None and self.fit.guess
        n0 = self.n0_task if of_task or guesses else self.n0 if self.fit is None else self.fit.n0
        votes = [(weight, lesson.scores[model]) for weight, _, lesson in near if model in lesson.scores]
        length_votes = [(weight, lesson.tokens[model]) for weight, _, lesson in near if model in lesson.tokens]
        support = sum(weight for weight, _ in votes)
        mean = self._mean(model)
        mean_length = self._mean_length(lengths, self.ledger.get(model, (None, None))[0])
        return {
            "labels": len(votes),
            "known": len(scores),
            "support": support,
            "total": sum(weight * value for weight, value in votes),
            "n0": n0,
            "mean": mean,
            "prior": self._guessed(model, mean, near) if guesses else self._shrunk(mean, of_task),
            "confidence": support / (support + n0) if support + n0 else 0.0,
            "length": blend(
                length_votes, self._shrunk(mean_length, of_task_lengths, LENGTHS), self.n0_task if of_task else self.n0
            ),
            "mean_length": mean_length,
        }

    def _of_task(self, model: int, task: str | None) -> list[float]:
        return [
            lesson.scores[model]
            for lesson in self.lessons
            if model in lesson.scores and lesson.task == task and task is not None
        ]

    def _mean(self, model: int) -> float | None:
        by_model = {m: [x.scores[m] for x in self.lessons if m in x.scores] for m in self.prices}
        scores = by_model[model]
        if not scores:
            return None
        if self.n2 == 0:
            return sum(scores) / len(scores)
        common = sum(sum(s) / (len(s) + self.n2) for s in by_model.values())
        common /= sum(len(s) / (len(s) + self.n2) for s in by_model.values())
        paired = [x.scores[model] for x in self.lessons if model in x.scores and len(x.scores) > 1]
        single = [x.scores[model] for x in self.lessons if model in x.scores and len(x.scores) == 1]
        wider = (sum(single) + self.n2 * common) / (len(single) + self.n2)
        return (sum(paired) + self.n2 * wider) / (len(paired) + self.n2)

    def _guessed(self, model: int, mean: float | None, near: list[tuple[float, float, Taught]]) -> float | None:
        tags = [(math.exp((similarity - 1) / 0.05), lesson.task) for _, similarity, lesson in near[:20] if lesson.task]
        if mean is None or not tags:
            return mean
        priors = [(weight, self._shrunk(mean, self._of_task(model, tag))) for weight, tag in tags]
        return sum(weight * (prior or 0.0) for weight, prior in priors) / sum(weight for weight, _ in priors)

    def _mean_length(self, lengths: Sequence[float], seen: float | None) -> float | None:
        if seen is None:
            return sum(lengths) / len(lengths) if lengths else None
        return (sum(lengths) + LENGTHS * seen) / (len(lengths) + LENGTHS)

    def _shrunk(self, mean: float | None, of_task: Sequence[float], n1: float | None = None) -> float | None:
        if mean is None:
            return None
        n1 = self.n1 if n1 is None else n1
        weight = len(of_task) + n1
        return (sum(of_task) + n1 * mean) / weight if weight else mean


def blend(votes: Sequence[tuple[float, float]], prior: float | None, n0: float) -> float | None:
    """Return the weighted mean of some votes and a prior that weighs n0; None if nothing is known."""
    support, total = sum(weight for weight, _ in votes), sum(weight * value for weight, value in votes)
    if prior is None:
        return total / support if support else None
    return (total + n0 * prior) / (support + n0) if support + n0 else None
