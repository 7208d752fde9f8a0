"""The results of one set, as rows of the report and as printed tables."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from scripts.quality.cells import BEST, BLEND, CHEAP, ORACLE, STRONG, Cells, Key
from scripts.quality.rules import DEFAULT, PLAIN, RULES, SEARCHED, TUNED, grid
from scripts.quality.shared_memory import LIKE, UNLIKE, WEIGHTS, named
from scripts.quality.shared_memory import SIZES as LEANING
from scripts.support.report import Baseline, Params, Report, Row, say

#: Targets of the gain of default settings, points, by set: without and with tags.
GAINS = {"routellm": {False: 3.0}, "llmrouter": {False: 4.5, True: 6.0}}
#: Number of labels from which on the gain must not be negative.
ENOUGH = 100
#: Points of quality by which a calibrated target may be missed, and maximum difference of the twin from the SQL.
MISS, APART = 1.0, 1e-4
#: Student's t, one-sided, 95%, by degrees of freedom.
T = {1: 6.31, 2: 2.92, 3: 2.35, 4: 2.13}
REFERENCES = (ORACLE, BLEND, CHEAP, STRONG, BEST)
#: Columns of the first table: metric, unit, factor, digits.
COLUMNS = (
    ("gain", "points", 1, 2), ("AIQ", "", 1, 4), ("APGR", "", 1, 3), ("APGR by cost", "", 1, 3),
    ("CPT 50%", "%", 100, 1), ("CPT 80%", "%", 100, 1),
)  # fmt: skip


@dataclass(frozen=True)
class Title:
    """The subject of the rows: set and embedder."""

    set: str
    embedder: str


class Sheet:
    """Adds the rows of one set and embedder to a report, and prints them."""

    def __init__(self, report: Report, title: Title, cells: Cells) -> None:
        self._report = report
        self._title = title
        self._cells = cells

    def all(self) -> None:
        """Add and print every table."""
        self._compared()
        self._learned()
        self._leant()
        self._saved()
        self._fixed()
        self._checked()

    def _compared(self) -> None:
        table = [
            ["", *(f"{metric}{f', {unit}' if unit else ''}" for metric, unit, _, _ in COLUMNS), "quality", "USD/1000"]
        ]
        names = [*((name, False) for name in REFERENCES), *((r.name, t) for t in (False, True) for r in RULES)]
        for rule, tagged in names:
            line = [_name(rule, tagged)]
            for metric, unit, factor, digits in COLUMNS:
                ours = metric == "gain" and rule == DEFAULT.name
                target = GAINS.get(self._title.set, {}).get(tagged) if ours else None
                line.append(self._cell(Key(metric, rule, tagged), unit, factor, digits, at_least=target))
            for metric, unit, factor, digits in (("quality", "", 1, 3), ("cost", "USD per 1,000", 1000, 4)):
                line.append(self._cell(Key(metric, rule, tagged), unit, factor, digits))
            if any(line[1:]):
                table.append(line)
        _print(f"{self._title.set}: with all labels, mean ± sd over the seeds ({self._title.embedder})", table)

    def _learned(self) -> None:
        sizes = sorted({key.at for key in self._cells.values if key.metric == "gain" and key.at is not None})
        table = [["labels", *(f"{size:,.0f}" for size in sizes)]]
        for rule, tagged in [(ORACLE, False), *((r.name, t) for t in (False, True) for r in (*RULES, SEARCHED))]:
            line = [_name(rule, tagged)]
            for size in sizes:
                target = 0.0 if rule == DEFAULT.name and size >= ENOUGH else None
                key = Key("gain", rule, tagged, size)
                line.append(self._cell(key, "points", 1, 2, at_least=target, more={"labels": int(size)}))
            if any(line[1:]):
                table.append(line)
        _print(f"{self._title.set}: gain by number of labels, points over the static blend (0)", table)

    def _leant(self) -> None:
        for metric in (LIKE, UNLIKE):
            table = [["own labels", *(f"{size:,}" for size in LEANING)]]
            for rule in (ORACLE, *map(named, WEIGHTS)):
                keys = [(Key(metric, rule, at=size), {"labels": size}) for size in LEANING]
                line = [rule, *(self._cell(key, "points", 1, 2, more={**more}) for key, more in keys)]
                if any(line[1:]):
                    table.append(line)
            if len(table) > 1:
                _print(f"{self._title.set}: {metric}, by the weight of the shared memory", table)

    def _saved(self) -> None:
        targets = sorted({key.at or 0.0 for key in self._cells.values if key.metric == "saved"})
        table = [["target", *(f"{100 * target:.0f}%" for target in targets)]]
        for rule, tagged in ((ORACLE, False), (TUNED.name, False), (TUNED.name, True)):
            lines: dict[str, list[str]] = {
                "saved": [],
                "blend saves": [],
                "reached": [],
                "missed by": [],
                "refused": [],
            }
            for target in targets:
                key = Key("saved", rule, tagged, target)
                more: Params = {"target %": 100 * target}
                blend = self._mean(key._replace(metric="saved by the blend"))
                baseline = None if blend is None else Baseline("static blend of that quality", 100 * blend)
                lines["saved"].append(self._cell(key, "% of the default's cost", 100, 1, more=more, baseline=baseline))
                lines["blend saves"].append("" if blend is None else f"{100 * max(blend, 0.0):.1f}")
                reached, missed = key._replace(metric="reached"), key._replace(metric="missed by")
                lines["reached"].append(self._cell(reached, "% of the default's quality", 100, 1, more=more))
                lines["missed by"].append(self._cell(missed, "points", 100, 2, at_most=MISS, more=more))
                values = self._cells.values.get(reached, [])
                refused = values.count(None)
                lines["refused"].append(f"{refused} of {len(values)}" if refused else "")
            table += [[f"{_name(rule, tagged)}: {name}", *line] for name, line in lines.items() if any(line)]
        _print(f"{self._title.set}: alpha by router.calibrate, for a share of the default's quality", table)

    def _fixed(self) -> None:
        """Compare auto-tuned settings with the best fixed ones: named ones, and those of the grid."""
        table = [["auto-tuned less", "points", "not worse beyond noise"]]
        for tagged in (False, True):
            own = _real(self._cells.values.get(Key("gain", TUNED.name, tagged), []))
            if not own:
                continue
            named = {
                rule.name: _real(self._cells.values[Key("gain", rule.name, tagged and rule is DEFAULT)])
                for rule in (DEFAULT, *PLAIN)
            }
            best = max(named, key=lambda name: statistics.fmean(named[name]))
            others = [("best rule", best, named[best])]
            if self._cells.grids[tagged]:
                gains = np.array(self._cells.grids[tagged])
                at = int(gains.mean(axis=0).argmax())
                fixed = grid()[at]
                described = f"k={fixed.k} tau={fixed.tau:g} n0={fixed.n0:g}"
                others.append(("best of the grid", described, gains[:, at].tolist()))
            for what, name, other in others:
                # Not every seed is calibrated in a quick run, but the first ones are.
                differences = [a - b for a, b in zip(own, other, strict=False)]
                value, many = statistics.fmean(differences), len(differences)
                holds = None if many < 2 else value + T.get(many - 1, 2.0) * _sd(differences) / sqrt(many) >= 0
                params: Params = {"tags": _yes(tagged), "fixed": name, "seeds": many, "sd": _sd(differences)}
                self._add(
                    f"auto-tuned less the {what}", value, "points", params, None, None if holds is None else 0.0, holds
                )
                shown = {None: "", True: "yes", False: "NO"}[holds]
                table.append([f"{what}{', tags' if tagged else ''}: {name}", _pm(differences, 1, 2), shown])
        _print(f"{self._title.set}: auto-tuned and fixed settings (the best in hindsight)", table)

    def _checked(self) -> None:
        table = [["twin less SQL, at most", "quality", "score", "cost, of it", "other choices", "decisions", "tied"]]
        for rule, found in self._cells.deviations.items():
            params: Params = {"rule": rule, "decisions": found.compared, "tied, left out": found.tied}
            apart = (("quality", found.quality, ""), ("score", found.score, ""), ("cost", found.cost, "of it"))
            for name, value, unit in apart:
                self._add(f"twin less SQL, {name}", value, unit, params, None, APART, value < APART)
            self._add("twin's other choices", found.choices, "", params, None, 0.0, found.choices == 0)
            counts = (found.choices, found.compared, found.tied)
            table.append([rule, *(f"{value:.1e}" for _, value, _ in apart), *map(str, counts)])
        _print(f"{self._title.set}: numpy twin and router.decide", table)

    def _cell(
        self,
        key: Key,
        unit: str,
        factor: float,
        digits: int,
        *,
        at_least: float | None = None,
        at_most: float | None = None,
        baseline: Baseline | None = None,
        more: Params | None = None,
    ) -> str:
        """Add a row to the report, with the baselines without a router; return the cell of the table."""
        values = [factor * value for value in _real(self._cells.values.get(key, []))]
        if not values:
            return ""
        value = statistics.fmean(values)
        params: dict[str, str | int | float] = {"rule": key.rule, "tags": _yes(key.tagged), **(more or {})}
        params |= {"seeds": len(values), "sd": _sd(values)}
        if key.rule not in REFERENCES:
            for name in REFERENCES:
                beside = self._mean(
                    Key(key.metric, name, False, None if key.metric == "gain" and name != ORACLE else key.at)
                )
                if beside is not None and name != BLEND:
                    params[name] = factor * beside
            blend = self._mean(Key(key.metric, BLEND))
            if baseline is None and blend is not None:
                baseline = Baseline(BLEND, factor * blend)
        target, holds = at_least, None
        if at_least is not None:
            holds = value >= at_least
        elif at_most is not None:
            target, holds = at_most, value <= at_most
        self._add(key.metric, value, unit, params, baseline, target, holds)
        return _pm(values, 1, digits) + {None: "", True: " ok", False: " NO"}[holds]

    def _mean(self, key: Key) -> float | None:
        values = _real(self._cells.values.get(key, []))
        return statistics.fmean(values) if values else None

    def _add(
        self,
        metric: str,
        value: float,
        unit: str,
        params: Params,
        baseline: Baseline | None,
        target: float | None,
        holds: bool | None,
    ) -> None:
        params = {"set": self._title.set, "embedder": self._title.embedder, **params}
        self._report.rows.append(Row(metric, params, value, unit, baseline, target, holds))


def _real(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _sd(values: Sequence[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else 0.0


def _pm(values: Sequence[float], factor: float, digits: int) -> str:
    mean = f"{factor * statistics.fmean(values):.{digits}f}"
    return mean if len(values) < 2 else f"{mean} ±{factor * _sd(values):.{min(digits, 3)}f}"


def _name(rule: str, tagged: bool) -> str:
    return f"{rule}, tags" if tagged else rule


def _yes(tagged: bool) -> str:
    return "yes" if tagged else "no"


def _print(title: str, table: Sequence[Sequence[str]]) -> None:
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    say(f"\n{title}")
    for line in table:
        cells = [cell.rjust(width) for cell, width in zip(line, widths, strict=True)]
        say("  ".join(("", line[0].ljust(widths[0]), *cells[1:])).rstrip())
