"""The benchmark of quality runs from end to end on any label set and writes its rows."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

ROOT = Path(__file__).resolve().parents[2]
WORDS = (
    "sum", "integral", "proof", "poem", "about", "cats", "list", "files", "python", "sort", "French", "translate",
    "capital", "river", "verb",
)  # fmt: skip


def prompt(rng: random.Random) -> str:
    return " ".join(rng.choices(WORDS, k=8))


def write(path: Path, models: int, prompts: int, rng: random.Random, *, free: bool, tasks: bool) -> None:
    """Write a set in which later models can answer a `sum`; some cells are empty, and every tenth prompt repeats."""
    names = [f"m{number}" for number in range(models)]
    head = ["prompt", *(["task"] if tasks else []), *(f"q:{m}" for m in names), *(f"c:{m}" for m in names)]
    lines = [",".join(head)]
    asked: list[str] = []
    for _ in range(prompts):
        text = rng.choice(asked) if asked and rng.random() < 0.1 else prompt(rng)
        asked.append(text)
        hard = "sum" in text
        quality = [
            "" if rng.random() < 0.1 / models else str(int(rng.random() < (number / models if hard else 0.7)))
            for number in range(models)
        ]
        cost = [str(0 if free else rng.random() * 10.0 ** (number % 4 - 6)) for number in range(models)]
        lines.append(",".join([text, *([rng.choice("ab")] if tasks else []), *quality, *cost]))
    path.write_text("\n".join(lines))


@pytest.fixture(scope="module")
def rows(server_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The JSON of a quick run on three sets: 18 models; no tasks and no costs; too few rows."""
    folder = tmp_path_factory.mktemp("sets")
    rng = random.Random(1)
    write(folder / "many.csv", 18, 400, rng, free=False, tasks=True)
    write(folder / "free.csv", 2, 200, rng, free=True, tasks=False)
    write(folder / "few.csv", 3, 40, rng, free=False, tasks=True)
    (folder / "other.csv").write_text("no,set\n")
    files = [str(folder / f"{name}.csv") for name in ("many", "other", "free", "few")]
    run = subprocess.run(
        [sys.executable, "scripts/bench_quality.py", "--quick", "--only", *files, "--json", str(folder / "rows.json")],
        cwd=ROOT,
        env=os.environ | {"TEST_DATABASE_URL": server_dsn},
        check=False,
        stdout=subprocess.PIPE,
        text=True,
        timeout=180,
    )
    # A set that cannot be measured is reported, and fails the run only after the others are measured.
    assert run.returncode == 1
    assert "other.csv is left out: needs a column `prompt`" in run.stdout
    found: list[dict[str, Any]] = orjson.loads((folder / "rows.json").read_bytes())
    return found


@pytest.mark.server
def test_every_row_has_the_documented_fields(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        assert list(row) == ["metric", "params", "value", "unit", "baseline", "target", "holds"]
        assert (row["baseline"] is None) == ("baseline" not in row["params"])
        assert (row["target"] is None) == (row["holds"] is None), row
        assert isinstance(row["value"], float | int)


@pytest.mark.server
def test_every_set_is_measured_by_every_rule_beside_what_needs_no_router(rows: list[dict[str, Any]]) -> None:
    for name, tagged in (("many", {"no", "yes"}), ("free", {"no"}), ("few", {"no", "yes"})):
        gains = [row for row in rows if row["metric"] == "gain" and row["params"]["set"] == name]
        routed = [row for row in gains if row["params"]["rule"] in ("default", "auto-tuned", "plain k=5, list price")]
        assert {row["params"]["rule"] for row in routed} == {"default", "auto-tuned", "plain k=5, list price"}
        assert {row["params"]["tags"] for row in routed} == tagged
        for row in routed:
            assert row["params"]["baseline"] == "static blend"
            assert row["params"].keys() >= {
                "oracle",
                "honest static blend",
                "always cheapest",
                "always default",
                "best single",
                "seeds",
                "sd",
            }
            assert row["params"]["oracle"] >= row["value"]


@pytest.mark.server
def test_the_gain_is_asked_not_to_be_negative_from_100_labels_on(rows: list[dict[str, Any]]) -> None:
    asked = {
        row["params"]["labels"]
        for row in rows
        if row["metric"] == "gain" and row["target"] == 0 and row["params"]["set"] == "many"
    }
    assert asked == {100}


@pytest.mark.server
def test_every_rule_was_compared_with_the_sql_in_the_same_run(rows: list[dict[str, Any]]) -> None:
    checked = [row for row in rows if row["metric"].startswith("twin")]
    for name in ("many", "free", "few"):
        rules = {row["params"]["rule"] for row in checked if row["params"]["set"] == name}
        assert {"default", "auto-tuned", "plain k=5, list price", "plain k=20, list price"} <= rules
    assert all(row["holds"] for row in checked), [row for row in checked if not row["holds"]]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[dict[str, Any]]]:
    """The output and the JSON of --table on two sets, with and without tasks and costs."""
    folder = tmp_path_factory.mktemp("sets")
    rng = random.Random(1)
    write(folder / "many.csv", 18, 400, rng, free=False, tasks=True)
    write(folder / "free.csv", 2, 200, rng, free=True, tasks=False)
    files = [str(folder / name) for name in ("many.csv", "free.csv")]
    run = subprocess.run(
        [sys.executable, "-m", "scripts.bench_quality", "--table", "--only", *files, "--json", str(folder / "rows")],
        cwd=ROOT,
        # Whoever starts Postgres now would fail.
        env={**os.environ, "TEST_DATABASE_URL": "postgresql://nowhere.invalid/", "PATH": ""},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=180,
    )
    found: list[dict[str, Any]] = orjson.loads((folder / "rows").read_bytes())
    return run.stdout, found


def test_the_table_needs_no_postgres_and_has_every_baseline(table: tuple[str, list[dict[str, Any]]]) -> None:
    gains = {
        (row["params"]["set"], row["params"]["prompts"], row["params"]["rule"], row["params"]["tags"]): row["value"]
        for row in table[1]
        if row["metric"] == "gain" and row["params"]["labels"] == "all"
    }
    rules = {
        "plain k=5, list price", "plain k=20, list price", "earlier rule", "default, no tags taught", "default",
        "memory means only", "honest static blend", "always cheapest", "always default",
        "best single", "oracle",
    }  # fmt: skip
    for name, sizes in (("many", {"100", "all"}), ("free", {"100", "all"})):
        assert {rule for own, _, rule, _ in gains if own == name} == rules
        assert {size for own, size, _, _ in gains if own == name} == sizes
    assert {own for own, _, rule, tags in gains if rule == "default" and tags == "yes"} == {"many"}
    assert all(gains["many", size, "oracle", "no"] >= gains["many", size, "default", "no"] for size in ("100", "all"))


def test_the_table_has_a_verdict_for_every_regime(table: tuple[str, list[dict[str, Any]]]) -> None:
    output, rows = table
    verdicts = [row for row in rows if row["metric"] == "gain less that of memory means only"]
    for row in verdicts:
        worse = row["value"] + 2 * row["params"]["standard error"] < 0
        assert row["holds"] == (not worse)
    labels = {row["params"]["labels"] for row in verdicts if row["params"]["set"] == "many"}
    assert len(labels) == 9
    assert "Targets of the default without tags" in output
    target = next(row for row in rows if row["metric"] == "mean gain over sets and sizes")
    assert target["holds"] == (target["value"] >= target["target"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["nowhere.csv"], "There is no file nowhere.csv"), (["--only"], "--only leaves nothing to measure")],
)
def test_a_set_that_cannot_be_measured_is_an_error_before_a_server_is_started(arguments: list[str], said: str) -> None:
    run = subprocess.run(
        [sys.executable, "scripts/bench_quality.py", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 1
    assert said in run.stderr
