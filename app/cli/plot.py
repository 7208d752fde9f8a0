"""Draws a backtest with characters: cost to the right, quality upwards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import floor, log10
from textwrap import wrap

from ..memory.backtest import Backtest

#: Lines of the plot.
HEIGHT = 20
#: Share of the quality range of curve and blend that is added on both sides; points beyond are shown at the edge.
REACH = 0.6


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters of a plot."""

    #: The policy at an alpha that was measured.
    curve: str
    #: The policy as it is.
    in_use: str
    #: The line between points of the curve.
    line: str
    blend: str
    oracle: str
    #: Marks a point above the plot.
    up: str
    #: Marks a point below the plot.
    down: str
    #: The quality axis, and a tick on it.
    edge: str
    tick: str
    #: The cost axis, and its corner with the quality axis.
    floor: str
    corner: str


FINE = Glyphs("●", "◉", "-", "·", "◆", "↑", "↓", "│", "┤", "─", "└")
PLAIN = Glyphs("o", "@", "-", ".", "*", "^", "v", "|", "+", "-", "+")


def letters(count: int) -> list[str]:
    """A letter for each of `count` models."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    return [alphabet[i] if i < len(alphabet) else "?" for i in range(count)]


def glyphs_for(encoding: str | None) -> Glyphs:
    """The characters that an output of this encoding can show."""
    try:
        "".join(str(getattr(FINE, name)) for name in FINE.__slots__).encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return PLAIN
    return FINE


def window(found: Backtest) -> tuple[float, float]:
    """The quality range to show: that of curve and blend, and of the models and the oracle near it."""
    near = [point.quality for point in found.curve] + [quality for _, quality in found.blend()]
    low, high = min(near), max(near)
    reach = REACH * max(high - low, 0.01)
    others = [point.quality for point in (*found.always, found.oracle)]
    low = min([low, *(quality for quality in others if quality >= low - reach)])
    high = max([high, *(quality for quality in others if quality <= high + reach)])
    margin = max(high - low, 0.01) * 0.04
    return low - margin, high + margin


def plot(found: Backtest, width: int, glyphs: Glyphs) -> list[str]:
    """The lines of the plot, at most `width` characters wide."""
    canvas = _Canvas(found, width, glyphs)
    blend = found.blend()
    canvas.line(blend, glyphs.blend)
    curve = sorted((point.cost_usd, point.quality) for point in found.curve)
    canvas.line(curve, glyphs.line)
    for cost, quality in curve:
        canvas.put(cost, quality, glyphs.curve)
    names = list(zip(letters(len(found.always)), found.always, strict=True))
    marks = [(point.cost_usd, point.quality, letter, point.model or "") for letter, point in names]
    for cost, quality, mark, _ in marks:
        canvas.put(cost, quality, mark)
    oracle, used = found.oracle, found.in_use
    canvas.put(oracle.cost_usd, oracle.quality, glyphs.oracle)
    canvas.put(used.cost_usd, used.quality, glyphs.in_use)
    canvas.name(oracle.cost_usd, oracle.quality, "oracle")
    canvas.name(used.cost_usd, used.quality, f"alpha {used.alpha:g}")
    for cost, quality, _, name in marks:
        canvas.name(cost, quality, name)
    legend = (
        f"{glyphs.curve} the policy by alpha, {glyphs.in_use} as it is; {glyphs.blend} static blend; letters: models"
    )
    return [*canvas.lines(), *wrap(legend, width)]


def ticks(low: float, high: float, most: int) -> list[float]:
    """Up to `most` round numbers from `low` to `high`."""
    step = 10.0 ** floor(log10((high - low) / max(most, 1)))
    while (high - low) / step > most:
        step *= 2 if round(step / 10 ** floor(log10(step) + 1e-9)) != 2 else 2.5
    first = -floor(-low / step)
    return [number * step for number in range(first, floor(high / step + 1e-9) + 1)]


def digits_of(marks: Sequence[float]) -> int:
    """The number of decimals that distinguishes the marks of an axis."""
    step = marks[1] - marks[0] if len(marks) > 1 else 0.1
    return max(0, -floor(log10(step) + 1e-9))


class _Canvas:
    def __init__(self, found: Backtest, width: int, glyphs: Glyphs) -> None:
        self.glyphs = glyphs
        self.low, self.high = window(found)
        points = (*found.curve, *found.always, found.oracle)
        self.dearest = max(max(point.cost_usd for point in points), 1e-12) * 1.04
        marks = ticks(self.low, self.high, 8)
        self.y_ticks = {self.row(mark): f"{mark:.{max(2, digits_of(marks))}f}" for mark in marks}
        self.left = max(len(text) for text in self.y_ticks.values()) if self.y_ticks else 0
        self.wide = width - self.left - 2
        self.cells = [[" "] * self.wide for _ in range(HEIGHT)]
        self.taken: set[tuple[int, int]] = set()

    def row(self, quality: float) -> int:
        share = (self.high - quality) / (self.high - self.low)
        return min(HEIGHT - 1, max(0, round(share * (HEIGHT - 1))))

    def column(self, cost: float) -> int:
        return min(self.wide - 1, round(cost / self.dearest * (self.wide - 1)))

    def put(self, cost: float, quality: float, mark: str) -> None:
        cell = self.row(quality), self.column(cost)
        self.cells[cell[0]][cell[1]] = mark
        self.taken.add(cell)

    def line(self, points: Sequence[tuple[float, float]], mark: str) -> None:
        for (cost, quality), (next_cost, next_quality) in pairwise(points):
            for step in range(4 * self.wide + 1):
                share = step / (4 * self.wide)
                y = quality + share * (next_quality - quality)
                self.cells[self.row(y)][self.column(cost + share * (next_cost - cost))] = mark

    def name(self, cost: float, quality: float, text: str) -> None:
        """Write `text` beside a point where it covers no other text; if there is no such place, leave it out."""
        if quality > self.high:
            text = f"{text} {quality:.3f} {self.glyphs.up}"
        elif quality < self.low:
            text = f"{text} {quality:.3f} {self.glyphs.down}"
        row, column = self.row(quality), self.column(cost)
        places = [
            (row + down, start)
            for down in (0, 1, -1, 2, -2)
            for start in ((column + 2, column - 1 - len(text)) if not down else _around(column, len(text)))
        ]
        for blank in (True, False):  # first places without a line behind the text
            for y, x in places:
                if self._free(y, x, len(text), blank=blank):
                    self.cells[y][x : x + len(text)] = text
                    self.taken.update((y, x + i) for i in range(-1, len(text) + 1))
                    return

    def _free(self, y: int, x: int, length: int, *, blank: bool) -> bool:
        if not (0 <= y < HEIGHT and x >= 0 and x + length <= self.wide):
            return False
        if any((y, x + i) in self.taken for i in range(length)):
            return False
        return not blank or all(cell == " " for cell in self.cells[y][max(0, x - 1) : x + length + 1])

    def lines(self) -> Iterable[str]:
        yield "quality"
        for number, cells in enumerate(self.cells):
            tick = self.y_ticks.get(number, "")
            edge = self.glyphs.tick if tick else self.glyphs.edge
            yield f"{tick.rjust(self.left)} {edge}{''.join(cells)}".rstrip()
        yield f"{' ' * self.left} {self.glyphs.corner}{self.glyphs.floor * self.wide}"
        yield self._costs()

    def _costs(self) -> str:
        unit = "USD per 1,000 requests"
        marks = ticks(0, self.dearest * 1000, max(2, self.wide // 12))
        text = [" "] * (self.left + 2 + self.wide)
        for mark in marks:
            label = f"{mark:.{digits_of(marks)}f}"
            start = self.left + 2 + self.column(mark / 1000) - (len(label) // 2 if mark else 0)
            if start + len(label) <= len(text):
                text[start : start + len(label)] = label
        line = "".join(text).rstrip()
        return f"{line}\n{' ' * max(0, len(text) - len(unit))}{unit}"


def _around(column: int, length: int) -> tuple[int, ...]:
    return column + 2, column + 1, column - length // 2, column - length, column - 1 - length
