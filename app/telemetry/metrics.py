"""The metrics of a process, in Prometheus's format at /metrics."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector

REGISTRY = CollectorRegistry()
#: Environment variable: the folder of the workers' shared metric files. Unset: there is one process.
DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"

#: Environment variable: the number of this worker.
WORKER = "PGROUTER_WORKER"
#: Seconds between two updates of a worker's gauges.
REFRESH_SECONDS = 1.0

Sources = dict[Gauge, Callable[[], float]]

_FAST = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0)
#: Buckets recommended by OpenTelemetry's gen_ai conventions.
OPERATION_BUCKETS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
FIRST_TOKEN_BUCKETS = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
)  # fmt: skip
TOKEN_BUCKETS = tuple(4**power for power in range(14))


if WORKER in os.environ:
    # Files are named by worker, not by process: a worker that replaces a dead one continues its counters.
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
    "pgrouter_attempts_total", "Calls of a provider by result: the status, or the kind of failure.", "model", "outcome"
)
upstream_failures = _counter("pgrouter_upstream_failures_total", "Calls of a provider that failed.", "model")
fail_opens = _counter("pgrouter_fail_opens_total", "Requests served although a step was unavailable.", "step", "cause")
limits_unchecked = _counter(
    "pgrouter_limits_unchecked_total", "Requests refused because their limits could not be checked in time.", "cause"
)
budget_refusals = _counter("pgrouter_budget_refusals_total", "Requests refused because a budget is spent.", "scope")
rate_limit_refusals = _counter("pgrouter_rate_limit_refusals_total", "Requests refused by a rate limit.", "limit")

overhead = _histogram("pgrouter_overhead_seconds", "Time from a request's arrival to its sending upstream.", "routed")
embedding = _histogram("pgrouter_embedding_seconds", "Time to embed a prompt, or to find its embedding in the cache.")
decision = _histogram("pgrouter_decision_seconds", "Time of the decision in Postgres, round trip included.")
operation = _histogram(
    "gen_ai_client_operation_duration_seconds",
    "Time from the arrival of a request to the last byte of its answer.",
    "gen_ai_request_model",
    "gen_ai_response_model",
    buckets=OPERATION_BUCKETS,
)
first_token = _histogram(
    "gen_ai_server_time_to_first_token_seconds",
    "Time from the sending upstream to the first byte of the answer.",
    "gen_ai_response_model",
    buckets=FIRST_TOKEN_BUCKETS,
)
tokens = _histogram(
    "gen_ai_client_token_usage",
    "Tokens of a request, as reported by its provider.",
    "gen_ai_token_type",
    "gen_ai_response_model",
    buckets=TOKEN_BUCKETS,
)

usage_unexplained = _counter(
    "pgrouter_usage_unexplained_total",
    "Answers whose provider's usage fits no known convention, by the way in which it does not.",
    "model",
    "cause",
)

ledger_queued = _gauge("pgrouter_ledger_queued", "Ledger entries waiting to be written.", multiprocess_mode="livesum")
ledger_dropped = _counter("pgrouter_ledger_dropped_total", "Ledger entries lost because the queue was full.")
ledger_written = _counter("pgrouter_ledger_written_total", "Ledger entries written.")
database_available = _gauge(
    "pgrouter_database_available", "1 while Postgres answers, else 0.", multiprocess_mode="livemin"
)
primary_available = _gauge(
    "pgrouter_primary_available", "1 while the primary Postgres answers, else 0.", multiprocess_mode="livemin"
)
pool_connections = _gauge(
    "pgrouter_pool_connections", "Connections to Postgres.", "pool", "state", multiprocess_mode="livesum"
)
pool_waiting = _gauge(
    "pgrouter_pool_waiting", "Calls waiting for a connection to Postgres.", "pool", multiprocess_mode="livesum"
)
embedding_cache = _gauge(
    "pgrouter_embedding_cache",
    "Look-ups in the embedding cache since the start.",
    "result",
    multiprocess_mode="livesum",
)
breaker_state = _gauge(
    "pgrouter_breaker_state",
    "State of a model's circuit breaker, the maximum of all workers and tenants: 0 closed, 1 half-open, 2 open.",
    "provider",
    "model",
    multiprocess_mode="livemax",
)
workers = _gauge("pgrouter_workers", "Worker processes.", multiprocess_mode="livesum")
maintenance_jobs = _counter("pgrouter_upkeep_total", "Maintenance jobs by outcome.", "chore", "outcome")
maintenance_seconds = _counter("pgrouter_upkeep_seconds_total", "Time of maintenance jobs.", "chore")

_gauges: Sources = {}
_breakers: list[Callable[[], None]] = []


@contextmanager
def track_gauges(sources: Sources) -> Iterator[None]:
    """In this context, set gauges to the values of their functions whenever metrics are read."""
    _gauges.update(sources)
    try:
        yield
    finally:
        for gauge, source in sources.items():
            if _gauges.get(gauge) is source:
                del _gauges[gauge]


@contextmanager
def track_breakers(states: Callable[[], Iterable[tuple[str, str, int]]]) -> Iterator[None]:
    """In this context, set `breaker_state` from `states`: provider, model, 0 to 2. Absent ones are closed."""
    known: set[tuple[str, str]] = set()

    def update() -> None:
        now = {(provider, model): state for provider, model, state in states()}
        known.update(now)
        for name in known:
            breaker_state.labels(*name).set(now.get(name, 0))

    _breakers.append(update)
    try:
        yield
    finally:
        _breakers.remove(update)


def refresh() -> None:
    """Update the tracked gauges. Every worker does so periodically, because any of them answers /metrics for all."""
    for gauge, source in list(_gauges.items()):
        gauge.set(source())
    for update in _breakers:
        update()


def exposition() -> bytes:
    """Return the metrics of the process, or of all workers, in Prometheus's text format."""
    refresh()
    directory = os.environ.get(DIRECTORY)
    if directory is None:
        return generate_latest(REGISTRY)
    all_workers = CollectorRegistry()
    MultiProcessCollector(all_workers, directory)  # type: ignore[no-untyped-call]
    return generate_latest(all_workers)
