"""What a process counts, for Prometheus at /metrics."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector

REGISTRY = CollectorRegistry()
#: Where the workers of one server keep their numbers, so that each can tell everybody's; unset: there is one process.
DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"

#: Which of them this process is.
WORKER = "PGROUTER_WORKER"
#: Between two readings of the gauges of a worker, seconds.
REFRESH_SECONDS = 1.0

Sources = dict[Gauge, Callable[[], float]]

_FAST = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0)
#: As the gen_ai conventions of OpenTelemetry advise.
OPERATION_BUCKETS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
FIRST_TOKEN_BUCKETS = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
)  # fmt: skip
TOKEN_BUCKETS = tuple(4**power for power in range(14))


if WORKER in os.environ:
    # One that takes a dead one's place goes on with its numbers, so there are no more files than workers.
    values.ValueClass = values.MultiProcessValue(lambda: os.environ[WORKER])  # type: ignore[no-untyped-call]


def _counter(name: str, text: str, *labels: str) -> Counter:
    return Counter(name, text, labels, registry=REGISTRY)


def _gauge(name: str, text: str, *labels: str, multiprocess_mode: str) -> Gauge:
    return Gauge(name, text, labels, registry=REGISTRY, multiprocess_mode=multiprocess_mode)  # type: ignore[arg-type]


def _histogram(name: str, text: str, *labels: str, buckets: tuple[float, ...] = _FAST) -> Histogram:
    return Histogram(name, text, labels, registry=REGISTRY, buckets=buckets)


requests = _counter("pgrouter_requests_total", "Requests answered.", "route", "status")
decisions = _counter("pgrouter_decisions_total", "Requests by reason and serving model.", "reason", "model")
attempts = _counter(
    "pgrouter_attempts_total", "Tries at a provider: the status, or the word for what went wrong.", "model", "outcome"
)
upstream_failures = _counter(
    "pgrouter_upstream_failures_total", "Attempts that moved on to another model or failed.", "model"
)
fail_opens = _counter("pgrouter_fail_opens_total", "Requests served although a step was not available.", "step")
budget_refusals = _counter("pgrouter_budget_refusals_total", "Requests refused as a budget is spent.", "scope")
rate_limit_refusals = _counter("pgrouter_rate_limit_refusals_total", "Requests refused by a rate limit.", "limit")

overhead = _histogram("pgrouter_overhead_seconds", "From a request's arrival to its departure upstream.", "routed")
embedding = _histogram("pgrouter_embedding_seconds", "Embedding a prompt, or finding its embedding in the cache.")
decision = _histogram("pgrouter_decision_seconds", "The decision in Postgres with the way there and back.")
operation = _histogram(
    "gen_ai_client_operation_duration_seconds",
    "From a request's arrival to the last byte out.",
    "gen_ai_request_model",
    "gen_ai_response_model",
    buckets=OPERATION_BUCKETS,
)
first_token = _histogram(
    "gen_ai_server_time_to_first_token_seconds",
    "From sending upstream to the first byte of the answer.",
    "gen_ai_response_model",
    buckets=FIRST_TOKEN_BUCKETS,
)
tokens = _histogram(
    "gen_ai_client_token_usage",
    "Tokens of a request as its provider reports them.",
    "gen_ai_token_type",
    "gen_ai_response_model",
    buckets=TOKEN_BUCKETS,
)

ledger_queued = _gauge("pgrouter_ledger_queued", "Ledger entries waiting to be written.", multiprocess_mode="livesum")
ledger_dropped = _counter("pgrouter_ledger_dropped_total", "Ledger entries lost for want of room.")
ledger_written = _counter("pgrouter_ledger_written_total", "Ledger entries written.")
database_available = _gauge(
    "pgrouter_database_available", "1 while Postgres answers, else 0.", multiprocess_mode="livemin"
)
primary_available = _gauge(
    "pgrouter_primary_available", "1 while the Postgres that takes writes answers, else 0.", multiprocess_mode="livemin"
)
pool_connections = _gauge(
    "pgrouter_pool_connections", "Connections to Postgres.", "pool", "state", multiprocess_mode="livesum"
)
pool_waiting = _gauge(
    "pgrouter_pool_waiting", "Calls that wait for a connection to Postgres.", "pool", multiprocess_mode="livesum"
)
embedding_cache = _gauge(
    "pgrouter_embedding_cache", "Embeddings asked of the cache since the start.", "result", multiprocess_mode="livesum"
)
breaker_state = _gauge(
    "pgrouter_breaker_state",
    "The worst worker's breaker of a model: 0 closed, 1 half-open, 2 open.",
    "provider",
    "model",
    multiprocess_mode="livemax",
)
workers = _gauge("pgrouter_workers", "Processes that serve.", multiprocess_mode="livesum")
upkeep = _counter("pgrouter_upkeep_total", "Chores of the upkeep.", "chore", "outcome")
upkeep_seconds = _counter("pgrouter_upkeep_seconds_total", "Time they took.", "chore")

_read: Sources = {}
_breakers: list[Callable[[], None]] = []


@contextmanager
def track_gauges(sources: Sources) -> Iterator[None]:
    """For as long as this lasts, gauges are what their functions say whenever they are read."""
    _read.update(sources)
    try:
        yield
    finally:
        for gauge, source in sources.items():
            if _read.get(gauge) is source:
                del _read[gauge]


@contextmanager
def track_breakers(states: Callable[[], Iterable[tuple[str, str, int]]]) -> Iterator[None]:
    """For as long as this lasts, `breaker_state` is what `states` say: provider, model, 0 to 2; closed if not said."""
    known: set[tuple[str, str]] = set()

    def read() -> None:
        now = {(provider, model): state for provider, model, state in states()}
        known.update(now)
        for name in known:
            breaker_state.labels(*name).set(now.get(name, 0))

    _breakers.append(read)
    try:
        yield
    finally:
        _breakers.remove(read)


def refresh() -> None:
    """Read what gauges follow; several workers do it all the time, as another's are not read when one is asked."""
    for gauge, source in list(_read.items()):
        gauge.set(source())
    for read in _breakers:
        read()


def exposition() -> bytes:
    """The numbers of the process, or of all workers of its server, in Prometheus's text format."""
    refresh()
    directory = os.environ.get(DIRECTORY)
    if directory is None:
        return generate_latest(REGISTRY)
    everybody = CollectorRegistry()
    MultiProcessCollector(everybody, directory)  # type: ignore[no-untyped-call]
    return generate_latest(everybody)
