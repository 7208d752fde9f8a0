"""What the process counts, for Prometheus at /metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY = CollectorRegistry()

_FAST = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0)

requests = Counter("pgrouter_requests_total", "Requests answered.", ["route", "status"], registry=REGISTRY)
decisions = Counter(
    "pgrouter_decisions_total", "Requests by reason and serving model.", ["reason", "model"], registry=REGISTRY
)
overhead = Histogram(
    "pgrouter_overhead_seconds",
    "From a request's arrival to its departure upstream.",
    ["routed"],
    buckets=_FAST,
    registry=REGISTRY,
)
operation = Histogram(
    "gen_ai_client_operation_duration_seconds",
    "From a request's arrival to the last byte out.",
    ["gen_ai_request_model", "gen_ai_response_model"],
    registry=REGISTRY,
)
first_token = Histogram(
    "gen_ai_server_time_to_first_token_seconds",
    "From sending upstream to the first byte of the answer.",
    ["gen_ai_response_model"],
    registry=REGISTRY,
)
upstream_failures = Counter(
    "pgrouter_upstream_failures_total",
    "Attempts that moved on to another model or failed.",
    ["model"],
    registry=REGISTRY,
)
ledger_queued = Gauge("pgrouter_ledger_queued", "Ledger entries waiting to be written.", registry=REGISTRY)
ledger_dropped = Counter("pgrouter_ledger_dropped_total", "Ledger entries lost for want of room.", registry=REGISTRY)
ledger_written = Counter("pgrouter_ledger_written_total", "Ledger entries written.", registry=REGISTRY)
memory_available = Gauge("pgrouter_memory_available", "1 while Postgres answers, else 0.", registry=REGISTRY)
embedding_cache = Gauge(
    "pgrouter_embedding_cache", "Embeddings asked of the cache since the start.", ["result"], registry=REGISTRY
)
upkeep = Counter("pgrouter_upkeep_total", "Chores of the upkeep.", ["chore", "outcome"], registry=REGISTRY)
upkeep_seconds = Counter("pgrouter_upkeep_seconds_total", "Time they took.", ["chore"], registry=REGISTRY)
