"""The benchmark of the proxy: rows, baselines, targets, and peers that are found or missing."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest

from scripts.proxy import peers
from scripts.proxy.peers import Peer
from scripts.proxy.report import TIMES, report
from scripts.proxy.turns import CONNECTIONS, DIRECT, KNOWN, NEW, PASSED, ROUTED, STREAM, Bench, Way
from scripts.support import flames
from scripts.support.load import Measured
from scripts.support.report import Report

ROOT = Path(__file__).resolve().parents[2]
PLAIN = (DIRECT, PASSED, *ROUTED)
STREAMS = tuple(name + STREAM for name in (DIRECT, PASSED, KNOWN))
#: Replaces LiteLLM: prints a version, and serves answers itself without calling the provider.
STUB = """#!{python}
import os, sys
if "--version" in sys.argv:
    print("\\nLiteLLM: Current Version = 9.9.9\\n")
else:
    os.chdir({root!r})
    port = sys.argv[sys.argv.index("--port") + 1]
    os.execv({python!r}, [{python!r}, "-m", "scripts.fake_provider.server", "--no-log", "--port", port])
"""


@pytest.fixture(scope="module")
def stub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program with the interface of `litellm`."""
    program = tmp_path_factory.mktemp("stub") / "litellm"
    program.write_text(STUB.format(python=sys.executable, root=str(ROOT)))
    program.chmod(0o755)
    return program


@pytest.fixture(scope="module")
def rows(server_dsn: str, stub: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The JSON of the shortest possible run, with a peer."""
    file = tmp_path_factory.mktemp("bench") / "rows.json"
    options = ["--quick", "--seconds", "0.1", "--turns", "1", "--peer", f"litellm={stub}", "--json", str(file)]
    environ = os.environ | {"TEST_DATABASE_URL": server_dsn}
    command = [sys.executable, "scripts/bench_proxy.py", *options]
    subprocess.run(command, cwd=ROOT, env=environ, check=True, stdout=subprocess.DEVNULL, timeout=180)
    rows: list[dict[str, Any]] = orjson.loads(file.read_bytes())
    return rows


def compared(rows: list[dict[str, Any]], metric: str, connections: int) -> set[tuple[str, str | None]]:
    """Return the ways with a value above 0, each with its baseline."""
    return {
        (row["params"]["path"], row["params"].get("baseline"))
        for row in rows
        if row["metric"] == metric and row["params"]["connections"] == connections and row["value"] > 0
    }


@pytest.mark.server
def test_every_row_of_the_benchmark_has_the_documented_fields(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        assert list(row) == ["metric", "params", "value", "unit", "baseline", "target", "holds"]
        assert (row["baseline"] is None) == ("baseline" not in row["params"])
        assert (row["target"] is None) == (row["holds"] is None), row


@pytest.mark.server
@pytest.mark.parametrize("connections", CONNECTIONS)
def test_the_benchmark_compares_every_way_with_its_baselines(rows: list[dict[str, Any]], connections: int) -> None:
    plain: set[tuple[str, str | None]] = {
        (DIRECT, None),
        (PASSED, DIRECT),
        *((path, name) for path in ROUTED for name in (DIRECT, PASSED)),
    }
    first, passed, routed = STREAMS
    streamed: set[tuple[str, str | None]] = {(first, None), (passed, first), (routed, first), (routed, passed)}
    if connections < max(CONNECTIONS):
        plain.add(("litellm", DIRECT))
    else:
        # A quick run leaves these out at the most connections.
        streamed = set()
    for metric in ("latency p50", "latency p99"):
        assert compared(rows, metric, connections) == plain | streamed
    for metric in ("first byte p50", "first byte p99"):
        assert compared(rows, metric, connections) == streamed
    against = {(path, "litellm") for path in (PASSED, *ROUTED)} if connections == 16 else set()
    assert compared(rows, "throughput", connections) == plain | streamed | against


@pytest.mark.server
def test_the_benchmark_has_the_targets_that_were_asked_for(rows: list[dict[str, Any]]) -> None:
    targets = {
        (row["metric"], row["params"].get("path"), row["target"])
        for row in rows
        if row["target"] is not None and row["params"].get("baseline") != "litellm"
    }
    assert targets == {
        ("latency p50", PASSED, 1.0),
        ("throughput", PASSED, 1500.0),
        ("throughput", KNOWN, 726.0),
        ("throughput", NEW, 726.0),
        ("latency p50 added by routing", KNOWN, 1.5),
        ("latency p50 added by routing", NEW, 2.5),
        ("memory growth", None, 10.0),
        ("memory a slow reader takes", None, 3.0),
        ("client gone to provider left, longest", None, 100.0),
    }


@pytest.mark.server
def test_the_benchmark_has_each_processs_cpu_time_of_a_request(rows: list[dict[str, Any]]) -> None:
    outer, inner = {"provider", "load generator"}, {"proxy", "postgres", "provider", "load generator"}
    took = {
        path: {row["params"]["process"] for row in rows if row["metric"] == "cpu" and row["params"]["path"] == path}
        for path in (*PLAIN, *STREAMS, "litellm")
    }
    assert took == {path: outer if path.startswith(DIRECT) else inner for path in (*PLAIN, *STREAMS)} | {
        "litellm": outer | {"litellm"}
    }


@pytest.mark.server
def test_a_peer_sets_the_mark_by_what_it_did_in_the_same_run(rows: list[dict[str, Any]]) -> None:
    passed = [row for row in rows if row["metric"] == "throughput" and row["params"]["path"] == "litellm"]
    did = next(row["value"] for row in passed if row["params"]["connections"] == 16)
    against = [row for row in rows if row["params"].get("baseline") == "litellm"]
    assert {row["params"]["path"]: row["target"] / did for row in against} == pytest.approx(TIMES["litellm"])
    for row in against:
        assert (row["baseline"], row["params"]["version"]) == (did, "9.9.9")
        assert row["holds"] == (row["value"] > row["target"])


def measured(latency: float) -> Measured:
    """Return the result of a load of ten requests of so many milliseconds each."""
    return Measured(seconds=1, latencies=[latency] * 10, first_bytes=[latency] * 10, overheads=[latency] * 10)


def told(found: list[Peer]) -> list[dict[str, Any]]:
    """Return the rows of an invented run of two turns, the second twice as slow, with these peers."""
    names = [*PLAIN, *(peer.name for peer in found)]
    bench = Bench([Way(name, urlsplit("http://nowhere"), iter(()), ()) for name in names], {})
    for turn in (1, 2):
        for name, latency in zip(names, (0.1, 0.5, 1.5, 2.5, 9.0, 9.0), strict=False):
            for connections in CONNECTIONS:
                bench.turns[name, connections].append(measured(latency * turn))
    bench.turns[KNOWN, 1][0].reasons["learned"] = 1
    rows = Report(argparse.Namespace(json=None))
    report(bench, found, rows)
    return [row.as_json() for row in rows.rows]


def test_what_routing_adds_is_the_difference_within_a_turn() -> None:
    added = {row["params"]["path"]: row["value"] for row in told([]) if row["metric"] == "latency p50 added by routing"}
    assert added == pytest.approx({KNOWN: 1.5, NEW: 3.0})


def test_without_peers_their_speed_elsewhere_is_named_and_nothing_held_against_it() -> None:
    rows = told([])
    assert not [row for row in rows if row["params"].get("baseline") in TIMES]
    named = {row["params"]["path"] for row in rows if "elsewhere" in row["params"]}
    assert named == {PASSED, *ROUTED}
    assert not [row for row in told([Peer("portkey", Path("/"), "1")]) if "elsewhere" in row["params"]]


@pytest.mark.parametrize(
    ("named", "environ", "said"),
    [
        ("litellm=/nowhere/litellm", {}, "pip install 'litellm[proxy]=="),
        ("litellm", {"LITELLM": "/nowhere/litellm"}, "LITELLM="),
        ("portkey", {}, "npm install @portkey-ai/gateway@"),
        ("portkey", {"PORTKEY": "/nowhere"}, "PORTKEY="),
        ("nginx", {}, "litellm, portkey"),
    ],
)
def test_a_peer_that_is_not_there_is_an_error_with_the_commands(named: str, environ: dict[str, str], said: str) -> None:
    with pytest.raises(peers.Missing) as missing:
        peers.find(named, environ)
    assert said in str(missing.value)


def test_a_missing_peer_ends_the_benchmark_before_anything_is_started() -> None:
    command = [sys.executable, "scripts/bench_proxy.py", "--quick", "--peer", "portkey=/nowhere"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stdout) == (2, "")
    assert "npm install" in result.stderr


def test_a_peer_is_found_by_its_variable(stub: Path) -> None:
    assert peers.find("litellm", {"LITELLM": str(stub)}) == Peer("litellm", stub, "9.9.9")


def test_the_output_of_a_peer_that_does_not_start_is_in_the_error(tmp_path: Path) -> None:
    program = tmp_path / "litellm"
    program.write_text("#!/bin/sh\necho broken by design\nexit 3\n")
    program.chmod(0o755)
    with (
        peers.running(Peer("litellm", program, "1"), "http://127.0.0.1:1/v1", tmp_path) as ready,
        pytest.raises(RuntimeError, match="broken by design"),
    ):
        ready()


def test_a_profile_without_a_recorder_is_an_error_with_the_command_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(FileNotFoundError, match="pip install py-spy"):
        flames.recorder(Path("flames.svg"))
    with pytest.raises(ValueError, match=r"\.svg"):
        flames.recorder(Path("flames.png"))
