"""Counts a finished request in every metric it belongs to."""

from __future__ import annotations

from typing import Generic, TypeVar

from prometheus_client import Counter, Histogram

from app.telemetry import metrics
from app.telemetry.request_record import RequestRecord

M = TypeVar("M", Counter, Histogram)
#: Label sets of one metric; what comes after is counted under `other`, whatever clients and operators call things.
MOST = 2_000
OTHER = "other"


class _Children(dict[tuple[str, ...], M], Generic[M]):
    """A metric's children by their labels; prometheus_client's own look-up takes longer than the counting."""

    def __init__(self, metric: M) -> None:
        self._metric: M = metric

    def __missing__(self, labels: tuple[str, ...]) -> M:
        if len(self) >= MOST:
            labels = (OTHER,) * len(labels)
        child: M = self._metric.labels(*labels)
        if len(self) < MOST:
            self[labels] = child
        return child


_requests = _Children(metrics.requests)
_decisions = _Children(metrics.decisions)
_attempts = _Children(metrics.attempts)
_failures = _Children(metrics.upstream_failures)
_overhead = {routed: metrics.overhead.labels(str(routed).lower()) for routed in (False, True)}
_operation = _Children(metrics.operation)
_first_token = _Children(metrics.first_token)
_tokens = _Children(metrics.tokens)
_statuses = {status: str(status) for status in range(100, 600)}


def count(finished: RequestRecord) -> None:
    """One call for a request that is over."""
    _requests[finished.route, _text(finished.status)].inc()
    for attempt in finished.attempts:
        name = attempt.model.name
        _attempts[name, attempt.outcome].inc()
        if attempt.failed:
            _failures[name,].inc()
    served = finished.served
    if served is None:
        return
    if finished.reason is not None:
        _decisions[finished.reason, served].inc()
    _operation[finished.requested or OTHER, served].observe(finished.duration)
    if finished.overhead is not None:
        _overhead[finished.routed].observe(finished.overhead)
    if finished.embedding is not None:
        metrics.embedding.observe(finished.embedding)
    if finished.deciding is not None:
        metrics.decision.observe(finished.deciding)
    if finished.first_token is not None:
        _first_token[served,].observe(finished.first_token)
    if finished.input_tokens is not None:
        _tokens["input", served].observe(finished.input_tokens)
    if finished.output_tokens is not None:
        _tokens["output", served].observe(finished.output_tokens)


def _text(status: int) -> str:
    return _statuses.get(status, OTHER)
