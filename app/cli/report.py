"""Formats the result of a backtest as text: the policy at each alpha, and the references beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import floor, log10
from textwrap import wrap

from ..memory.backtest import Backtest, Point
from .plot import letters
from .table import aligned

_LEGEND = (
    "USD/1k: per 1,000 requests. cost: of the default model's. gain: hundredths of quality beyond the static blend, "
    "the best mixture of single models at equal cost. Intervals at {:.0%} confidence."
)
#: Width below which the intervals of the references are left out to make room for their names.
NARROW = 70


def percent(share: float | None) -> str:
    """0.4123 as `41%`; below ten percent with a decimal."""
    if share is None:
        return "-"
    return f"{share:.1%}" if 0.0005 <= abs(share) < 0.0995 else f"{share:.0%}"


def usd(costs: Iterable[float]) -> list[str]:
    """USD with enough decimals for two figures of the smallest amount, four at most."""
    known = list(costs)
    least = min((abs(cost) for cost in known if cost), default=1.0)
    decimals = min(4, max(2, 1 - floor(log10(least))))
    return [f"{cost:,.{decimals}f}" for cost in known]


def legend(confidence: float, width: int) -> list[str]:
    """The meaning of the column heads."""
    return wrap(_LEGEND.format(confidence), width)


def thinned(points: Sequence[Point], most: int) -> tuple[Point, ...]:
    """The points to show of a curve: 1/`most` of its cost range apart, always with both ends and the one in use."""
    apart = (max(point.cost_usd for point in points) - min(point.cost_usd for point in points)) / most
    kept: list[Point] = []
    for point in points:
        far = not kept or abs(point.cost_usd - kept[-1].cost_usd) >= apart > 0
        if far or point.in_use or (point is points[-1] and point.quality != kept[-1].quality):
            kept.append(point)
    return tuple(kept)


def curve(found: Backtest, points: Sequence[Point], confidence: float, width: int) -> list[str]:
    """A line per point, with the share of each model: by name if that fits, else by its letter in `alone`."""
    level = f"{confidence:.0%}"
    columns = {
        "mark": ["", *(">" if point.in_use else "" for point in points)],
        "alpha": ["alpha", *(_alpha(point) for point in points)],
        "quality": ["quality", *(f"{point.quality:.3f}" for point in points)],
        "quality interval": [level, *(_between(point.quality_low, point.quality_high, 1, 3) for point in points)],
        "usd": ["USD/1k", *usd(point.cost_usd * 1000 for point in points)],
        "cost": ["cost", *(percent(point.cost_ratio) for point in points)],
        "blend": ["blend", *("-" if point.blend_quality is None else f"{point.blend_quality:.3f}" for point in points)],
        "gain": ["gain", *("-" if point.gain is None else _rounded(100 * point.gain, 1, "+") for point in points)],
        "gain interval": [level, *(_between(point.gain_low, point.gain_high, 100, 1, "+") for point in points)],
    }
    lines: list[str] = []
    for spared, named, count in _ways(len(found.models)):
        kept = [cells for name, cells in columns.items() if name not in spared]
        lines = aligned(zip(*kept, *_shares(found.models, points, named=named, count=count), strict=True))
        if max(map(len, lines)) <= width:
            break
    return lines


def alone(found: Backtest, confidence: float, width: int) -> list[str]:
    """The references: every model alone, cheapest first, the oracle, the policy as it is, and the blend."""
    rows = [("", "always the same model", "quality", f"{confidence:.0%}", "USD/1k", "cost")]
    points: list[tuple[str, str, Point]] = []
    for letter, point in zip(letters(len(found.always)), found.always, strict=True):
        roles = {"cheapest": found.cheapest, "default": found.default, "best single": found.best_single}
        tags = ", ".join(role for role, other in roles.items() if other.model == point.model)
        points.append((letter, f"{point.model} ({tags})" if tags else str(point.model), point))
    points.append(("", "oracle, the best answer each time", found.oracle))
    points.append((">", f"the policy at alpha {found.in_use.alpha:g}", found.in_use))
    costs = usd(point.cost_usd * 1000 for _, _, point in points)
    for (letter, name, point), cost in zip(points, costs, strict=True):
        interval = _between(point.quality_low, point.quality_high, 1, 3)
        rows.append((letter, name, f"{point.quality:.3f}", interval, cost, percent(point.cost_ratio)))
    used = found.in_use
    if used.blend_quality is not None:
        rows.append(("", "static blend at that cost", f"{used.blend_quality:.3f}", "", *rows[-1][4:]))
    kept: list[tuple[str, ...]] = list(rows)
    if width < NARROW:
        kept = [(*row[:3], *row[4:]) for row in rows]
    room = width - max(map(len, aligned((row[0], *row[2:]) for row in kept))) - 2
    return aligned(((row[0], _cut(row[1], room), *row[2:]) for row in kept), left=(0, 1))


def _ways(models: int) -> Iterator[tuple[tuple[str, ...], bool, int]]:
    """The columns to leave out, whether models are named, and how many have columns; ever narrower."""
    yield (), True, models
    yield (), False, models
    yield ("blend",), False, models
    spared: tuple[str, ...] = ("blend",)
    for count in range(models - 1, 2, -1):
        yield spared, False, count
    for more in ("quality interval", "usd", "gain interval"):
        spared = (*spared, more)
        yield spared, False, min(models, 3)
    yield spared, False, 0


def _shares(models: Sequence[str], points: Sequence[Point], *, named: bool, count: int) -> list[list[str]]:
    """The columns of the `count` models most used, and one of the rest."""
    if not count:
        return []
    short = dict(zip(models, letters(len(models)), strict=True))
    by_use = sorted(models, key=lambda model: -max(point.shares.get(model, 0.0) for point in points))
    shown, rest = set(by_use[:count]), by_use[count:]
    columns = [
        [model if named else short[model], *(percent(point.shares.get(model)) for point in points)]
        for model in models
        if model in shown
    ]
    if rest:
        columns.append(["rest", *(percent(sum(p.shares.get(model, 0.0) for model in rest)) for p in points)])
    return columns


def _alpha(point: Point) -> str:
    return f"{point.alpha:g}" if point.in_use else f"{point.alpha:.3g}"


def _between(low: float | None, high: float | None, scale: float, decimals: int, sign: str = "") -> str:
    if low is None or high is None:
        return "-"
    between = ".." if sign else "-"
    return f"{_rounded(low * scale, decimals, sign)}{between}{_rounded(high * scale, decimals, sign)}"


def _rounded(value: float, decimals: int, sign: str) -> str:
    # Plus zero turns -0.0 into 0.0.
    return f"{round(value, decimals) + 0.0:{sign}.{decimals}f}"


def _cut(text: str, room: int) -> str:
    # Cut in the middle, as names of models differ at their ends.
    left, right = max(0, room - 1) // 2, max(0, room - 2) // 2
    return text if len(text) <= room else f"{text[:left]}..{text[len(text) - right :]}"
