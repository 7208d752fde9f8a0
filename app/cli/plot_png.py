"""Draws a backtest as PNG; needs the extra `plot`."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from ..memory.backtest import Backtest, Point

#: Colours of the Okabe-Ito palette, which colour-blind readers can distinguish.
POLICY, BLEND, MODEL, ORACLE = "#0072B2", "#888888", "#222222", "#D55E00"


def draw(found: Backtest, title: str, file: Path, confidence: float) -> None:
    """Write the plot to `file`: the curve with its interval, the models, the static blend and the oracle."""
    figure = Figure(figsize=(9, 5.6), dpi=150, layout="constrained")
    axes = figure.subplots()
    curve = sorted(found.curve, key=lambda point: point.cost_usd)
    costs = [point.cost_usd * 1000 for point in curve]
    bounds = [
        (cost, point.quality_low, point.quality_high)
        for cost, point in zip(costs, curve, strict=True)
        if point.quality_low is not None and point.quality_high is not None
    ]
    if bounds:
        at, low, high = zip(*bounds, strict=True)
        axes.fill_between(at, low, high, color=POLICY, alpha=0.15, linewidth=0, label=f"{confidence:.0%} interval")
    blend = found.blend()
    axes.plot(
        [cost * 1000 for cost, _ in blend], [quality for _, quality in blend], "--", color=BLEND, label="static blend"
    )
    axes.plot(costs, [point.quality for point in curve], "o-", color=POLICY, markersize=4, label="the policy, by alpha")
    used = found.in_use
    axes.plot(used.cost_usd * 1000, used.quality, "o", color=POLICY, markersize=11, markerfacecolor="white", zorder=5)
    _name(axes, f"alpha {used.alpha:g}, as it is", used, POLICY, above=True)
    dear = 0.8 * max(point.cost_usd for point in found.always)
    for point in found.always:
        axes.plot(point.cost_usd * 1000, point.quality, "s", color=MODEL, markersize=6, zorder=4)
        _name(axes, point.model or "", point, MODEL, above=point.cost_usd > dear)
    axes.plot(found.oracle.cost_usd * 1000, found.oracle.quality, "D", color=ORACLE, markersize=7, label="oracle")
    axes.set_xlabel("cost, USD per 1,000 requests")
    axes.set_ylabel("quality, 0 to 1")
    axes.set_xlim(left=0)
    axes.margins(x=0.1, y=0.08)
    axes.set_title(title, fontsize=10, loc="left")
    axes.grid(color="#E5E5E5")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower right", frameon=False)
    figure.savefig(file, format="png")


def _name(axes: Axes, text: str, point: Point, color: str, *, above: bool) -> None:
    """Write above a point to its left, or below to its right; both places are mostly free, as the curve is concave."""
    axes.annotate(
        text,
        (point.cost_usd * 1000, point.quality),
        xytext=(-5, 7) if above else (6, -12),
        ha="right" if above else "left",
        textcoords="offset points",
        fontsize=8,
        color=color,
        zorder=6,
        path_effects=[withStroke(linewidth=2.5, foreground="white")],
    )
