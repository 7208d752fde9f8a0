"""The proxy's benchmark runs from end to end and writes what it says it writes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def rows(server_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The JSON of the shortest run there is."""
    file = tmp_path_factory.mktemp("bench") / "rows.json"
    command = [
        sys.executable,
        "scripts/bench_proxy.py",
        "--quick",
        "--seconds",
        "0.1",
        "--turns",
        "1",
        "--json",
        str(file),
    ]
    environ = os.environ | {"TEST_DATABASE_URL": server_dsn}
    subprocess.run(command, cwd=ROOT, env=environ, check=True, stdout=subprocess.DEVNULL, timeout=60)
    rows: list[dict[str, Any]] = orjson.loads(file.read_bytes())
    return rows


@pytest.mark.server
def test_every_row_of_the_benchmark_has_the_documented_fields(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        assert list(row) == ["metric", "params", "value", "unit", "baseline", "target", "holds"]
        assert (row["baseline"] is None) == ("baseline" not in row["params"])
        assert (row["target"] is None) == (row["holds"] is None), row


@pytest.mark.server
def test_the_benchmark_compares_every_path_with_its_baselines(rows: list[dict[str, Any]]) -> None:
    for connections in (1, 16):
        for metric in ("latency p50", "latency p99", "throughput"):
            compared = {
                (row["params"]["path"], row["params"].get("baseline"))
                for row in rows
                if row["metric"] == metric and row["params"]["connections"] == connections and row["value"] > 0
            }
            routed = {(path, name) for path in ("routed, known", "routed, new") for name in ("direct", "pass-through")}
            assert compared == {("direct", None), ("pass-through", "direct"), *routed}


@pytest.mark.server
def test_the_benchmark_has_targets_for_each_path_through_the_proxy(rows: list[dict[str, Any]]) -> None:
    targets = {(row["params"]["path"], row["metric"], row["target"]) for row in rows if row["target"] is not None}
    assert targets == {
        ("pass-through", "latency p50", 1.0),
        ("pass-through", "throughput", 1500.0),
        *((path, "latency p50", 3.0) for path in ("routed, known", "routed, new")),
        *((path, "throughput", 500.0) for path in ("routed, known", "routed, new")),
    }
