"""What the proxy costs a request, and how many it serves.

Four ways of asking the same provider are timed in the same run, at 1 and 16 connections, in turns, and the medians over
the turns are printed:

    direct          the load generator to the provider, without the proxy: the baseline of all others
    pass-through    through the proxy, naming a model
    routed, known   through the proxy, `model: "auto"`; 50 prompts again and again, their embeddings remembered
    routed, new     the same, but every prompt is a new one

plus streamed answers, direct and passed through. The proxy is `python -m app serve`: one process, default settings, a
tenant with the 300 taught prompts of the demo and three candidate models. Postgres runs on the same machine with
durable commits (TEST_DATABASE_URL or DATABASE_URL names another server; a database is made there and dropped). The
provider is `tests/fake_upstream.py`, which answers at once; requests carry the headers that the official Python client
sends and prompts of some 300 characters. Every answer has to be a 200.

The load generator (one process), the provider (one), the proxy (one) and Postgres share the machine's processors: at 1
connection they take turns; at 16 the first two and Postgres take what the proxy leaves, so on two cores its
requests per second are what is left of two cores, not what one core can do. `cpu` says what each took per request.
Targets are for two cores. Latencies are what the load generator saw, in milliseconds.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from time import sleep
from urllib.parse import urlsplit

import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.bench import Baseline, Params, Report, options, say
from scripts.load import Measured, load, quantile
from scripts.processes import backends, cpu_seconds, resident_mib, running_proxy, seed
from scripts.scratch import scratch_database
from scripts.traffic import new, repeated
from tests.fake_upstream import running_upstream

DIRECT, PASSED, KNOWN, NEW = "direct", "pass-through", "routed, known", "routed, new"
CONNECTIONS = (1, 16)
MODEL = "gpt-4o"
#: What was asked for, on two cores: under this many milliseconds at 1 connection, over so many requests/s at 16.
TARGETS = {PASSED: (1.0, 1500.0), KNOWN: (3.0, 500.0), NEW: (3.0, 500.0)}
#: The ledger writes 0.1 s after the request; this much later its work for a turn is done, seconds.
SETTLE = 0.2


class Bench:
    """One run against servers that are up: turns of every path, and what they add up to."""

    def __init__(self, upstream: str, proxy: str, key: str, processes: dict[str, list[int]]) -> None:
        straight, through = urlsplit(upstream), urlsplit(proxy)
        self.paths = {
            DIRECT: (straight, repeated(straight.netloc, key, MODEL)),
            PASSED: (through, repeated(through.netloc, key, MODEL)),
            KNOWN: (through, repeated(through.netloc, key, "auto")),
            NEW: (through, new(through.netloc, key)),
        }
        self.streams = {
            DIRECT: (straight, repeated(straight.netloc, key, MODEL, stream=True)),
            PASSED: (through, repeated(through.netloc, key, MODEL, stream=True)),
        }
        self.start_over(processes)

    def start_over(self, processes: dict[str, list[int]]) -> None:
        """Forget what was measured; from now on the processor time of `processes` is taken."""
        self.processes = processes
        self.turns: dict[tuple[str, int], list[Measured]] = defaultdict(list)
        self.streamed: dict[str, list[Measured]] = defaultdict(list)
        self.cpu: dict[tuple[str, str], list[float]] = defaultdict(list)

    def turn(self, seconds: float) -> None:
        """Every path once at every number of connections."""
        for connections in CONNECTIONS:
            for path, (url, requests) in self.paths.items():
                before = self._used()
                measured = self._load(url.hostname, url.port, requests, connections, seconds)
                sleep(SETTLE if path != DIRECT else 0)
                self.turns[path, connections].append(measured)
                if connections == 16:
                    for process, used in self._used().items():
                        self.cpu[path, process].append((used - before[process]) / len(measured.latencies))
        for path, (url, requests) in self.streams.items():
            self.streamed[path].append(self._load(url.hostname, url.port, requests, 1, seconds / 2))

    def median(self, path: str, connections: int, of: Callable[[Measured], float]) -> float:
        """The median over the turns."""
        return statistics.median(of(measured) for measured in self.turns[path, connections])

    @staticmethod
    def _load(host: str | None, port: int | None, requests: Iterator[bytes], n: int, seconds: float) -> Measured:
        assert host is not None
        assert port is not None
        measured = uvloop.run(load(host, port, requests, n, seconds))
        if not measured.latencies:
            raise RuntimeError(f"nothing was answered within {seconds} s: ask for more --seconds")
        return measured

    def _used(self) -> dict[str, float]:
        used = {name: cpu_seconds(pids) for name, pids in self.processes.items()}
        return {name: seconds for name, seconds in used.items() if seconds is not None}


METRICS: tuple[tuple[str, str, Callable[[Measured], float]], ...] = (
    ("latency p50", "ms", lambda measured: quantile(measured.latencies, 0.5)),
    ("latency p99", "ms", lambda measured: quantile(measured.latencies, 0.99)),
    ("throughput", "1/s", lambda measured: measured.per_second),
)


def report(bench: Bench, rows: Report) -> None:
    """The table of a run."""
    for connections in CONNECTIONS:
        for path in bench.paths:
            for metric, unit, of in METRICS:
                value = bench.median(path, connections, of)
                under, over = TARGETS.get(path, (None, None))
                bounds: dict[str, float | None] = {
                    "under": under if connections == 1 and metric == "latency p50" else None,
                    "over": over if connections == 16 and metric == "throughput" else None,
                }
                # What is routed comes twice: against the provider itself, and against passing through.
                for other in {DIRECT: (None,), PASSED: (DIRECT,)}.get(path, (DIRECT, PASSED)):
                    baseline = other and Baseline(other, bench.median(other, connections, of))
                    params: Params = {"path": path, "connections": connections}
                    rows.add(metric, value, unit, params=params, baseline=baseline or None, **bounds)
                    bounds = {}
    for connections in CONNECTIONS:
        for path in (KNOWN, NEW):
            value = bench.median(path, connections, lambda measured: quantile(measured.overheads, 0.5))
            rows.add("x-router-overhead-ms p50", value, "ms", params={"path": path, "connections": connections})
    reasons = sum((measured.reasons for turns in bench.turns.values() for measured in turns), Counter[str]())
    rows.add("answers with reason `learned`", reasons["learned"] / reasons.total(), "share of routed")
    first = {
        path: statistics.median(quantile(measured.first_bytes, 0.5) for measured in turns)
        for path, turns in bench.streamed.items()
    }
    for path, value in first.items():
        params = {"path": f"{path}, streamed", "connections": 1}
        baseline = Baseline(DIRECT, first[DIRECT]) if path != DIRECT else None
        rows.add("first byte p50", value, "ms", params=params, baseline=baseline)
    for path in bench.paths:
        for process in bench.processes:
            if path != DIRECT or process not in ("proxy", "postgres"):
                used = bench.cpu.get((path, process))
                params = {"path": path, "connections": 16, "process": process}
                rows.add("cpu", statistics.median(used) * 1000 if used else None, "ms/request", params=params)


def main() -> None:
    """The command line; `--help` is the docstring above."""
    parser = options(__doc__)
    parser.add_argument("--seconds", type=float, metavar="S", help="length of each turn of each path (2; quick: 0.5)")
    parser.add_argument("--turns", type=int, metavar="N", help="turns of all paths (9; quick: 5)")
    given = parser.parse_args()
    seconds = given.seconds or (0.5 if given.quick else 2.0)
    turns = given.turns or (5 if given.quick else 9)
    rows = Report(given)
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pgrouter-bench-")))
        upstream = stack.enter_context(running_upstream(log=False))
        say("Setting up Postgres, the demo tenant and the proxy.")
        dsn = stack.enter_context(scratch_database())
        key = seed(dsn, home, upstream.url)
        url, pid = stack.enter_context(running_proxy(dsn, home))
        processes = {"proxy": [pid], "provider": [upstream.process.pid], "load generator": [os.getpid()]}
        bench = Bench(upstream.url, url, key, processes)
        say("Warming up.")
        bench.turn(min(seconds, 0.3))
        before = resident_mib(pid)
        # Known only now: the pool has opened its connections.
        bench.start_over({**processes, "postgres": uvloop.run(backends(dsn))})
        for number in range(turns):
            say(f"Turn {number + 1} of {turns}.")
            bench.turn(seconds)
        report(bench, rows)
        served = sum(len(m.latencies) for (path, _), ms in bench.turns.items() if path != DIRECT for m in ms)
        rows.add(
            "memory of the proxy",
            resident_mib(pid),
            "MiB",
            params={"requests": served},
            baseline=Baseline("after warming up", before) if before is not None else None,
        )
    rows.finish()


if __name__ == "__main__":
    main()
