"""Hears of every request that is over, and has it counted, traced and logged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from app.telemetry import logs, request_metrics
from app.telemetry.otel import Telemetry
from app.telemetry.request_record import RequestRecord

if TYPE_CHECKING:
    from app.telemetry.spans import Trace


class Observer:
    """One a process; `telemetry` None: nobody wants traces."""

    def __init__(self, telemetry: Telemetry | None) -> None:
        self._telemetry = telemetry

    def begin(self, headers: Mapping[bytes, bytes], arrived_ns: int) -> Trace | None:
        """A request has arrived (lower-case header names): its trace, where traces are wanted."""
        return None if self._telemetry is None else self._telemetry.begin(headers, arrived_ns)

    def finished(self, finished: RequestRecord) -> None:
        """A request is over, and its client need not wait for this."""
        request_metrics.count(finished)
        logs.access(finished)
        if self._telemetry is not None:
            self._telemetry.finished(finished)
