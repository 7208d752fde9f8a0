"""Ways to call one provider, timed in turns, with the processor time of each process."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import monotonic, sleep
from urllib.parse import SplitResult, urlsplit

import uvloop

from scripts.proxy.peers import MODEL, Running
from scripts.support.load import Measured, load
from scripts.support.processes import cpu_seconds
from scripts.support.traffic import new, repeated

DIRECT, PASSED, KNOWN, NEW = "direct", "pass-through", "routed, known", "routed, new"
STREAM = ", streamed"
ROUTED = (KNOWN, NEW)
CONNECTIONS = (1, 16, 64)
#: Connections at which processor time is measured: the processors are busy, and no process waits in vain.
BUSY = 16
#: Seconds after a turn until the ledger has written its rows; it writes 0.1 s after a request.
SETTLE = 0.2


@dataclass(frozen=True, slots=True)
class Way:
    """One way to call the provider: the address, the requests, and the processes involved."""

    name: str
    url: SplitResult
    requests: Iterator[bytes]
    processes: tuple[str, ...]

    @property
    def streamed(self) -> bool:
        """Whether the answers are streams."""
        return self.name.endswith(STREAM)

    def send(self, connections: int, seconds: float) -> Measured:
        """Run the load of one turn. Raises `RuntimeError` if an answer is not a 200, or if there is none."""
        assert self.url.hostname is not None
        assert self.url.port is not None
        measured = uvloop.run(load(self.url.hostname, self.url.port, self.requests, connections, seconds))
        if not measured.latencies:
            raise RuntimeError(f"no request was answered within {seconds} s: increase --seconds")
        return measured


def ways(upstream: str, proxy: str, key: str, peers: list[Running]) -> list[Way]:
    """Return all ways, the baselines first."""
    straight, through = urlsplit(upstream), urlsplit(proxy)
    outer, inner = ("provider", "load generator"), ("proxy", "postgres", "provider", "load generator")
    found = [
        Way(DIRECT, straight, repeated(straight.netloc, key, MODEL), outer),
        Way(PASSED, through, repeated(through.netloc, key, MODEL), inner),
        Way(KNOWN, through, repeated(through.netloc, key, "auto"), inner),
        Way(NEW, through, new(through.netloc, key), inner),
    ]
    for peer in peers:
        url, name = urlsplit(peer.url), peer.peer.name
        found.append(Way(name, url, repeated(url.netloc, key, MODEL, headers=peer.headers), (name, *outer)))
    return [
        *found,
        Way(DIRECT + STREAM, straight, repeated(straight.netloc, key, MODEL, stream=True), outer),
        Way(PASSED + STREAM, through, repeated(through.netloc, key, MODEL, stream=True), inner),
        Way(KNOWN + STREAM, through, repeated(through.netloc, key, "auto", stream=True), inner),
    ]


class Bench:
    """Turns of all ways against running servers, and their totals."""

    def __init__(self, ways: list[Way], processes: dict[str, list[int]]) -> None:
        self.ways = ways
        self.start_over(processes)

    def start_over(self, processes: dict[str, list[int]]) -> None:
        """Discard the results so far; measure the processor time of `processes` from now on."""
        self.processes = processes
        self.turns: dict[tuple[str, int], list[Measured]] = defaultdict(list)
        self.cpu: dict[tuple[str, str], list[float]] = defaultdict(list)

    def turn(self, seconds: float, skipped: Callable[[Way, int], bool] = lambda way, connections: False) -> float:
        """Run every way once at every number of connections; return the seconds that it took."""
        began = monotonic()
        for connections in CONNECTIONS:
            for way in self.ways:
                if not skipped(way, connections):
                    self._measure(way, connections, seconds)
        return monotonic() - began

    def _measure(self, way: Way, connections: int, seconds: float) -> None:
        before = self._used(way)
        measured = way.send(connections, seconds)
        self.turns[way.name, connections].append(measured)
        if "proxy" in way.processes:
            # Always, so that the ledger's work does not count for the next way.
            sleep(SETTLE)
        if connections == BUSY:
            for process, used in self._used(way).items():
                self.cpu[way.name, process].append((used - before[process]) * 1000 / len(measured.latencies))

    def median(self, way: str, connections: int, of: Callable[[Measured], float]) -> float:
        """Return the median over the turns."""
        return statistics.median(of(measured) for measured in self.turns[way, connections])

    def added(self, way: str, other: str, of: Callable[[Measured], float]) -> float:
        """Return the median over the turns of `way` less `other` in the same turn, at 1 connection."""
        pairs = zip(self.turns[way, 1], self.turns[other, 1], strict=True)
        return statistics.median(of(one) - of(another) for one, another in pairs)

    @property
    def reasons(self) -> Counter[str]:
        """Count the reasons of all routed requests."""
        return sum((measured.reasons for turns in self.turns.values() for measured in turns), Counter[str]())

    @property
    def served(self) -> int:
        """Return the number of requests that the proxy has answered."""
        through = {way.name for way in self.ways if "proxy" in way.processes}
        return sum(len(one.latencies) for (name, _), ones in self.turns.items() if name in through for one in ones)

    def _used(self, way: Way) -> dict[str, float]:
        used = {name: cpu_seconds(pids) for name, pids in self.processes.items() if name in way.processes}
        return {name: seconds for name, seconds in used.items() if seconds is not None}
