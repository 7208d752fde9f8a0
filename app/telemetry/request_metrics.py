"""Metrics of finished requests."""

from __future__ import annotations

from typing import Generic, TypeVar

from prometheus_client import Counter, Histogram

from . import metrics
from .request_record import RequestRecord

M = TypeVar("M", Counter, Histogram)
#: Sets of labels of one metric; further ones are counted as `other`, which bounds what names can take of memory.
MOST = 2_000
OTHER = "other"


class _Children(dict[tuple[str, ...], M], Generic[M]):
    """A metric's children by their labels, because prometheus_client's own look-up takes longer than counting."""

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


def count(record: RequestRecord) -> None:
    """Count one finished request."""
    _requests[record.route or OTHER, _text(record.status)].inc()
    for attempt in record.attempts:
        name = attempt.model.name
        _attempts[name, attempt.outcome].inc()
        if attempt.failed:
            _failures[name,].inc()
    model = record.served
    if model is None:
        return
    served = model.name
    if record.reason is not None:
        _decisions[record.reason, served].inc()
    _operation[record.requested or OTHER, served].observe(record.duration or 0.0)
    if record.overhead is not None:
        _overhead[record.routed].observe(record.overhead)
    if record.embedding is not None:
        metrics.embedding.observe(record.embedding)
    if record.deciding is not None:
        metrics.decision.observe(record.deciding)
    if record.answered is not None:
        _first_token[served,].observe(record.answered.seconds)
    prompt, completion = record.usage.prompt_tokens, record.usage.completion_tokens
    if prompt is not None:
        _tokens["input", served].observe(prompt)
    if completion is not None:
        _tokens["output", served].observe(completion)


def _text(status: int) -> str:
    return _statuses.get(status, OTHER)
