"""The fit of a policy's estimates to its memory: router.fit in numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from scripts.quality.formula import deviations, own_estimate
from scripts.quality.means import guesses, means, of_guess
from scripts.quality.memory import Floats, Ints, Memory, Near, Sums, nearest, summed
from scripts.quality.settings import Settings

#: Memories from which on a memory is fitted, and rows that it is fitted to at most.
LEAST, ROWS = 200, 1000
#: Rows with the labels of two models or more from which on they alone judge, and matrices are fitted.
PAIRS = 50
#: The weights of the prior, and of the matrix's ridge, that are compared.
N0S = (2.0, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 1e6)
LAMBDAS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 1e9)


@dataclass(frozen=True)
class Fit:
    """A row of router.fits. `transfer[i, j]`: effect of model i's deviation on model j; None: too few pairs."""

    rows: int
    pairs: int
    n0: float
    guess: bool
    ridge: float | None
    transfer: Floats | None


def sample(memory: Memory, seed: int = 0) -> Ints:
    """Return the rows that a memory is fitted to, in place of the SQL's order by a hash of their numbers."""
    labelled = np.flatnonzero(np.isfinite(memory.quality).any(axis=1))
    return np.random.default_rng(seed).permutation(labelled)[:ROWS]


class Lent(Protocol):
    """What a shared memory adds: sums over its neighbours of the fitted rows, and its means."""

    @property
    def quality(self) -> Floats:
        """Mean quality by model."""

    def added(self, sums: Sums, memories: int) -> Sums:
        """Return these sums plus `sums`, of a tenant with so many memories."""


def fitted(
    memory: Memory, settings: Settings, own: Ints | None = None, near: Near | None = None, base: Lent | None = None
) -> Fit | None:
    """Fit a memory, None if it is too small.

    `own`: the rows, in place of `sample`; `near`: their neighbours without themselves, at least as many as k, in place
    of a search; `base`: the shared memory, for these rows.
    """
    if len(memory.quality) < LEAST:
        return None
    own = sample(memory) if own is None else own
    near = nearest(memory, memory.rows.part(own), settings.k, own) if near is None else near
    near = near.first(settings.k)
    sums = summed(memory, near, settings.tau)
    if base is not None:
        sums = base.added(sums, len(memory.quality) - 1)
    labels = memory.quality[own]
    prior = means(memory, settings.n2, own, None if base is None else base.quality)
    paired = np.isfinite(labels - prior).sum(axis=1) >= 2
    pairs = int(paired.sum())
    enough = pairs >= PAIRS

    def own_errors(prior: Floats, n0: float) -> Floats:
        found = errors(labels, own_estimate(prior, sums, n0, settings.ease, memory.density))
        return found[paired] if enough else found

    n0 = settings.n0
    if settings.fit_n0 == "on":
        n0 = _prior_weight(np.stack([own_errors(prior, n0) for n0 in N0S]), enough)
    guess = settings.guess_task == "always"
    guessed = of_guess(memory, guesses(memory, near), settings.n1, prior, own)
    if settings.guess_task == "fit" and enough and (memory.rows.task >= 0).any():
        guess = bool(own_errors(guessed, settings.n0_task).sum() < own_errors(prior, n0).sum())
    ridge, transfer = None, None
    if enough and settings.transfer > 0:
        ridge, transfer = _transfer(guessed if guess else prior, sums, labels)
    return Fit(len(own), pairs, n0, guess, ridge, transfer)


def errors(labels: Floats, estimates: Floats) -> Floats:
    """Return each row's sum of squared errors, less the row's mean error if it has two known labels or more."""
    apart = labels - estimates
    known = np.isfinite(apart)
    apart = np.where(known, apart, 0)
    many = known.sum(axis=1, keepdims=True)
    mean = np.where(many >= 2, apart.sum(axis=1, keepdims=True) / np.maximum(many, 1), 0)
    found: Floats = (np.where(known, apart - mean, 0) ** 2).sum(axis=1)
    return found


def _prior_weight(found: Floats, enough: bool) -> float:
    """Return n0 by the errors, shape (N0S, rows).

    With too few pairs, where errors say little: the greatest n0 that is not worse than the best beyond noise.
    """
    best = int(found.sum(axis=1).argmin())
    if not enough:
        apart = found - found[best]
        best = int(np.flatnonzero(apart.sum(axis=1) <= np.sqrt((apart**2).sum(axis=1)))[-1])
    return N0S[best]


def _transfer(prior: Floats, sums: Sums, labels: Floats) -> tuple[float, Floats]:
    """Return the ridge with the least error of leave-one-out, and its matrix."""
    by = deviations(prior, sums)
    apart = labels - prior
    known = np.isfinite(apart)
    paired = known.sum(axis=1) >= 2
    models = range(labels.shape[1])
    groups = [(known[:, model], [model]) for model in models]
    if known.all():
        groups = [(known[:, 0], list(models))]
    solved = [_solved(by[rows], apart[rows][:, at]) for rows, at in groups]
    best: tuple[float, float, Floats] | None = None
    for number, ridge in enumerate(LAMBDAS):
        matrix = np.zeros((len(models), len(models)))
        left = np.full(labels.shape, np.nan)
        for (rows, at), solutions in zip(groups, solved, strict=True):
            if solutions is not None:
                matrix[:, at], left[np.ix_(rows, np.array(at))] = solutions[number]
        total = float(errors(left, np.zeros_like(left))[paired].sum())
        if best is None or total < best[0]:
            best = total, ridge, matrix
    assert best is not None
    return best[1], best[2]


def _solved(by: Floats, apart: Floats) -> list[tuple[Floats, Floats]] | None:
    """Return the coefficients and the leave-one-out residuals for each ridge; None for fewer than two rows."""
    if len(by) < 2:
        return None
    values, vectors = np.linalg.eigh(by.T @ by)
    trace = float(np.trace(by.T @ by)) / by.shape[1]
    if trace <= 0:
        return [(np.zeros((by.shape[1], apart.shape[1])), apart)] * len(LAMBDAS)
    turned = by @ vectors
    right = turned.T @ apart
    found = []
    for ridge in LAMBDAS:
        scale = 1 / (np.maximum(values, 0) + ridge * trace)
        leverage = (turned**2 @ scale)[:, None]
        found.append((vectors @ (scale[:, None] * right), (apart - turned @ (scale[:, None] * right)) / (1 - leverage)))
    return found


def flags(fit: Fit | None, settings: Settings) -> tuple[float, bool, Floats | None]:
    """Return the n0 of untagged requests, whether their task is guessed, and the matrix, as estimates use them."""
    n0 = fit.n0 if fit is not None and settings.fit_n0 == "on" else settings.n0
    guess = settings.guess_task == "always" or (settings.guess_task == "fit" and fit is not None and fit.guess)
    return n0, guess, None if fit is None else fit.transfer
