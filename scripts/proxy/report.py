"""The table of a run of `bench_proxy.py`: every way with its baselines and targets."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from typing import NamedTuple

from scripts.proxy.peers import Peer
from scripts.proxy.turns import BUSY, CONNECTIONS, DIRECT, KNOWN, NEW, PASSED, ROUTED, STREAM, Bench
from scripts.support.load import Measured, quantile
from scripts.support.report import Baseline, Params, Report

Of = Callable[[Measured], float]


class Bound(NamedTuple):
    """A target: less than `under`, more than `over`."""

    under: float | None = None
    over: float | None = None


#: Targets on two cores, by metric, way and connections.
TARGETS: Mapping[tuple[str, str, int], Bound] = {
    ("latency p50", PASSED, 1): Bound(under=1.0),
    ("throughput", PASSED, BUSY): Bound(over=1500.0),
    ("throughput", KNOWN, BUSY): Bound(over=726.0),
    ("throughput", NEW, BUSY): Bound(over=726.0),
}
#: Target: milliseconds that routing adds to passing through.
ADDED = {KNOWN: 1.5, NEW: 2.5}
#: Target of each way: multiple of the requests a second that a peer forwards.
TIMES = {"portkey": {PASSED: 6.0, KNOWN: 2.0, NEW: 2.0}, "litellm": {PASSED: 60.0, KNOWN: 20.0, NEW: 20.0}}
#: Requests/s of the versions in `peers.INSTALL`, measured on other two cores of 2.5 GHz, for runs without peers.
ELSEWHERE = "Portkey 363, LiteLLM 36"
#: Target: growth of the proxy in MiB, the amount that an allocator may keep.
FLAT = 10.0


def p50(measured: Measured) -> float:
    """Return the median latency, in milliseconds."""
    return quantile(measured.latencies, 0.5)


METRICS: tuple[tuple[str, str, Of], ...] = (
    ("latency p50", "ms", p50),
    ("latency p99", "ms", lambda measured: quantile(measured.latencies, 0.99)),
    ("throughput", "1/s", lambda measured: measured.per_second),
)
STREAMED: tuple[tuple[str, str, Of], ...] = (
    ("first byte p50", "ms", lambda measured: quantile(measured.first_bytes, 0.5)),
    ("first byte p99", "ms", lambda measured: quantile(measured.first_bytes, 0.99)),
    *METRICS,
)


def report(bench: Bench, peers: list[Peer], rows: Report) -> None:
    """Add the rows of all ways, of the latency added by routing, of the peers and of processor time."""
    for connections in CONNECTIONS:
        for way in bench.ways:
            # A quick run leaves some ways out.
            if bench.turns.get((way.name, connections)):
                for metric, unit, of in STREAMED if way.streamed else METRICS:
                    _measured(bench, rows, way.name, connections, metric, unit, of, alone=not peers)
    for path in ROUTED:
        _overheads(bench, rows, path)
    for peer in peers:
        _against(bench, rows, peer)
    reasons = bench.reasons
    rows.add("answers with reason `learned`", reasons["learned"] / reasons.total(), "share of routed")
    for way in bench.ways:
        for process in way.processes:
            used = bench.cpu.get((way.name, process))
            params: Params = {"path": way.name, "connections": BUSY, "process": process}
            rows.add("cpu", statistics.median(used) if used else None, "ms/request", params=params)


def _measured(
    bench: Bench, rows: Report, path: str, connections: int, metric: str, unit: str, of: Of, *, alone: bool
) -> None:
    """Add rows of a way; a routed one twice, with the provider and with passing through as baseline."""
    value = bench.median(path, connections, of)
    bound = TARGETS.get((metric, path, connections), Bound())
    for other in _baselines(path):
        baseline = other and Baseline(other, bench.median(other, connections, of))
        params: dict[str, str | int | float] = {"path": path, "connections": connections}
        if alone and bound.over is not None:
            params["elsewhere"] = ELSEWHERE
        rows.add(metric, value, unit, params=params, baseline=baseline or None, under=bound.under, over=bound.over)
        bound = Bound()


def _baselines(path: str) -> tuple[str | None, ...]:
    kind = STREAM if path.endswith(STREAM) else ""
    plain = path.removesuffix(STREAM)
    if plain == DIRECT:
        return (None,)
    return (DIRECT + kind, PASSED + kind) if plain in ROUTED else (DIRECT + kind,)


def _overheads(bench: Bench, rows: Report, path: str) -> None:
    """Add rows of the latency that routing adds at the client, and of the proxy's time before it sends the request."""
    params: Params = {"path": path, "connections": 1, "beyond": PASSED}
    rows.add("latency p50 added by routing", bench.added(path, PASSED, p50), "ms", params=params, under=ADDED[path])
    for connections in CONNECTIONS:
        if bench.turns.get((path, connections)):
            value = bench.median(path, connections, lambda measured: quantile(measured.overheads, 0.5))
            rows.add("x-router-overhead-ms p50", value, "ms", params={"path": path, "connections": connections})


def _against(bench: Bench, rows: Report, peer: Peer) -> None:
    passed_by_peer = bench.median(peer.name, BUSY, METRICS[-1][2])
    for path, times in TIMES[peer.name].items():
        params: Params = {"path": path, "connections": BUSY, "version": peer.version, "wanted": f"{times:g} x"}
        value = bench.median(path, BUSY, METRICS[-1][2])
        baseline = Baseline(peer.name, passed_by_peer)
        rows.add("throughput", value, "1/s", params=params, baseline=baseline, over=times * passed_by_peer)
