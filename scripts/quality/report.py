"""The results of one set, as rows of the report and as printed tables."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt

from scripts.quality.cells import BEST, BLEND, CHEAP, HONEST, MEANS, ORACLE, STRONG, Cells, Key
from scripts.quality.printing import plus_minus, print_table, sd
from scripts.quality.rules import DEFAULT, EARLIER, PLAIN, RULES, TUNED
from scripts.quality.shared_memory import LIKE, UNLIKE, WEIGHTS, named
from scripts.quality.shared_memory import SIZES as LEANING
from scripts.support.report import Baseline, Params, Report, Row

#: Targets of the gain of default settings, points, by set: without and with tags.
GAINS = {"routellm": {False: 3.0}, "llmrouter": {False: 4.5, True: 6.0}}
#: Number of labels from which on the gain must not be negative.
ENOUGH = 100
#: Points of quality by which a calibrated target may be missed, and maximum difference of the twin from the SQL.
MISS, APART = 1.0, 1e-6
#: Student's t, one-sided, 95%, by degrees of freedom.
T = {1: 6.31, 2: 2.92, 3: 2.35, 4: 2.13}
REFERENCES = (ORACLE, BLEND, HONEST, MEANS, CHEAP, STRONG, BEST)
#: Baselines that depend on the number of labels.
LEARNED = (HONEST, MEANS)
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
        print_table(f"{self._title.set}: with all labels, mean ± sd over the seeds ({self._title.embedder})", table)

    def _learned(self) -> None:
        sizes = sorted({key.at for key in self._cells.values if key.metric == "gain" and key.at is not None})
        table = [["labels", *(f"{size:,.0f}" for size in sizes)]]
        rules = [(name, False) for name in (ORACLE, *LEARNED)]
        for rule, tagged in [*rules, *((rule.name, tagged) for tagged in (False, True) for rule in RULES)]:
            line = [_name(rule, tagged)]
            for size in sizes:
                target = 0.0 if rule == DEFAULT.name and size >= ENOUGH else None
                key = Key("gain", rule, tagged, size)
                line.append(self._cell(key, "points", 1, 2, at_least=target, more={"labels": int(size)}))
            if any(line[1:]):
                table.append(line)
        print_table(f"{self._title.set}: gain by number of labels, points over the static blend (0)", table)

    def _leant(self) -> None:
        for metric in (LIKE, UNLIKE):
            table = [["own labels", *(f"{size:,}" for size in LEANING)]]
            for rule in (ORACLE, *map(named, WEIGHTS)):
                keys = [(Key(metric, rule, at=size), {"labels": size}) for size in LEANING]
                line = [rule, *(self._cell(key, "points", 1, 2, more={**more}) for key, more in keys)]
                if any(line[1:]):
                    table.append(line)
            if len(table) > 1:
                print_table(f"{self._title.set}: {metric}, by the weight of the shared memory", table)

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
        print_table(f"{self._title.set}: alpha by router.calibrate, for a share of the default's quality", table)

    def _fixed(self) -> None:
        """Compare auto-tuned settings with the best of the fixed ones, which is chosen in hindsight."""
        table = [["auto-tuned less the best rule", "points", "not worse beyond noise"]]
        for tagged in (False, True):
            own = _real(self._cells.values.get(Key("gain", TUNED.name, tagged), []))
            if not own:
                continue
            named = {
                rule.name: _real(self._cells.values[Key("gain", rule.name, tagged and rule not in PLAIN)])
                for rule in (DEFAULT, EARLIER, *PLAIN)
            }
            best = max(named, key=lambda name: statistics.fmean(named[name]))
            # Not every seed is calibrated in a quick run, but the first ones are.
            differences = [a - b for a, b in zip(own, named[best], strict=False)]
            value, many = statistics.fmean(differences), len(differences)
            holds = None if many < 2 else value + T.get(many - 1, 2.0) * sd(differences) / sqrt(many) >= 0
            params: Params = {"tags": _yes(tagged), "fixed": best, "seeds": many, "sd": sd(differences)}
            target = None if holds is None else 0.0
            self._add("auto-tuned less the best rule", value, "points", params, None, target, holds)
            shown = {None: "", True: "yes", False: "NO"}[holds]
            table.append([_name(best, tagged), plus_minus(differences, 1, 2), shown])
        print_table(f"{self._title.set}: auto-tuned and fixed settings (the best in hindsight)", table)

    def _checked(self) -> None:
        names = "quality", "score", "cost, of it", "matrix", "other choices", "other fits"
        table = [["twin less SQL, at most", *names, "decisions", "fits", "tied"]]
        for rule, found in self._cells.deviations.items():
            counts = (found.compared, found.fits, found.tied)
            params: Params = {"rule": rule} | dict(zip(("decisions", "fits", "tied, left out"), counts, strict=True))
            apart = (found.quality, found.score, found.cost, found.transfer)
            for name, value in zip(names, apart, strict=False):
                self._add(f"twin less SQL, {name}", value, "", params, None, APART, value < APART)
            others = (found.choices, found.other_fits)
            for name, many in zip(names[4:], others, strict=True):
                self._add(f"twin's {name}", many, "", params, None, 0.0, many == 0)
            table.append([rule, *(f"{value:.1e}" for value in apart), *map(str, (*others, *counts))])
        print_table(f"{self._title.set}: numpy twin, router.decide and router.fit", table)

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
        params |= {"seeds": len(values), "sd": sd(values)}
        if key.rule not in REFERENCES:
            for name in REFERENCES:
                beside = self._mean(
                    Key(key.metric, name, False, key.at if key.metric != "gain" or name in (ORACLE, *LEARNED) else None)
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
        return plus_minus(values, 1, digits) + {None: "", True: " ok", False: " NO"}[holds]

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


def _name(rule: str, tagged: bool) -> str:
    return f"{rule}, tags" if tagged else rule


def _yes(tagged: bool) -> str:
    return "yes" if tagged else "no"
