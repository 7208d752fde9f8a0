"""Creates the spans of a request by OpenTelemetry's conventions for generative AI; imported only if traces are enabled.

Attribute names are literals, because `opentelemetry.semconv` has deprecated its module of them.
"""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from ..upstream.attempt import Attempt
from .request_record import RequestRecord

_PROPAGATOR = TraceContextTextMapPropagator()
Attributes = dict[str, str | int | float | bool]


class RequestTrace:
    """The span of a running request and the spans of its attempts."""

    def __init__(self, tracer: Tracer, headers: Mapping[bytes, bytes], arrived_ns: int) -> None:
        carrier = {
            name: headers[name.encode()].decode("latin-1")
            for name in ("traceparent", "tracestate")
            if name.encode() in headers
        }
        self._tracer = tracer
        self._arrived_ns = arrived_ns
        self._span = tracer.start_span(
            "request", _PROPAGATOR.extract(carrier, Context()), SpanKind.SERVER, start_time=arrived_ns
        )
        self._inside = trace.set_span_in_context(self._span, Context())
        self._attempts: list[Span] = []

    def attempt(self, started: float) -> bytes:
        """Start the span of an attempt, `started` seconds after the arrival, and return its `traceparent`."""
        span = self._tracer.start_span("attempt", self._inside, SpanKind.CLIENT, start_time=self._at(started))
        self._attempts.append(span)
        carrier: dict[str, str] = {}
        _PROPAGATOR.inject(carrier, trace.set_span_in_context(span, Context()))
        return carrier["traceparent"].encode()

    def end(self, record: RequestRecord) -> None:
        """Create and end all spans of a request that has ended."""
        span = self._span
        if span.is_recording():
            span.update_name(f"{record.operation} {_requested(record)}".rstrip())
            span.set_attributes(_of_request(record))
            self._add_steps(record)
            calls = [attempt for attempt in record.attempts if attempt.called]
            for position, attempt in enumerate(calls):
                self._end_attempt(position, attempt, record.operation)
            for attempt in record.attempts:
                if not attempt.called:
                    attributes: Attributes = {
                        "gen_ai.request.model": attempt.model.name,
                        "pgrouter.outcome": attempt.outcome,
                    }
                    span.add_event("passed over", attributes, self._at(attempt.started))
            if record.status >= 500:
                span.set_status(StatusCode.ERROR)
        for left in self._attempts:
            if left.is_recording():
                left.end()
        span.end(self._at(record.duration or 0.0))

    def _add_steps(self, record: RequestRecord) -> None:
        """Create the spans of embedding and decision from their durations; the second ends when the request is sent."""
        decided = (record.duration or 0.0) if record.overhead is None else record.overhead
        embedded = decided - (record.deciding or 0.0)
        if record.embedding is not None:
            self._add_step("embed", embedded - record.embedding, embedded, SpanKind.INTERNAL, {})
        if record.deciding is not None:
            attributes: Attributes = {"db.system.name": "postgresql", "db.stored_procedure.name": "router.decide"}
            self._add_step("router.decide", embedded, decided, SpanKind.CLIENT, attributes)

    def _add_step(self, name: str, began: float, ended: float, kind: SpanKind, attributes: Attributes) -> None:
        span = self._tracer.start_span(name, self._inside, kind, attributes, start_time=self._at(began))
        span.end(self._at(ended))

    def _end_attempt(self, position: int, attempt: Attempt, operation: str) -> None:
        if position >= len(self._attempts):
            self.attempt(attempt.started)
        span = self._attempts[position]
        span.update_name(f"{operation} {attempt.model.name}")
        span.set_attributes(
            {
                "gen_ai.operation.name": operation,
                "gen_ai.provider.name": attempt.model.provider.name,
                "gen_ai.request.model": attempt.model.name,
                "pgrouter.attempt": position + 1,
                "pgrouter.why": attempt.why,
            }
        )
        if attempt.outcome.isdigit():
            span.set_attribute("http.response.status_code", int(attempt.outcome))
        if not attempt.outcome.isdigit() or int(attempt.outcome) >= 400:
            span.set_attribute("error.type", attempt.outcome)
            span.set_status(StatusCode.ERROR)
        span.end(self._at(attempt.started + attempt.seconds))

    def _at(self, seconds: float) -> int:
        return self._arrived_ns + int(seconds * 1e9)


def common(record: RequestRecord) -> Attributes:
    """Return the attributes that spans and metrics of a request share; each has a small set of values."""
    attributes: Attributes = {"gen_ai.operation.name": record.operation}
    served = record.served
    if served is not None:
        attributes["gen_ai.request.model"] = _requested(record)
        attributes["gen_ai.response.model"] = served.name
        attributes["gen_ai.provider.name"] = served.provider.name
    return attributes


def error_of(record: RequestRecord) -> str | None:
    """Return the `error.type` of a request: the code of the router's error, else the status; None without an error."""
    return record.error or (str(record.status) if record.status >= 400 else None)


def _requested(record: RequestRecord) -> str:
    """Return the requested model if it exists; any other name is arbitrary client text."""
    return record.requested or "" if record.served is not None else ""


def _of_request(record: RequestRecord) -> Attributes:
    usage = record.usage
    known = {
        "gen_ai.usage.input_tokens": usage.prompt_tokens,
        "gen_ai.usage.output_tokens": usage.completion_tokens,
        "gen_ai.usage.cache_read.input_tokens": usage.cached_tokens,
        "gen_ai.usage.reasoning.output_tokens": usage.reasoning_tokens,
        "gen_ai.response.time_to_first_chunk": record.first_token if record.streamed else None,
        "gen_ai.request.stream": record.streamed or None,
        "http.route": record.route,
        "http.response.status_code": record.status,
        "error.type": error_of(record),
        "pgrouter.tenant": record.tenant,
        "pgrouter.reason": record.reason,
        "pgrouter.decision": None if record.served is None else str(record.decision_id),
        "pgrouter.confidence": record.confidence,
        "pgrouter.overhead_ms": None if record.overhead is None else round(record.overhead * 1000, 3),
        "pgrouter.request_id": record.request_id or None,
    }
    return {**common(record), **{name: value for name, value in known.items() if value is not None}}
