"""Sends traces and metrics to an OpenTelemetry collector by the gen_ai conventions, if an OTLP endpoint is set.

The span of a request starts at its arrival, so that providers receive its `traceparent`; everything else is created
from the record of a request that has ended. Traces and metrics contain no prompts or answers. Without an endpoint,
OpenTelemetry's packages are not imported.
"""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Mapping
from typing import Any

from .. import __version__
from ..errors import ConfigurationError
from .metrics import FIRST_TOKEN_BUCKETS, OPERATION_BUCKETS, TOKEN_BUCKETS
from .request_record import RequestRecord, Trace

TRACEPARENT = b"traceparent"
#: Seconds to deliver the last spans and metrics when the process ends.
DELIVERY = 2.0

_ENDPOINT, _PROTOCOL = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL"


def create(environ: Mapping[str, str] = os.environ) -> Telemetry | None:
    """Return the telemetry that OpenTelemetry's environment variables configure; None: none.

    `OTEL_EXPORTER_OTLP_ENDPOINT`, or `…_TRACES_ENDPOINT` or `…_METRICS_ENDPOINT` for one of the two, enables it;
    `OTEL_SDK_DISABLED=true`, `OTEL_TRACES_EXPORTER=none` and `OTEL_METRICS_EXPORTER=none` disable it. OpenTelemetry's
    packages read the other variables (headers, sampler, batches). Raises `ConfigurationError` if the extra `otel` is
    not installed, or if the protocol is not `http/protobuf`.
    """
    variables = {name: value.strip() for name, value in environ.items() if name.startswith("OTEL_") and value.strip()}
    if variables.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    enabled = {signal for signal in ("TRACES", "METRICS") if _is_enabled(variables, signal)}
    if not enabled:
        return None
    for name in (_PROTOCOL, *(_PROTOCOL.replace("OTLP_", f"OTLP_{signal}_") for signal in sorted(enabled))):
        if variables.get(name, "http/protobuf") != "http/protobuf":
            raise ConfigurationError(f"{name}={variables[name]!r} is not supported: use http/protobuf.")
    try:
        return Telemetry(traces="TRACES" in enabled, metrics="METRICS" in enabled, environ=variables)
    except ImportError as error:
        raise ConfigurationError(
            f"{_ENDPOINT} is set, but {error.name} is not installed: pip install 'pgrouter[otel]'."
        ) from error


def _is_enabled(variables: Mapping[str, str], signal: str) -> bool:
    endpoint = variables.get(_ENDPOINT) or variables.get(_ENDPOINT.replace("OTLP_", f"OTLP_{signal}_"))
    return endpoint is not None and variables.get(f"OTEL_{signal}_EXPORTER", "otlp").lower() != "none"


class Telemetry:
    """The trace and metric pipelines of a process."""

    def __init__(self, *, traces: bool, metrics: bool, environ: Mapping[str, str]) -> None:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        from . import spans

        # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES take precedence. Each worker is an instance of the service.
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
                "Time from the arrival of a request to the last byte of its answer.",
                explicit_bucket_boundaries_advisory=OPERATION_BUCKETS,
            )
            self._tokens = meter.create_histogram(
                "gen_ai.client.token.usage",
                "{token}",
                "Tokens of a request, as reported by its provider.",
                explicit_bucket_boundaries_advisory=TOKEN_BUCKETS,
            )
            self._first_token = meter.create_histogram(
                "gen_ai.server.time_to_first_token",
                "s",
                "Time from the sending upstream to the first byte of the answer.",
                explicit_bucket_boundaries_advisory=FIRST_TOKEN_BUCKETS,
            )

    def begin(self, headers: Mapping[bytes, bytes], arrived_ns: int) -> Trace | None:
        """Start the trace of a request, or continue that of the client's `traceparent`; None if traces are disabled.

        The result belongs into the `RequestRecord`; each attempt takes its `traceparent` from it.
        """
        if self._tracers is None:
            return None
        return self._spans.RequestTrace(self._tracer, headers, arrived_ns)

    def finish(self, record: RequestRecord) -> None:
        """Record a request that has ended."""
        if record.trace is not None:
            record.trace.end(record)
        if self._meters is not None and record.served is not None:
            self._measure(record)

    def _measure(self, record: RequestRecord) -> None:
        attributes = self._spans.common(record)
        prompt, completion = record.usage.prompt_tokens, record.usage.completion_tokens
        if prompt is not None:
            self._tokens.record(prompt, {**attributes, "gen_ai.token.type": "input"})
        if completion is not None:
            self._tokens.record(completion, {**attributes, "gen_ai.token.type": "output"})
        if record.first_token is not None:
            self._first_token.record(record.first_token, attributes)
        error = self._spans.error_of(record)
        self._duration.record(record.duration or 0.0, {**attributes, "error.type": error} if error else attributes)

    def close(self, within: float = DELIVERY) -> None:
        """Deliver the remaining spans and metrics, for `within` seconds at most."""
        ending = threading.Thread(target=self._shut_down, name="telemetry", daemon=True)
        ending.start()
        ending.join(within)

    def _shut_down(self) -> None:
        providers: tuple[Any, ...] = (self._tracers, self._meters)
        for provider in providers:
            if provider is not None:
                provider.shutdown()
