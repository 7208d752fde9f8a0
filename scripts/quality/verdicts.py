"""Prints the gains by labels and by regime, and the targets, and adds them to the report."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from scripts.quality.cells import BEST, BLEND, CHEAP, HONEST, MEANS, ORACLE, STRONG
from scripts.quality.printing import print_table, standard_error
from scripts.quality.regimes import REGIMES, SERVED
from scripts.quality.rules import DEFAULT, EARLIER, PLAIN, UNTAGGED
from scripts.quality.table import Gains, Place
from scripts.support.report import Baseline, Params, Report, Row

#: Standard errors that are noise.
NOISE = 2.0
#: Targets of the gain without tags, points: the mean over sets and sizes; with all labels by set, beyond noise or not;
#: and of the mean over the sets of each served-only regime.
MEAN, SERVED_ONLY = 1.35, -0.5
ALL = {"zeroeval": (0.4, False), "routellm": (3.06, True), "llmrouter": (5.49, True)}
#: Labels from which on no cell may be below zero beyond noise.
ENOUGH = 300
#: Points that are no difference.
ROUNDING = 1e-9
COLUMNS = (
    *((rule.name, False) for rule in PLAIN), (EARLIER.name, False), (UNTAGGED.name, False), (DEFAULT.name, False),
    (EARLIER.name, True), (DEFAULT.name, True), (MEANS, False),
    (HONEST, False), (CHEAP, False), (STRONG, False), (BEST, False), (ORACLE, False),
)  # fmt: skip


class Verdicts:
    """Adds rows to a report and prints them."""

    def __init__(self, report: Report, gains: Gains, embedder: str) -> None:
        self._report = report
        self._gains = gains
        self._embedder = embedder
        self._aims: list[tuple[str, str, str, str]] = []

    def all(self) -> None:
        """Add and print every table."""
        self._by_size()
        self._by_regime()
        self._targets()

    def _by_size(self) -> None:
        head = [f"{rule}{', tags' if tagged else ''}" for rule, tagged in COLUMNS]
        table = [["set", "prompts", *head]]
        places = self._gains.places(regimes=False)
        table += [[place.set, _size(place), *(self._gain(place, *column) for column in COLUMNS)] for place in places]
        counts, means = ["cells below 0", ""], ["mean", ""]
        for rule, tagged in COLUMNS:
            values = [gains for place in places if (gains := self._gains.of(place, rule, tagged=tagged))]
            counts.append(f"{sum(map(_negative, values))} of {len(values)}")
            means.append(f"{statistics.fmean(map(statistics.fmean, values)):.2f}" if values else "")
        print_table(
            f"Gain in points over the {BLEND} of equal cost chosen in hindsight (0), mean ± standard error over the "
            f"seeds; below 0: beyond {NOISE:.0f} standard errors ({self._embedder})",
            [*table, counts, means],
            left=2,
        )

    def _by_regime(self) -> None:
        table = [
            ["regime", "set", "labelled", EARLIER.name, DEFAULT.name, MEANS, HONEST, f"default less {MEANS}", "below"]
        ]
        places = self._gains.places(regimes=True)
        for regime in REGIMES:
            own = [place for place in places if place.regime == regime]
            for place in own:
                labelled = f"{statistics.fmean(self._gains.prompts[place]):,.0f}"
                apart = self._apart(place)
                below = _negative(apart)
                self._add(f"gain less that of {MEANS}", place, apart, {"rule": DEFAULT.name}, below=below)
                cells = [self._gain(place, rule, False) for rule in (EARLIER.name, DEFAULT.name, MEANS, HONEST)]
                table.append([regime, place.set, labelled, *cells, _cell(apart), "yes" if below else "no"])
            if len(own) > 1:
                means = [f"{self._mean(own, rule):.2f}" for rule in (EARLIER.name, DEFAULT.name, MEANS, HONEST)]
                less = self._mean(own, DEFAULT.name) - self._mean(own, MEANS)
                table.append([regime, "mean", "", *means, f"{less:+.2f}", ""])
        print_table(
            f"Gain by who labels what, of 1,000 prompts or all; below: beyond {NOISE:.0f} standard errors",
            table,
            left=2,
        )

    def _targets(self) -> None:
        sizes, served = self._gains.places(regimes=False), self._gains.places(regimes=True)
        self._aim("mean gain over sets and sizes", self._mean(sizes, DEFAULT.name), at_least=MEAN)
        self._aim("the same, no tags taught", self._mean(sizes, UNTAGGED.name), at_least=MEAN)
        for name, (target, noisy) in ALL.items():
            gains = self._gains.of(Place(name, None), DEFAULT.name)
            if gains:
                noise = NOISE * standard_error(gains) if noisy else 0.0
                self._aim(f"gain on {name}, all labels", statistics.fmean(gains), at_least=target, noise=noise)
        enough = [place for place in sizes if place.size is None or place.size >= ENOUGH]
        negative = sum(_negative(self._gains.of(place, DEFAULT.name)) for place in enough)
        self._aim(f"cells below 0 from {ENOUGH} prompts on", negative, at_most=0)
        for regime in SERVED:
            own = [place for place in served if place.regime == regime]
            self._aim(f"{regime}, mean over sets", self._mean(own, DEFAULT.name), at_least=SERVED_ONLY)
        below = sum(_negative(self._apart(place)) for place in served if place.regime in SERVED)
        self._aim(f"served-only cells below {MEANS}", below, at_most=0)
        print_table("Targets of the default without tags", [("target", "value", "asked", ""), *self._aims])

    def _aim(
        self, name: str, value: float, *, at_least: float | None = None, at_most: float | None = None, noise: float = 0
    ) -> None:
        """Add a row of the targets; `noise`: by so much less than the target is not worse."""
        if at_least is not None:
            target, sign, holds = at_least, ">=", value + noise >= at_least
        else:
            assert at_most is not None
            target, sign, holds = at_most, "<=", value <= at_most
        within = f" within {noise:.2f}" if noise else ""
        self._aims.append((name, f"{value:.2f}", f"{sign} {target:.2f}{within}", "ok" if holds else "NO"))
        params: Params = {"rule": DEFAULT.name, "embedder": self._embedder, "noise": noise}
        self._report.rows.append(Row(name, params, value, "", None, target, holds, sign))

    def _gain(self, place: Place, rule: str, tagged: bool) -> str:
        gains = self._gains.of(place, rule, tagged=tagged)
        if not gains:
            return ""
        self._add("gain", place, gains, {"rule": rule, "tags": "yes" if tagged else "no"})
        return _cell(gains)

    def _apart(self, place: Place) -> list[float]:
        """Return the default's gains less those of the memory's means, by seed."""
        pairs = zip(self._gains.of(place, DEFAULT.name), self._gains.of(place, MEANS), strict=True)
        return [ours - theirs for ours, theirs in pairs]

    def _mean(self, places: Sequence[Place], rule: str) -> float:
        return statistics.fmean(statistics.fmean(self._gains.of(place, rule)) for place in places)

    def _add(
        self, metric: str, place: Place, values: Sequence[float], more: Params, *, below: bool | None = None
    ) -> None:
        params: Params = {
            "set": place.set, "embedder": self._embedder, "prompts": _size(place), "labels": place.regime or "all",
            **more, "seeds": len(values), "standard error": standard_error(values),
        }  # fmt: skip
        target, holds = (None, None) if below is None else (0.0, not below)
        baseline = Baseline(BLEND, 0.0) if metric == "gain" else Baseline(MEANS, 0.0)
        self._report.rows.append(Row(metric, params, statistics.fmean(values), "points", baseline, target, holds))


def _negative(values: Sequence[float]) -> bool:
    """Return whether the mean is below zero beyond noise."""
    return statistics.fmean(values) + NOISE * standard_error(values) < -ROUNDING


def _cell(values: Sequence[float]) -> str:
    return f"{statistics.fmean(values):.2f} ±{standard_error(values):.2f}"


def _size(place: Place) -> str:
    return "all" if place.size is None else f"{place.size:,}"
