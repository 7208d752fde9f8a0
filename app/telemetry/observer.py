"""The observer: has every finished request counted, logged and traced."""

from __future__ import annotations

from collections.abc import Mapping

from . import logs, request_metrics
from .otel import Telemetry
from .request_record import RequestRecord, Trace


class Observer:
    """The observer of one process; `telemetry` None: OpenTelemetry is off."""

    def __init__(self, telemetry: Telemetry | None) -> None:
        self._telemetry = telemetry

    def begin(self, headers: Mapping[bytes, bytes], arrived_ns: int) -> Trace | None:
        """Begin the trace of a request (`headers`: lower-case names); None if traces are off."""
        return None if self._telemetry is None else self._telemetry.begin(headers, arrived_ns)

    def finish(self, record: RequestRecord) -> None:
        """Count, log and trace a request whose answer is out."""
        record.stop()
        request_metrics.count(record)
        logs.access(record)
        if self._telemetry is not None:
            self._telemetry.finish(record)
            # The ledger keeps the record for a while, and needs no spans.
            record.trace = None
