"""Creates the spans of a request by OpenTelemetry's conventions for generative AI; imported only if traces are enabled.

Attribute names are literals, because `opentelemetry.semconv` has deprecated its module of them.
"""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app.telemetry.request_record import RequestRecord
from app.upstream.attempt import Attempt

_PROPAGATOR = TraceContextTextMapPropagator()
Attributes = dict[str, str | int | float | bool]


class Trace:
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

    def end(self, finished: RequestRecord) -> None:
        """Create and end all spans of a request that has ended."""
        span = self._span
        if span.is_recording():
            span.update_name(f"{finished.operation} {_requested(finished)}".rstrip())
            span.set_attributes(_of_request(finished))
            self._steps(finished)
            asked = [attempt for attempt in finished.attempts if attempt.asked]
            for position, attempt in enumerate(asked):
                self._end_attempt(position, attempt, finished.operation)
            for attempt in finished.attempts:
                if not attempt.asked:
                    attributes: Attributes = {
                        "gen_ai.request.model": attempt.model.name,
                        "pgrouter.outcome": attempt.outcome,
                    }
                    span.add_event("passed over", attributes, self._at(attempt.started))
            if finished.status >= 500:
                span.set_status(StatusCode.ERROR)
        for left in self._attempts:
            if left.is_recording():
                left.end()
        span.end(self._at(finished.duration))

    def _steps(self, finished: RequestRecord) -> None:
        """Create the spans of embedding and decision from their durations; the second ends when the request is sent."""
        decided = finished.duration if finished.overhead is None else finished.overhead
        embedded = decided - (finished.deciding or 0.0)
        if finished.embedding is not None:
            self._step("embed", embedded - finished.embedding, embedded, SpanKind.INTERNAL, {})
        if finished.deciding is not None:
            attributes: Attributes = {"db.system.name": "postgresql", "db.stored_procedure.name": "router.decide"}
            self._step("router.decide", embedded, decided, SpanKind.CLIENT, attributes)

    def _step(self, name: str, began: float, ended: float, kind: SpanKind, attributes: Attributes) -> None:
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


def common(finished: RequestRecord) -> Attributes:
    """Return the attributes that spans and metrics of a request share; each has a small set of values."""
    attributes: Attributes = {"gen_ai.operation.name": finished.operation}
    if finished.served is not None:
        attributes["gen_ai.request.model"] = _requested(finished)
        attributes["gen_ai.response.model"] = finished.served
    if finished.provider is not None:
        attributes["gen_ai.provider.name"] = finished.provider
    return attributes


def error_of(finished: RequestRecord) -> str | None:
    """Return the `error.type` of a request: the code of the router's error, else the status; None without an error."""
    return finished.error or (str(finished.status) if finished.status >= 400 else None)


def _requested(finished: RequestRecord) -> str:
    """Return the requested model if it exists; any other name is arbitrary client text."""
    return finished.requested or "" if finished.served is not None else ""


def _of_request(finished: RequestRecord) -> Attributes:
    known = {
        "gen_ai.usage.input_tokens": finished.input_tokens,
        "gen_ai.usage.output_tokens": finished.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": finished.cached_tokens,
        "gen_ai.usage.reasoning.output_tokens": finished.reasoning_tokens,
        "gen_ai.response.time_to_first_chunk": finished.first_token if finished.streamed else None,
        "gen_ai.request.stream": finished.streamed or None,
        "http.route": finished.route,
        "http.response.status_code": finished.status,
        "error.type": error_of(finished),
        "pgrouter.tenant": finished.tenant,
        "pgrouter.reason": finished.reason,
        "pgrouter.decision": finished.decision,
        "pgrouter.confidence": finished.confidence,
        "pgrouter.overhead_ms": None if finished.overhead is None else round(finished.overhead * 1000, 3),
        "pgrouter.request_id": finished.request_id or None,
    }
    return {**common(finished), **{name: value for name, value in known.items() if value is not None}}
