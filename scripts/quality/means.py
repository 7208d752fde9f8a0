"""The means of the models' labels, and the priors made of them: of a task, of a guessed task, or the mean itself."""

from __future__ import annotations

import numpy as np

from scripts.quality.memory import Floats, Ints, Memory, Near, known_and_values

#: Neighbours whose tags guess a task, and the width of their weights.
GUESSING, GUESS_TAU = 20, 0.05


def means(memory: Memory, n2: float, own: Ints | None = None, shared: Floats | None = None) -> Floats:
    """Return each model's mean, shape (1, models), or (own, models) if the labels of `own` are left out for each.

    Labels of memories with two or more count as they are. Those of memories with one, whose models were chosen for
    their prompts, count through the mean that the others are shrunk to. With n2 = 0 all labels count alike. `shared`:
    the means of the shared memory. NaN: a model without labels and without a shared mean.
    """
    known, values = known_and_values(memory.quality)
    paired = memory.paired[:, None]
    sums, paired_sums = values.sum(axis=0)[None], (values * paired).sum(axis=0)[None]
    counts, paired_counts = known.sum(axis=0)[None], (known * paired).sum(axis=0)[None]
    if own is not None:
        sums, paired_sums = sums - values[own], paired_sums - (values * paired)[own]
        counts, paired_counts = counts - known[own], paired_counts - (known * paired)[own]
    plain = mean(sums, counts)
    if n2 > 0:
        weight = (counts / (counts + n2)).sum(axis=1, keepdims=True)
        common = mean((sums / (counts + n2)).sum(axis=1, keepdims=True), weight)
        wider = np.broadcast_to(common, sums.shape)
        if shared is not None:
            wider = np.where(np.isnan(shared), wider, shared)
        single = (sums - paired_sums + n2 * wider) / (counts - paired_counts + n2)
        found = (paired_sums + n2 * single) / (paired_counts + n2)
    else:
        found = plain
    unknown = np.full(sums.shape, np.nan) if shared is None else np.broadcast_to(shared, sums.shape)
    return np.where(counts > 0, found, unknown)


def of_task(
    by_task: tuple[Floats, Floats], labels: Floats, task: Ints, own: Ints | None, n1: float, wider: Floats
) -> tuple[Floats, Floats]:
    """Return the mean of each question's task, shrunk to the wider mean, and the number of the task's labels."""
    sums, counts = by_task
    # A question without a tag, or with one that no memory has, has no sums.
    some = ((task >= 0) & (task < len(sums) - 1))[:, None]
    at = np.where(some[:, 0], task, -1)
    task_sum, task_count = np.where(some, sums[at], 0), np.where(some, counts[at], 0)
    if own is not None:
        known, values = known_and_values(labels[own])
        task_sum, task_count = task_sum - some * values, task_count - some * known
    return shrunk(task_sum, task_count, n1, wider), task_count


def guesses(memory: Memory, near: Near) -> Floats:
    """Return how likely each task is by the tags of the nearest memories, shape (questions, tasks); 0 without tags."""
    near = near.first(GUESSING)
    task = memory.rows.task[near.index]
    weights = np.exp((near.similarity - 1) / GUESS_TAU) * (task >= 0)
    found = np.zeros((len(task), int(memory.rows.task.max(initial=-1)) + 1))
    if found.shape[1]:
        np.add.at(found, (np.arange(len(task))[:, None], np.maximum(task, 0)), weights)
    total = found.sum(axis=1, keepdims=True)
    shares: Floats = np.divide(found, total, out=found, where=total > 0)
    return shares


def of_guess(memory: Memory, likely: Floats, n1: float, wider: Floats, own: Ints | None = None) -> Floats:
    """Return the mean of a task by how `likely` each is, as `guesses` returns it; the wider mean if none is."""
    wider = np.broadcast_to(wider, (len(likely), memory.quality.shape[1]))
    if not likely.shape[1]:
        return wider
    sums, counts = (values[:-1] for values in memory.sums[0])
    prior: Floats = (1 - likely.sum(axis=1, keepdims=True)) * wider
    for number in range(likely.shape[1]):
        prior = prior + likely[:, number : number + 1] * shrunk(sums[number], counts[number], n1, wider)
    if own is None:
        return prior
    # The prior of a row's own task, without its own labels.
    task = memory.rows.task[own]
    rows = np.flatnonzero(task >= 0)
    at, task = own[rows], task[rows]
    known, values = known_and_values(memory.quality[at])
    left = shrunk(sums[task] - values, counts[task] - known, n1, wider[rows])
    prior[rows] += likely[rows, task][:, None] * (left - shrunk(sums[task], counts[task], n1, wider[rows]))
    return prior


def shrunk(total: Floats, many: Floats, weight: float, wider: Floats) -> Floats:
    """Compute router_internal._prior."""
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.where(many + weight > 0, (total + weight * wider) / (many + weight), wider)
    return np.where(np.isnan(wider), mean(total, many), found)


def mean(total: Floats, many: Floats) -> Floats:
    """Return the mean of labels by their sum and number, NaN without any."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(many > 0, total / many, np.nan)
