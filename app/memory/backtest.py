"""A backtest in one object: what a policy gets for its money at every alpha, and what it has to be compared with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: What a line of the curve says, as `router.backtest` names it.
_OF_POINT = ("quality", "quality_low", "quality_high", "cost_usd", "cost_ratio", "quality_ratio", "quality_ratio_low")
_OF_CURVE = (*_OF_POINT, "blend_quality", "gain", "gain_low", "gain_high")


@dataclass(frozen=True, slots=True)
class Point:
    """A way to serve the same held-out requests, means a request: quality 0 to 1, cost in USD.

    `low` and `high` are bounds of the backtest's confidence, ratios are to the default model, `gain` is quality beyond
    the static blend of single models at equal cost. `shares` of the requests by model, none for the oracle.
    """

    rule: str
    alpha: float | None
    model: str | None
    quality: float
    quality_low: float | None
    quality_high: float | None
    cost_usd: float
    cost_ratio: float | None
    quality_ratio: float | None
    quality_ratio_low: float | None
    blend_quality: float | None
    gain: float | None
    gain_low: float | None
    gain_high: float | None
    shares: Mapping[str, float]
    in_use: bool


@dataclass(frozen=True, slots=True)
class Backtest:
    """The policy at each alpha (ascending), each model alone (cheapest first), and the references."""

    rows: int
    skipped: int
    sampled: bool
    curve: tuple[Point, ...]
    always: tuple[Point, ...]
    cheapest: Point
    default: Point
    best_single: Point
    oracle: Point

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]]) -> Backtest:
        """Rows of `router.backtest`."""
        points = [_point(row) for row in rows]
        by_rule = {point.rule: point for point in points}
        return cls(
            rows=rows[0]["rows"],
            skipped=rows[0]["skipped"],
            sampled=rows[0]["sampled"],
            curve=tuple(point for point in points if point.rule == "policy"),
            always=tuple(sorted((point for point in points if point.rule == "always"), key=_cost_first)),
            **{rule: by_rule[rule] for rule in ("cheapest", "default", "best_single", "oracle")},
        )

    @property
    def in_use(self) -> Point:
        """The policy at its own alpha."""
        return next(point for point in self.curve if point.in_use)

    @property
    def models(self) -> tuple[str, ...]:
        """The candidates, cheapest first."""
        return tuple(point.model or "" for point in self.always)

    def blend(self) -> list[tuple[float, float]]:
        """The static blend as a line: cost and quality of the single models on the upper hull, from the cheapest to
        the best; a mixture of two neighbours lies between them."""
        hull: list[tuple[float, float]] = []
        for cost, quality in ((point.cost_usd, point.quality) for point in self.always):
            if hull and quality <= hull[-1][1]:
                continue
            while len(hull) > 1 and _below(hull[-2], hull[-1], (cost, quality)):
                hull.pop()
            hull.append((cost, quality))
        return hull

    def body(self) -> dict[str, Any]:
        """As the API and `--json` give it."""
        references = {rule: getattr(self, rule) for rule in ("cheapest", "default", "best_single", "oracle")}
        return {
            "rows": self.rows,
            "skipped": self.skipped,
            "sampled": self.sampled,
            "curve": [
                {"alpha": point.alpha, "in_use": point.in_use, **_fields(point, _OF_CURVE), "shares": point.shares}
                for point in self.curve
            ],
            "references": {
                **{
                    rule: {**({"model": point.model} if point.model else {}), **_fields(point, _OF_POINT)}
                    for rule, point in references.items()
                },
                "always": [{"model": point.model, **_fields(point, _OF_POINT)} for point in self.always],
                "blend": [{"cost_usd": cost, "quality": quality} for cost, quality in self.blend()],
            },
        }


def saved(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of `router.savings`, the shares by model."""
    body = {name: value for name, value in row.items() if name not in ("models", "shares", "expected_shares")}
    return {
        **body,
        "shares": shares_of(row["models"], row["shares"]),
        "expected_shares": shares_of(row["models"], row["expected_shares"]),
    }


def shares_of(models: Iterable[str] | None, shares: Iterable[float | None] | None) -> dict[str, float]:
    """Shares by model; what has none is left out."""
    pairs = zip(models or (), shares or (), strict=False)
    return {model: share for model, share in pairs if share is not None}


def _point(row: Mapping[str, Any]) -> Point:
    numbers = {name: row[name] for name in _OF_CURVE}
    return Point(
        rule=row["rule"],
        alpha=row["alpha"],
        model=row["model"],
        in_use=bool(row["in_use"]),
        shares=shares_of(row["models"], row["shares"]),
        **numbers,
    )


def _cost_first(point: Point) -> tuple[float, float]:
    return point.cost_usd, -point.quality


def _below(one: tuple[float, float], middle: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether `middle` lies on or under the line from `one` to `other`."""
    rise = (middle[1] - one[1]) * (other[0] - one[0])
    return rise <= (other[1] - one[1]) * (middle[0] - one[0])


def _fields(point: Point, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(point, name) for name in names}
