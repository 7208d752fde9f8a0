"""Reads a label set: prompts with the score and the cost of several models' answers."""

from __future__ import annotations

import csv
import gzip
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

UNKNOWN = frozenset({"", "nan", "na", "n/a", "none", "null"})
#: Only prompts that every model answered are questions: minimum number of them, and minimum share of all prompts.
COMPLETE, COMPLETE_SHARE = 10, 0.2
#: Limits of the database: length of a tag, and tags of a tenant.
TAG_CHARS, TAGS = 100, 1000


class UnusableSet(Exception):
    """The file cannot be measured; the message has the reason."""


@dataclass(frozen=True)
class LabelSet:
    """A set whose prompts are all different.

    `quality` (0 to 1) and `cost` (USD) have shape (prompts, models), NaN where unknown; `tasks` holds a tag or None for
    each prompt, and is None itself if the file has no tasks. `notes` lists the parts of the file that were left out.
    """

    name: str
    prompts: list[str]
    tasks: list[str | None] | None
    models: list[str]
    quality: Floats
    cost: Floats
    notes: tuple[str, ...] = ()

    @property
    def complete(self) -> NDArray[np.bool_]:
        """Shape (prompts,): whether score and cost of every model are known, so that any choice can be judged."""
        return np.array(~np.isnan(self.quality + self.cost).any(axis=1), np.bool_)

    def part(self, rows: NDArray[np.int64]) -> LabelSet:
        """Return the set of some prompts."""
        tasks = None if self.tasks is None else [self.tasks[i] for i in rows.tolist()]
        return replace(
            self,
            prompts=[self.prompts[i] for i in rows.tolist()],
            tasks=tasks,
            quality=self.quality[rows],
            cost=self.cost[rows],
        )


def load(path: Path, limit: int | None = None) -> LabelSet:
    """Read the set of a CSV file (.csv or .csv.gz), or `limit` prompts of it, the same ones every time.

    Columns: `prompt`, `task` (optional), and `q:MODEL` with `c:MODEL` for two models or more; an empty cell (or nan,
    none, null) is unknown. Rows of the same prompt are merged to the mean of their cells. Models are left out, those
    with the most unknown cells first, until enough prompts were answered by all of the rest. Raises `UnusableSet`.
    """
    name = path.name.removesuffix(".gz").removesuffix(".csv")
    notes: list[str] = []
    csv.field_size_limit(sys.maxsize)
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8-sig", errors="replace", newline="") as file:
            reader = csv.DictReader(file)
            columns = list(reader.fieldnames or ())
            models, left = _models(columns)
            if left:
                notes.append(f"no costs of {', '.join(left)}")
            if "prompt" not in columns or len(models) < 2:
                raise UnusableSet("needs a column `prompt`, and `q:MODEL` with `c:MODEL` for two models.")
            prompts, tags, cells = _rows(reader, models, limit)
    except (OSError, EOFError, csv.Error) as error:
        raise UnusableSet(f"it cannot be read: {error}") from None
    quality, cost = cells[:, : len(models)], cells[:, len(models) :]
    known = np.isfinite(quality).any(axis=1)
    if not known.all():
        notes.append(f"{int((~known).sum())} prompts without any score")
    found = LabelSet(name, prompts, _useful(tags, notes), models, quality, cost).part(np.flatnonzero(known))
    return replace(_answered(found, notes), notes=tuple(notes))


def _models(columns: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the models with score and cost, and those with a score alone."""
    scored = [column[2:] for column in columns if column.startswith("q:")]
    return [m for m in scored if f"c:{m}" in columns], [m for m in scored if f"c:{m}" not in columns]


def _rows(
    reader: csv.DictReader[str], models: Sequence[str], limit: int | None
) -> tuple[list[str], list[str | None], Floats]:
    """Return prompts, their tags, and the means of their scores and costs, shape (prompts, 2 * models)."""
    numbers: dict[str, int] = {}
    tags: list[str | None] = []
    at: list[int] = []
    values: list[list[float]] = []
    for prompt, tag, cells in _parsed(reader, models):
        if prompt not in numbers:
            numbers[prompt] = len(numbers)
            tags.append(tag)
        at.append(numbers[prompt])
        values.append(cells)
    if not numbers:
        raise UnusableSet("it holds no prompts.")
    table = np.array(values)
    known = np.isfinite(table)
    sums = np.zeros((len(numbers), table.shape[1]))
    counts = np.zeros_like(sums)
    np.add.at(sums, at, np.where(known, table, 0))
    np.add.at(counts, at, known)
    means = np.full_like(sums, np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    prompts = list(numbers)
    if limit is not None and limit < len(prompts):
        kept = np.sort(np.random.default_rng(0).permutation(len(prompts))[:limit])
        return [prompts[i] for i in kept.tolist()], [tags[i] for i in kept.tolist()], means[kept]
    return prompts, tags, means


def _parsed(reader: csv.DictReader[str], models: Sequence[str]) -> Iterator[tuple[str, str | None, list[float]]]:
    for row in reader:
        # As in teaching: Postgres cannot store NUL.
        prompt = (row["prompt"] or "").replace("\0", "").strip()
        if not prompt:
            continue
        tag = (row.get("task") or "").replace("\0", "").strip()[:TAG_CHARS].strip() or None
        where = f"line {reader.line_num}"
        scores = [_number(where, f"q:{model}", row[f"q:{model}"], 1.0) for model in models]
        costs = [_number(where, f"c:{model}", row[f"c:{model}"], math.inf) for model in models]
        yield prompt, tag, scores + costs


def _number(where: str, column: str, text: str | None, most: float) -> float:
    """Return the number in a cell, NaN if it is unknown."""
    if text is None or text.strip().lower() in UNKNOWN:
        return math.nan
    try:
        value = float(text)
    except ValueError:
        value = math.inf
    if not 0 <= value <= most or math.isinf(value):
        bounds = "from 0 to 1" if most == 1 else "of 0 or more"
        raise UnusableSet(f"{where}: {column} is {text!r}, not a number {bounds}.")
    return value


def _useful(tags: list[str | None], notes: list[str]) -> list[str | None] | None:
    different = {tag for tag in tags if tag is not None}
    if len(different) > TAGS:
        notes.append(f"{len(different):,} task tags are more than a tenant may use, so none is")
        return None
    return tags if len(different) > 1 else None


def _answered(found: LabelSet, notes: list[str]) -> LabelSet:
    left: list[str] = []
    while (complete := int(found.complete.sum())) < max(COMPLETE, COMPLETE_SHARE * len(found.prompts)):
        unknown = (~(np.isfinite(found.quality) & np.isfinite(found.cost))).sum(axis=0)
        if len(found.models) == 2 or not unknown.any():
            raise UnusableSet(f"{complete} prompts were answered by every model, {COMPLETE} are needed.")
        worst = int(unknown.argmax())
        left.append(found.models[worst])
        found = replace(
            found,
            models=found.models[:worst] + found.models[worst + 1 :],
            quality=np.delete(found.quality, worst, axis=1),
            cost=np.delete(found.cost, worst, axis=1),
        )
        found = found.part(np.flatnonzero(np.isfinite(found.quality).any(axis=1)))
    if left:
        notes.append(f"{', '.join(left)} left out: too few answers")
    return found
