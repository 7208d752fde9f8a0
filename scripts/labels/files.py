"""The label sets that benchmarks measure: files of BENCH_DATA, else the demo's memory and generated sets.

A label set is a CSV file (NAME.csv or NAME.csv.gz), UTF-8, whose quoted fields may hold newlines:

    prompt      the text sent to the models
    task        a tag of the prompt (may be empty)
    bench       a group of tasks (may be left out)
    q:MODEL     score of the model's answer, 0 to 1 (empty: unknown)
    c:MODEL     cost of the request, USD (empty: unknown)

BENCH_DATA names a folder of such files, or is `generated`: the demo's memory and two sets of known structure. If it is
not set, `../shared/data` relative to the repository is used if it exists, else the generated sets."""

from __future__ import annotations

import atexit
import os
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from scripts.labels import demo, generator

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT.parent / "shared" / "data"
GENERATED = "generated"


def label_files(environ: Mapping[str, str] = os.environ) -> list[Path]:
    """Return the files of the label sets. Raises `SystemExit` if BENCH_DATA names a folder without any."""
    named = environ.get("BENCH_DATA")
    if named == GENERATED:
        return list(generated())
    folder = Path(named) if named else FOLDER
    found = sorted([*folder.glob("*.csv"), *folder.glob("*.csv.gz")])
    if named and not found:
        raise SystemExit(f"BENCH_DATA={named}: there is no label set (*.csv, *.csv.gz) in this folder.")
    return found or list(generated())


@cache
def generated() -> tuple[Path, ...]:
    """Return the demo's memory and two generated sets, written to a folder that is removed when the process ends."""
    folder = tempfile.TemporaryDirectory(prefix="pgrouter-labels-")
    atexit.register(folder.cleanup)
    path = Path(folder.name)
    return (
        generator.write(path / "demo.csv.gz", demo.rows()),
        generator.write(path / "pair.csv.gz", generator.rows(6_000, generator.PAIR, seed=1)),
        generator.write(path / "six.csv.gz", generator.rows(3_000, generator.SIX, seed=2, unknown=0.03)),
    )


def set_name(path: Path) -> str:
    """Return the name of the set in a file."""
    return path.name.removesuffix(".gz").removesuffix(".csv")
