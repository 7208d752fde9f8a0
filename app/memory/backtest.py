"""The result of a backtest: quality and cost of a policy at each alpha, and the references to compare with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: Columns of `router.backtest` for a point, and for a point of the curve.
_POINT_COLUMNS = (
    "quality",
    "quality_low",
    "quality_high",
    "cost_usd",
    "cost_ratio",
    "quality_ratio",
    "quality_ratio_low",
)
_CURVE_COLUMNS = (*_POINT_COLUMNS, "blend_quality", "gain", "gain_low", "gain_high")


@dataclass(frozen=True, slots=True)
class Point:
    """One way to serve the held-out requests. Quality (0 to 1) and cost are means per request; ratios are to the
    default model; `low` and `high` are bounds at the backtest's confidence."""

    #: `policy`, `always` (one model), `cheapest`, `default`, `best_single` or `oracle`.
    rule: str
    #: The policy's alpha; None for other rules.
    alpha: float | None
    #: The model of a rule with one model.
    model: str | None
    #: Mean quality.
    quality: float
    #: Lower bound of `quality`.
    quality_low: float | None
    #: Upper bound of `quality`.
    quality_high: float | None
    #: Mean cost in USD.
    cost_usd: float
    #: Cost divided by that of the default model.
    cost_ratio: float | None
    #: Quality divided by that of the default model.
    quality_ratio: float | None
    #: Lower bound of `quality_ratio`.
    quality_ratio_low: float | None
    #: Quality of the static blend of single models at equal cost.
    blend_quality: float | None
    #: Quality minus `blend_quality`.
    gain: float | None
    #: Lower bound of `gain`.
    gain_low: float | None
    #: Upper bound of `gain`.
    gain_high: float | None
    #: Share of the requests by model; empty for the oracle.
    shares: Mapping[str, float]
    #: Whether this is the policy at its own alpha.
    in_use: bool


@dataclass(frozen=True, slots=True)
class Backtest:
    """A policy at each alpha, each of its models alone, and the references."""

    #: Memories that were used as requests.
    rows: int
    #: Memories that were left out.
    skipped: int
    #: Whether the rows are a random sample of the memory.
    sampled: bool
    #: The policy at each alpha, ascending.
    curve: tuple[Point, ...]
    #: Each model alone, cheapest first.
    always: tuple[Point, ...]
    #: The model with the lowest cost.
    cheapest: Point
    #: The policy's default model.
    default: Point
    #: The single model with the highest quality.
    best_single: Point
    #: The best model for each request, which no policy can know in advance.
    oracle: Point

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]]) -> Backtest:
        """Create a backtest from the rows of `router.backtest`."""
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
        """The point of the policy at its own alpha."""
        return next(point for point in self.curve if point.in_use)

    @property
    def models(self) -> tuple[str, ...]:
        """The candidates, cheapest first."""
        return tuple(point.model or "" for point in self.always)

    def blend(self) -> list[tuple[float, float]]:
        """Return the static blend as a line of costs and qualities: the upper hull of the single models.

        It goes from the cheapest to the best; a random mixture of two neighbours lies between them.
        """
        hull: list[tuple[float, float]] = []
        for cost, quality in ((point.cost_usd, point.quality) for point in self.always):
            if hull and quality <= hull[-1][1]:
                continue
            while len(hull) > 1 and _below(hull[-2], hull[-1], (cost, quality)):
                hull.pop()
            hull.append((cost, quality))
        return hull

    def body(self) -> dict[str, Any]:
        """Return the JSON of the API and of `--json`."""
        references = {rule: getattr(self, rule) for rule in ("cheapest", "default", "best_single", "oracle")}
        return {
            "rows": self.rows,
            "skipped": self.skipped,
            "sampled": self.sampled,
            "curve": [
                {"alpha": point.alpha, "in_use": point.in_use, **_fields(point, _CURVE_COLUMNS), "shares": point.shares}
                for point in self.curve
            ],
            "references": {
                **{
                    rule: {**({"model": point.model} if point.model else {}), **_fields(point, _POINT_COLUMNS)}
                    for rule, point in references.items()
                },
                "always": [{"model": point.model, **_fields(point, _POINT_COLUMNS)} for point in self.always],
                "blend": [{"cost_usd": cost, "quality": quality} for cost, quality in self.blend()],
            },
        }


def saved(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of `router.savings` with its shares by model."""
    body = {name: value for name, value in row.items() if name not in ("models", "shares", "expected_shares")}
    return {
        **body,
        "shares": shares_of(row["models"], row["shares"]),
        "expected_shares": shares_of(row["models"], row["expected_shares"]),
    }


def shares_of(models: Iterable[str] | None, shares: Iterable[float | None] | None) -> dict[str, float]:
    """Return shares by model, without models that have none."""
    pairs = zip(models or (), shares or (), strict=False)
    return {model: share for model, share in pairs if share is not None}


def _point(row: Mapping[str, Any]) -> Point:
    numbers = {name: row[name] for name in _CURVE_COLUMNS}
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
