"""The table and the plots of a backtest: every measured value, within the width of a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.cli import report
from app.cli.plot import FINE, PLAIN, glyphs_for, plot
from app.memory.backtest import Backtest

PAIR = {"gpt-4o-mini": (0.68, 0.0001), "gpt-4o": (0.82, 0.002)}
MANY = {
    f"vendor/some-model-with-a-long-name-{number}": (0.3 + 0.05 * number, 0.0001 * 1.5**number) for number in range(9)
}


def measured(models: dict[str, tuple[float, float]] = PAIR, oracle: float = 0.9, points: int = 7) -> Backtest:
    """Return a backtest from the first, cheapest model to the last, the default; the fourth alpha is in use."""
    names = list(models)
    (low, cheap), (high, dear) = models[names[0]], models[names[-1]]

    def row(rule: str, quality: float, cost: float, **more: Any) -> dict[str, Any]:
        return {
            "rule": rule,
            "alpha": None,
            "model": None,
            "quality": quality,
            "quality_low": quality - 0.01,
            "quality_high": quality + 0.01,
            "cost_usd": cost,
            "blend_quality": quality - 0.02,
            "gain": 0.02,
            "gain_low": -0.005,
            "gain_high": 0.031,
            "quality_ratio": quality / high,
            "quality_ratio_low": quality / high - 0.01,
            "cost_ratio": cost / dear,
            "models": names,
            "shares": None,
            "rows": 200,
            "skipped": 12,
            "sampled": True,
            "in_use": False,
            **more,
        }

    def at(step: int) -> dict[str, Any]:
        left = 1 - step / (points - 1)
        shares = [0.0] * len(names)
        shares[0] += 1 - left
        shares[-1] += left
        quality = low + (high - low) * left + 0.05 * left * (1 - left)
        return row(
            "policy", quality, cheap + (dear - cheap) * left, alpha=0.01 * 2**step, shares=shares, in_use=step == 3
        )

    best = max(names, key=lambda name: models[name][0])
    return Backtest.of(
        [
            *(at(step) for step in range(points)),
            *(row("always", *models[name], model=name) for name in names),
            row("cheapest", *models[names[0]], model=names[0]),
            row("default", *models[names[-1]], model=names[-1]),
            row("best_single", *models[best], model=best),
            row("oracle", oracle, (cheap + dear) / 4),
        ]
    )


def lines(found: Backtest, width: int = 100) -> list[str]:
    """Return the printed text."""
    return [
        *report.curve(found, found.curve, 0.9, width),
        *report.legend(0.9, width),
        *report.alone(found, 0.9, width),
        *plot(found, width, FINE),
    ]


@pytest.mark.parametrize("width", [40, 60, 80, 100])
@pytest.mark.parametrize("models", [PAIR, MANY], ids=["two models", "nine with long names"])
def test_nothing_is_wider_than_the_terminal(models: dict[str, tuple[float, float]], width: int) -> None:
    text = "\n".join(lines(measured(models), width))
    assert max(map(len, text.splitlines())) <= width


def test_the_table_has_a_line_for_each_alpha_and_marks_the_policys_own() -> None:
    found = measured()
    head, *rows = report.curve(found, found.curve, 0.9, 100)
    assert [row.lstrip(" >").split()[0] for row in rows] == ["0.01", "0.02", "0.04", "0.08", "0.16", "0.32", "0.64"]
    assert [row for row in rows if row.startswith(">")] == [rows[3]]
    assert head.split()[-2:] == ["gpt-4o-mini", "gpt-4o"]


def test_the_table_has_quality_cost_gain_and_shares_with_their_intervals() -> None:
    found = measured()
    row = report.curve(found, found.curve, 0.9, 100)[4].split()
    assert row == [">", "0.08", "0.762", "0.752-0.772", "1.05", "52%", "0.742", "+2.0", "-0.5..+3.1", "50%", "50%"]


def test_the_references_are_always_beside_it() -> None:
    text = "\n".join(report.alone(measured(), 0.9, 100))
    for said in ("gpt-4o-mini (cheapest)", "gpt-4o (default, best single)", "oracle", "static blend", "at alpha 0.08"):
        assert said in text


def test_models_that_fit_no_column_are_summed_up() -> None:
    found = measured(MANY)
    head, *rows = report.curve(found, found.curve, 0.9, 100)
    shown = head.split()[head.split().index("gain") + 2 :]
    assert shown[-1] == "rest"
    assert {"A", "I"} <= set(shown), "the models that serve are shown first"
    assert all(len(row.lstrip(">").split()) == len(head.split()) for row in rows)


def test_a_long_grid_is_thinned_to_the_shape_of_the_curve() -> None:
    found = measured(points=60)
    kept = report.thinned(found.curve, 12)
    assert len(kept) <= 15
    assert (kept[0], kept[-1]) == (found.curve[0], found.curve[-1])
    assert found.in_use in kept


def test_a_policy_that_costs_the_same_at_every_alpha_is_shown_by_its_ends() -> None:
    same = {"one": (0.5, 0.001), "other": (0.5, 0.001)}
    kept = report.thinned(measured(same).curve, 12)
    assert [point.alpha for point in kept] == [0.01, 0.08, 0.64]
    assert lines(measured(same))


def test_the_plot_names_the_models_the_oracle_and_the_alpha_in_use() -> None:
    text = "\n".join(plot(measured(), 100, FINE))
    for said in ("gpt-4o-mini", "gpt-4o", "oracle", "alpha 0.08", "quality", "USD per 1,000 requests"):
        assert said in text
    assert text.count(FINE.curve) == 7 - 3 + 1, (
        "a mark per alpha but for the ends, under the models, and the one in use"
    )


def test_the_cheap_are_left_of_the_dear_and_the_good_above_the_bad() -> None:
    rows = plot(measured(), 100, PLAIN)
    cheap = next((y, row.index("A")) for y, row in enumerate(rows) if "A" in row)
    dear = next((y, row.rindex("B")) for y, row in enumerate(rows) if "B" in row)
    assert cheap[0] > dear[0]
    assert cheap[1] < dear[1]


def test_an_oracle_far_above_is_shown_at_the_edge_with_its_value() -> None:
    text = "\n".join(plot(measured(oracle=1.0), 100, FINE))
    assert f"oracle 1.000 {FINE.up}" in text


def test_a_model_far_below_is_shown_at_the_edge_with_its_value() -> None:
    models = {"poor": (0.1, 0.0001), "gpt-4o-mini": (0.8, 0.0002), "gpt-4o": (0.82, 0.002)}
    found = measured(models)
    text = "\n".join(plot(found, 100, FINE))
    assert "poor" in text


def test_in_a_narrow_terminal_nothing_of_the_legend_or_the_names_is_cut() -> None:
    text = "\n".join(lines(measured(), 60))
    assert max(map(len, text.splitlines())) <= 60
    assert text.endswith("models")
    for said in ("gpt-4o (default, best single)", "the policy at alpha 0.08"):
        assert said in text


def test_names_that_have_to_be_cut_stay_distinct() -> None:
    rows = report.alone(measured(MANY), 0.9, 60)[1 : 1 + len(MANY)]
    assert max(map(len, rows)) <= 60
    assert len({row.split()[1] for row in rows}) == len(MANY)


def test_an_ascii_output_gets_ascii_alone() -> None:
    assert glyphs_for("utf-8") is FINE
    assert glyphs_for("ascii") is glyphs_for(None) is PLAIN
    assert "\n".join(plot(measured(MANY), 80, PLAIN)).isascii()


def test_the_blend_is_the_upper_hull_of_the_single_models() -> None:
    models = {
        "a": (0.3, 1.0),
        "b": (0.5, 2.0),
        "under": (0.5, 3.0),
        "worse": (0.4, 3.5),
        "c": (0.7, 4.0),
        "dear": (0.6, 9.0),
    }
    assert measured(models).blend() == [(1.0, 0.3), (2.0, 0.5), (4.0, 0.7)]
    models["b"] = (0.4, 2.0)
    assert measured(models).blend() == [(1.0, 0.3), (4.0, 0.7)]


def test_the_png_is_a_png(tmp_path: Path) -> None:
    from app.cli.plot_png import draw

    for name, found in {"two": measured(), "nine": measured(MANY)}.items():
        file = tmp_path / f"{name}.png"
        draw(found, "demo", file, 0.9)
        data = file.read_bytes()
        assert data.startswith(b"\x89PNG\r\n\x1a\n")
        assert data.rstrip().endswith(b"IEND\xaeB`\x82")
        assert int.from_bytes(data[16:20]) > 1000, "wide enough to read"
