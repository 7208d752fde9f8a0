"""The state of one request for a model, from its arrival to the last byte of its answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from starlette.types import Scope, Send

from ..dialects import Dialect
from ..dialects.model_request import ModelRequest
from ..entities import Caller, Model
from ..routing.options import NO_OPTIONS, RoutingOptions
from ..routing.plan import Plan, Timings
from ..services import Services, services_of
from ..telemetry.request_record import RequestRecord
from ..upstream.answer import Answer
from ..upstream.failover import Failover
from ..upstream.headers import RawHeaders
from .downstream import Downstream


@dataclass(slots=True, eq=False)
class Exchange:
    """The state of a request; the steps in `app.proxy.inference` set its fields, which are None until then."""

    #: The request's ASGI scope.
    scope: Scope
    #: The services of the process.
    services: Services
    #: The API of the request.
    dialect: Dialect
    #: The record that metrics, logs, traces and the ledger are made of.
    record: RequestRecord
    #: The client's side: what was sent to it.
    downstream: Downstream
    #: The client's query string, as sent.
    query: bytes
    #: The client's headers, as sent.
    raw_headers: RawHeaders
    #: The same by lower-case name.
    headers: dict[bytes, bytes]
    #: The tenant and the key.
    caller: Caller | None = None
    #: The body, as sent.
    raw: bytes = b""
    #: The body, parsed when needed.
    request: ModelRequest | None = None
    #: The client's `X-Router*` headers.
    options: RoutingOptions = NO_OPTIONS
    #: The models to try and why.
    plan: Plan | None = None
    #: Those of the plan's models that the caller's budget covers.
    models: Sequence[Model] = ()
    #: The attempts.
    failover: Failover | None = None
    #: The answer that goes to the client.
    answer: Answer | None = None
    #: Headers that report the caller's limits.
    limit_headers: dict[str, str] = field(default_factory=dict)
    #: Whether the caller's limits count this request, so that the ledger has to settle it.
    reserved: bool = False
    #: Whether the router asks for the usage of a stream that the client did not ask for.
    adds_usage: bool = False

    @classmethod
    def of(cls, scope: Scope, send: Send, dialect: Dialect) -> Exchange:
        """Begin the exchange of a request of an ASGI server."""
        services, record, raw_headers = services_of(scope), RequestRecord.of(scope), scope["headers"]
        headers = dict(raw_headers)
        record.route, record.operation = dialect.path, dialect.operation
        record.trace = services.observer.begin(headers, record.arrived_ns)
        return cls(
            scope, services, dialect, record, Downstream(send, dialect), scope["query_string"], raw_headers, headers
        )

    @property
    def reason(self) -> str | None:
        """The plan's reason, or `fallback` if another model than its first serves."""
        if self.plan is None:
            return None
        return self.plan.reason if self.record.served in (None, self.plan.models[0]) else "fallback"

    def early_headers(self) -> dict[str, str]:
        """Return the headers of an answer that begins before a provider has answered: they cannot name the model."""
        if not self.record.routed:
            return self.limit_headers
        return {"x-router-decision": str(self.record.decision_id), **self.limit_headers}

    def headers_of_answer(self) -> dict[str, str]:
        """Return the router's headers: limits, and the model and reason of a routed request once one was called."""
        record, plan = self.record, self.plan
        served = record.served
        if plan is None or not plan.routed or served is None:
            return self.limit_headers
        overhead = record.overhead or 0.0
        headers = {
            "x-router-model": served.name,
            "x-router-reason": str(self.reason),
            "x-router-decision": str(record.decision_id),
            "x-router-overhead-ms": f"{overhead * 1000:.2f}",
            "x-router-attempts": ", ".join(map(str, record.attempts)),
            "server-timing": (plan.timings or Timings()).server_timing(overhead, record.first_token),
            **self.limit_headers,
        }
        if plan.confidence is not None:
            headers["x-router-confidence"] = f"{plan.confidence:.3f}"
        return headers
