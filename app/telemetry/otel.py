"""Traces and metrics for an OpenTelemetry collector, by the gen_ai conventions, where an OTLP endpoint is set.

A span is begun when a request arrives, so that its providers can be told of it; all else is made from the record of a
request that is over. Prompts and answers are in neither. Without an endpoint the packages are not even imported.
"""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from app import __version__
from app.errors import ConfigurationError
from app.telemetry.metrics import FIRST_TOKEN_BUCKETS, OPERATION_BUCKETS, TOKEN_BUCKETS
from app.telemetry.request_record import RequestRecord

if TYPE_CHECKING:
    from app.telemetry.spans import Trace

TRACEPARENT = b"traceparent"
#: What the last spans and metrics may take to be delivered at the end, seconds.
DELIVERY = 2.0

_ENDPOINT, _PROTOCOL = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL"


def create(environ: Mapping[str, str] = os.environ) -> Telemetry | None:
    """What OpenTelemetry's own variables ask for; None: nothing.

    `OTEL_EXPORTER_OTLP_ENDPOINT`, or `…_TRACES_ENDPOINT` or `…_METRICS_ENDPOINT` for one of them, turns it on;
    `OTEL_SDK_DISABLED=true`, `OTEL_TRACES_EXPORTER=none` and `OTEL_METRICS_EXPORTER=none` turn it off. The packages
    read the others (headers, sampler, batches) themselves. Raises `ConfigurationError` where the extra is missing or
    the protocol is another than `http/protobuf`.
    """
    said = {name: value.strip() for name, value in environ.items() if name.startswith("OTEL_") and value.strip()}
    if said.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    wanted = {signal for signal in ("TRACES", "METRICS") if _wanted(said, signal)}
    if not wanted:
        return None
    for name in (_PROTOCOL, *(_PROTOCOL.replace("OTLP_", f"OTLP_{signal}_") for signal in sorted(wanted))):
        if said.get(name, "http/protobuf") != "http/protobuf":
            raise ConfigurationError(f"{name}={said[name]!r}: pgrouter sends http/protobuf.")
    try:
        return Telemetry(traces="TRACES" in wanted, metrics="METRICS" in wanted, environ=said)
    except ImportError as error:
        raise ConfigurationError(
            f"{_ENDPOINT} is set, but {error.name} is not installed: pip install 'pgrouter[otel]'."
        ) from error


def _wanted(said: Mapping[str, str], signal: str) -> bool:
    endpoint = said.get(_ENDPOINT) or said.get(_ENDPOINT.replace("OTLP_", f"OTLP_{signal}_"))
    return endpoint is not None and said.get(f"OTEL_{signal}_EXPORTER", "otlp").lower() != "none"


class Telemetry:
    """The pipelines of one process; `close` delivers what is left."""

    def __init__(self, *, traces: bool, metrics: bool, environ: Mapping[str, str]) -> None:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        from app.telemetry import spans

        # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win over these; several workers are several instances.
        named = environ.get("OTEL_SERVICE_NAME") or "service.name=" in environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
        own = {"service.version": __version__, "service.instance.id": str(uuid.uuid4())}
        resource = Resource(own).merge(Resource.create({} if named else {"service.name": "pgrouter"}))
        self._spans = spans
        self._tracers = self._meters = None
        if traces:
            self._tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
            self._tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
            self._tracer = self._tracers.get_tracer("pgrouter", __version__)
        if metrics:
            reader = PeriodicExportingMetricReader(OTLPMetricExporter())
            self._meters = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
            meter = self._meters.get_meter("pgrouter", __version__)
            self._duration = meter.create_histogram(
                "gen_ai.client.operation.duration",
                "s",
                "From a request's arrival to the last byte out.",
                explicit_bucket_boundaries_advisory=OPERATION_BUCKETS,
            )
            self._tokens = meter.create_histogram(
                "gen_ai.client.token.usage",
                "{token}",
                "Tokens of a request as its provider reports them.",
                explicit_bucket_boundaries_advisory=TOKEN_BUCKETS,
            )
            self._first_token = meter.create_histogram(
                "gen_ai.server.time_to_first_token",
                "s",
                "From sending upstream to the first byte of the answer.",
                explicit_bucket_boundaries_advisory=FIRST_TOKEN_BUCKETS,
            )

    def begin(self, headers: Mapping[bytes, bytes], arrived_ns: int) -> Trace | None:
        """A request has arrived: its trace goes on with the client's `traceparent`, or begins here.

        None: nobody wants traces. Give it to `RequestRecord`, whose attempts may take their header from it.
        """
        if self._tracers is None:
            return None
        return self._spans.Trace(self._tracer, headers, arrived_ns)

    def finished(self, finished: RequestRecord) -> None:
        """A request is over."""
        if finished.trace is not None:
            finished.trace.end(finished)
        if self._meters is not None and finished.served is not None:
            self._measure(finished)

    def _measure(self, finished: RequestRecord) -> None:
        attributes = self._spans.common(finished)
        if finished.input_tokens is not None:
            self._tokens.record(finished.input_tokens, {**attributes, "gen_ai.token.type": "input"})
        if finished.output_tokens is not None:
            self._tokens.record(finished.output_tokens, {**attributes, "gen_ai.token.type": "output"})
        if finished.first_token is not None:
            self._first_token.record(finished.first_token, attributes)
        error = self._spans.error_of(finished)
        self._duration.record(finished.duration, {**attributes, "error.type": error} if error else attributes)

    def close(self, within: float = DELIVERY) -> None:
        """Deliver what is left, for so many seconds; a collector that is away is not waited for any longer."""
        ending = threading.Thread(target=self._shut_down, name="telemetry", daemon=True)
        ending.start()
        ending.join(within)

    def _shut_down(self) -> None:
        providers: tuple[Any, ...] = (self._tracers, self._meters)
        for provider in providers:
            if provider is not None:
                provider.shutdown()
