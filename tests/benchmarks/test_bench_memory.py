"""The benchmarks of the memory and of tokens run from end to end and write their rows."""

from __future__ import annotations

import argparse
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson
import pytest

from scripts.bench_memory import Bench
from scripts.memory.plan import Plan
from scripts.support.report import Report

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def memory_rows(server_dsn: str) -> list[dict[str, Any]]:
    """The rows of a run with small tenants, one of which has more memories than there are prompts."""
    plan = Plan(
        alone=(400,), among=(20, 200, 400), graduated=frozenset({200, 400}), swept=frozenset({400}), others=5, each=30,
        taught=100, in_use=300, blocks=2, seconds=0.05, prompts=1_300,
    )  # fmt: skip
    report = Report(argparse.Namespace(json=None))

    def run() -> None:
        bench = Bench(report, plan, server_dsn)
        bench.alone(400)
        bench.among()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(run).result()
    return [row.as_json() for row in report.rows]


@pytest.mark.server
def test_the_memorys_benchmark_times_each_size_before_and_after_graduation(memory_rows: list[dict[str, Any]]) -> None:
    timed = {
        tuple(row["params"].get(name) for name in ("memories", "search", "other tenants", "baseline"))
        for row in memory_rows
        if row["metric"] == "decide p50" and "hnsw.ef_search" not in row["params"]
    }
    assert timed == {
        *((size, "exact", 5, "numpy") for size in (20, 200, 400)),
        *((size, "graduated", 5, "exact scan") for size in (200, 400)),
        (400, "exact", 1, "numpy"),
        (400, "graduated", 1, "exact scan"),
    }


@pytest.mark.server
def test_the_memorys_benchmark_finds_that_an_exact_scan_misses_nothing(memory_rows: list[dict[str, Any]]) -> None:
    shares = [
        row["value"] for row in memory_rows if row["metric"] == "recall@100" and row["params"]["search"] == "exact"
    ]
    assert shares == [1.0] * 4


@pytest.mark.server
def test_the_memorys_benchmark_marks_tenants_with_copies(memory_rows: list[dict[str, Any]]) -> None:
    copies = {
        (row["params"]["memories"], row["params"].get("jittered"))
        for row in memory_rows
        if "search" in row["params"] and row["metric"] == "decide p95"
    }
    assert copies == {(20, None), (200, None), (400, 0.25)}


@pytest.mark.server
def test_the_memorys_benchmark_measures_all_that_it_describes(memory_rows: list[dict[str, Any]]) -> None:
    assert {row["metric"] for row in memory_rows} == {
        "decide p50", "decide p95", "decide, server's cpu", "decide p50, in turns", "cost of other tenants",
        "part of a decision, p50", "part of a decision, server's cpu, median", "decisions", "decisions, client's cpu",
        "recall@100", "same model as the exact scan", "score lost by other choices, mean", "growth of decide p50",
        "graduation, unused", "graduation, in use", "longest wait during graduation",
        "neighbours found, of 100", "bytes of a memory", "teaching one example, p50",
        "teaching one example, server's cpu", "teaching one example at the cap, p50",
        "teaching one example at the cap, server's cpu",
    }  # fmt: skip


def test_the_benchmark_of_tokens_times_the_estimate(tmp_path: Path) -> None:
    file = tmp_path / "rows.json"
    command = [sys.executable, "scripts/bench_tokens.py", "--quick", "--json", str(file)]
    subprocess.run(command, check=True, timeout=100, cwd=ROOT, capture_output=True)
    rows = orjson.loads(file.read_bytes())
    assert {"estimate", "Llama 2's"} <= {row["params"]["by"] for row in rows if row["unit"] == "us"}
    # The rows of errors need tiktoken's vocabularies.
    assert all(row["holds"] is not False for row in rows if row["metric"] == "mean error")
