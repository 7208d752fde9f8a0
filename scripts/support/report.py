"""Shared by all benchmarks: options, rows, the printed table and the JSON.

A benchmark creates a `Report`, adds rows and calls `finish`. Each row has a measured value, its baseline from the same
run, and whether it meets its target.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

import orjson

#: The conditions of a measurement.
Params = Mapping[str, str | int | float]


class Baseline(NamedTuple):
    """A value to compare with, from the same run: its name, and its value in the row's unit."""

    name: str
    value: float


@dataclass(frozen=True, slots=True)
class Row:
    """One measured value; `holds`: whether it meets `target`, None: there is no target."""

    metric: str
    params: Params
    value: float | None
    unit: str
    baseline: Baseline | None
    target: float | None
    holds: bool | None
    sign: str = field(default="", compare=False)

    def as_json(self) -> dict[str, object]:
        """Return the row for `--json`: `baseline` is a number in the row's unit, whose name is in `params`."""
        row = asdict(self)
        del row["sign"]
        if self.baseline is None:
            return row
        return {**row, "params": {**self.params, "baseline": self.baseline.name}, "baseline": self.baseline.value}

    def cells(self) -> tuple[str, ...]:
        """Return the cells of the row in the table."""
        ratio = ""
        if self.baseline is not None and self.value is not None and self.baseline.value:
            ratio = f"{self.value / self.baseline.value:.2f} x {self.baseline.name} ({_number(self.baseline.value)})"
        target = "" if self.target is None else f"{self.sign} {_number(self.target)}"
        holds = "" if self.holds is None else "yes" if self.holds else "NO"
        params = ", ".join(f"{name} {value}" for name, value in self.params.items())
        return self.metric, params, _number(self.value), self.unit, ratio, target, holds


class Report:
    """The rows of one run, in the order in which they were added."""

    heading = ("metric", "params", "value", "unit", "against the baseline", "target", "holds")

    def __init__(self, options: argparse.Namespace) -> None:
        """`options`: the parsed options of `options()`."""
        self.rows: list[Row] = []
        self._json: Path | None = options.json

    def add(
        self,
        metric: str,
        value: float | None,
        unit: str,
        *,
        params: Params | None = None,
        baseline: Baseline | None = None,
        under: float | None = None,
        over: float | None = None,
    ) -> None:
        """Add a row; `under` or `over` is the target. `value` None: it could not be measured."""
        holds = None
        if value is not None and (under is not None or over is not None):
            holds = (under is None or value < under) and (over is None or value > over)
        target, sign = (under, "<") if over is None else (over, ">")
        self.rows.append(Row(metric, dict(params or {}), value, unit, baseline, target, holds, sign))

    def finish(self) -> None:
        """Print the table, and write the JSON if `--json` is given."""
        table = [self.heading, *(row.cells() for row in self.rows)]
        widths = [max(len(line[column]) for line in table) for column in range(len(self.heading))]
        for line in table:
            padded = (
                cell.rjust(width) if column == 2 else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            )
            say("  ".join(padded).rstrip())
        self.write()

    def write(self) -> None:
        """Write the JSON if `--json` is given."""
        if self._json is not None:
            self._json.write_bytes(orjson.dumps([row.as_json() for row in self.rows], option=orjson.OPT_INDENT_2))


def options(doc: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options of all benchmarks; `doc`: the docstring that `--help` prints."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="end within 50 s, set-up included")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the printed table as JSON")
    return parser


def say(text: str) -> None:
    """Print one line of progress."""
    print(text, flush=True)


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
