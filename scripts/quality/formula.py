"""The formulas of an estimate: of one model's own labels, and of the other models' labels."""

from __future__ import annotations

from math import isinf

import numpy as np

from scripts.quality.memory import Floats, Sums

#: Weight of the prior in the deviation of a model that others' estimates use, neighbours.
TRANSFERRED = 2.0
#: Labels a model has at which half of `transfer` is used.
HALF = 300.0


def own_estimate(prior: Floats, sums: Sums, n0: Floats | float, ease: float, density: float) -> Floats:
    """Return the quality that a model's own labels and the ease of the prompt suggest, NaN for an unknown prior.

    Ease is how much better than expected the neighbours were answered by all models, which shifts every prior.
    `density`: labels of a memory.
    """
    support = sums.support
    apart = _deviations(prior, sums)
    shift = np.zeros((len(support), 1))
    if not isinf(ease):
        known = np.where(np.isnan(prior), 0, support).sum(axis=1, keepdims=True)
        weight = known + ease * max(1.0, density)
        shift = np.divide(apart.sum(axis=1, keepdims=True), weight, out=shift, where=weight > 0)
    both = support + n0
    rest = np.divide(apart - shift * support, both, out=np.zeros(support.shape), where=both > 0)
    return prior + shift + rest


def deviations(prior: Floats, sums: Sums) -> Floats:
    """Return how much better than its prior each model answered the neighbours; 0 where it has none."""
    return _deviations(prior, sums) / (sums.support + TRANSFERRED)


def share(transfer: float, labels: float) -> float:
    """Return the share of the estimate that the other models' labels decide; `labels`: of a model, mean."""
    return transfer * labels / (labels + HALF)


def _deviations(prior: Floats, sums: Sums) -> Floats:
    return np.where(np.isnan(prior), 0, sums.quality - prior * sums.support)
