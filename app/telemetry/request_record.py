"""The record of a request: the facts that metrics, access log, traces and the ledger report."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, cast
from uuid import UUID

from starlette.types import Scope

from ..dialects.usage import UNKNOWN, TokenUsage
from ..entities import Model
from ..upstream.attempt import Attempt

#: The key of a request's record in its ASGI scope.
KEY = "pgrouter.record"


class Trace(Protocol):
    """The trace of a request: its span, and a span for each call of a provider."""

    def attempt(self, started: float) -> bytes:
        """Begin the span of a call, `started` seconds after the request's arrival; returns its `traceparent`."""
        ...

    def end(self, record: RequestRecord) -> None:
        """End all spans of a request that is over."""
        ...


@dataclass(slots=True)
class RequestRecord:
    """One request, from its arrival on.

    The middleware makes it and has it observed at the end; the code that learns a fact writes it here. Durations are in
    seconds; None: unknown, or the request did not get that far.
    """

    #: The client's `x-request-id`, or a new one.
    request_id: str = ""
    #: Time of arrival by `time.perf_counter`, which durations are measured from.
    arrived: float = field(default_factory=time.perf_counter)
    #: Time of arrival in nanoseconds since 1970.
    arrived_ns: int = field(default_factory=time.time_ns)
    #: The path as it is declared (`/chat/completions`), never as the client wrote it; None: not routed to an endpoint.
    route: str | None = None
    #: OpenTelemetry's name of the operation (`chat`, `embeddings`); empty: no model is called.
    operation: str = ""
    #: The HTTP status; 499 if the client closed the connection.
    status: int = 500
    #: The code of the router's own error.
    error: str | None = None
    #: From arrival to the end of the answer.
    duration: float | None = None
    #: The name of the tenant whose key was sent.
    tenant: str | None = None
    #: The model name sent by the client. Use it as a label only if `served` is set: else it is arbitrary client text.
    requested: str | None = None
    #: Whether a policy routes the request.
    routed: bool = False
    #: The decision's reason, or `fallback` if another model than the first of the plan serves.
    reason: str | None = None
    #: The decision's number.
    decision_id: UUID | None = None
    #: The decision's confidence, 0 to 1.
    confidence: float | None = None
    #: Time of the prompt's embedding; part of `overhead`.
    embedding: float | None = None
    #: Time of the decision in Postgres; part of `overhead`.
    deciding: float | None = None
    #: From arrival to the first call of a provider.
    overhead: float | None = None
    #: The attempts of the request, in order; more may follow while the request lasts.
    attempts: Sequence[Attempt] = ()
    #: The attempt whose answer goes to the client.
    answered: Attempt | None = None
    #: Whether the answer comes from a provider, so that its own `x-request-id` is kept.
    relayed: bool = False
    #: Whether the answer is a stream of events.
    streamed: bool = False
    #: The tokens that the answer reports, or an estimate of them.
    usage: TokenUsage = UNKNOWN
    #: The trace; None: traces are off, or the request calls no model.
    trace: Trace | None = None

    @classmethod
    def of(cls, scope: Scope) -> RequestRecord:
        """Return the record of the request of an ASGI scope."""
        return cast(RequestRecord, scope[KEY])

    @property
    def served(self) -> Model | None:
        """The model that answers, else the one whose provider was called last; None: none was called."""
        if self.answered is not None:
            return self.answered.model
        return next((attempt.model for attempt in reversed(self.attempts) if attempt.called), None)

    @property
    def provider_calls(self) -> int:
        """The number of attempts that called a provider."""
        return sum(attempt.called for attempt in self.attempts)

    @property
    def first_token(self) -> float | None:
        """Seconds from the call of the answering provider until its answer began."""
        return None if self.answered is None else self.answered.seconds

    def stop(self) -> None:
        """Set `duration`, unless it is set already."""
        if self.duration is None:
            self.duration = time.perf_counter() - self.arrived
