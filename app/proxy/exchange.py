"""One request on its way up to a provider, and its answer on the way down."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from starlette.types import Receive, Scope, Send

from app.accounting import reservation
from app.accounting.ledger import decision_id
from app.dialects import Dialect
from app.dialects.json_splice import with_model
from app.dialects.prompt import prompt_tokens
from app.dialects.stream_options import with_usage
from app.entities import Caller, Model
from app.errors import BadRequest, UpstreamUnavailable
from app.http.requests import bearer, read_body
from app.http.scope import OBSERVED, PASSED_ON
from app.http.validation import parse_object
from app.proxy import outcome
from app.proxy.downstream import Downstream
from app.routing.options import NO_OPTIONS, RoutingOptions
from app.routing.plan import Plan, Timings
from app.services import Services
from app.telemetry.otel import TRACEPARENT
from app.upstream.client import RawHeaders, Reply
from app.upstream.failover import Answer, Failover


class Exchange:
    """A request for a model: prepared, served, written down."""

    def __init__(self, services: Services, scope: Scope, send: Send, dialect: Dialect, arrived: float) -> None:
        self.services = services
        self.dialect = dialect
        self.query: bytes = scope["query_string"]
        self.raw_headers: RawHeaders = scope["headers"]
        self.headers = dict(self.raw_headers)
        self.down = Downstream(send, dialect)
        self.scope = scope
        self.arrived = arrived
        self.arrived_ns = time.time_ns()
        self.trace = services.observer.begin(self.headers, self.arrived_ns)
        self.status = 0
        self.caller: Caller | None = None
        self.plan: Plan | None = None
        self.models: Sequence[Model] = ()
        self.attempts: Failover | None = None
        self.answer: Answer | None = None
        self.overhead: float | None = None
        self.limits: dict[str, str] = {}
        self.reserved = False
        self.asks_usage = False

    async def prepare(self, receive: Receive) -> None:
        """Authenticate, read, plan, reserve. Raises whatever is wrong with the request."""
        services, dialect = self.services, self.dialect
        self.caller = caller = await services.directory.caller(bearer(self.headers))
        self.raw = await read_body(receive, self.headers, services.settings.max_body)
        self.body: dict[str, Any] = parse_object(self.raw)
        if not isinstance(self.body.get("model"), str) or not self.body["model"]:
            raise BadRequest("`model` must be the name of a model or of a policy.", param="model")
        self.options = RoutingOptions.of(self.headers) if dialect.routed else NO_OPTIONS
        catalog = await services.directory.catalog()
        holder = None
        previous = self.body.get("previous_response_id") if dialect.name == "responses" else None
        if isinstance(previous, str) and previous:
            found = await services.holders.find(caller.tenant_id, previous)
            holder = None if found is None else catalog.by_id.get(found)
        self.plan = plan = await services.router.plan(caller, self.body, self.options, catalog, dialect, holder=holder)
        self.decision = decision_id()
        self.models = plan.models
        self.attempts = Failover(services.breakers, services.patience, self._send, self.arrived, routed=plan.routed)
        if caller.metered and dialect.billed:
            await self._reserve(caller)
        if plan.routed and dialect.name == "chat" and self.body.get("stream") is True:
            options = self.body.get("stream_options")
            # What is no object is left for the provider to refuse.
            self.asks_usage = options is None or (
                isinstance(options, dict) and options.get("include_usage") is not True
            )

    async def _reserve(self, caller: Caller) -> None:
        """Have the limits kept. Raises `RateLimited`, or `BudgetSpent` when no model of the plan can be afforded."""
        assert self.plan is not None
        assert self.attempts is not None
        reading = self.plan.reading
        if reading is None:
            with suppress(BadRequest):
                reading = self.dialect.read(self.body)
        plan = replace(self.plan, reading=reading)
        # What cannot be read is the provider's to judge; it has this many tokens at least.
        prompt = self.plan.tokens or (prompt_tokens(reading) if reading is not None else len(self.raw) // 4)
        hedged = bool(self.services.patience.hedge)
        admitted = await self.services.admission.admit(
            caller, self.decision, reservation.tokens(plan, prompt), reservation.costs(plan, prompt, hedged=hedged)
        )
        self.limits = admitted.headers
        self.reserved = admitted.counted
        chosen = zip(plan.models, admitted.affordable, strict=True)
        self.models = [model for model, affordable in chosen if affordable]
        self.attempts.over_budget([model for model in plan.models if model not in self.models])

    async def serve(self) -> None:
        """Have the plan's models try, and pass on what the first good one answers."""
        assert self.attempts is not None
        seconds = self.services.settings.keepalive
        answering = self.attempts.answer(self.models)
        if seconds and self.body.get("stream") is True:
            self.answer = await self.down.kept_waiting(answering, seconds, self.early_headers())
        else:
            self.answer = await answering
        assert self.answer.reply is not None
        self.status = self.answer.reply.status
        self.scope[PASSED_ON] = True
        within = None if self.answer.whole is not None else self.attempts.deadline - time.perf_counter()
        try:
            async with asyncio.timeout(within):
                await self.down.pass_on(
                    self.answer, self.router_headers(), drop_usage=self.asks_usage, keepalive=seconds
                )
        except TimeoutError:
            raise UpstreamUnavailable("The answer took longer than a request may.", timed_out=True) from None
        finally:
            self.answer.close()

    async def _send(self, model: Model, within: float) -> Reply:
        body = self.raw
        if model.upstream_name != self.body["model"]:
            body = with_model(body, model.upstream_name)
        if self.asks_usage:
            body = with_usage(body, self.body)
        sent = time.perf_counter() - self.arrived
        if self.overhead is None:
            self.overhead = sent
        headers = self.raw_headers
        if self.trace is not None and self.plan is not None and self.plan.routed:
            headers = [(name, value) for name, value in headers if name != TRACEPARENT]
            headers.append((TRACEPARENT, self.trace.attempt(sent)))
        return await self.services.upstream.send(
            model.provider, self.dialect.path, self.query, headers, body, within=within
        )

    @property
    def served_by(self) -> Model | None:
        """The model that answers, or was asked last; None before one was."""
        if self.answer is not None:
            return self.answer.attempt.model
        made = self.attempts.made if self.attempts is not None else ()
        return next((attempt.model for attempt in reversed(made) if attempt.asked), None)

    @property
    def reason(self) -> str:
        """The plan's reason, or `fallback` once it did not work out."""
        assert self.plan is not None
        return self.plan.reason if self.served_by in (None, self.plan.models[0]) else "fallback"

    def early_headers(self) -> dict[str, str]:
        """What can be said before anybody has answered, which is not yet who will."""
        routed = self.plan is not None and self.plan.routed
        return {"x-router-decision": str(self.decision), **self.limits} if routed else self.limits

    def router_headers(self) -> dict[str, str]:
        """Who serves a routed request and why, and what is left of limits; nothing before a model was tried."""
        served_by = self.served_by
        if self.plan is None or not self.plan.routed or served_by is None or self.attempts is None:
            return self.limits
        headers = {
            "x-router-model": served_by.name,
            "x-router-reason": self.reason,
            "x-router-decision": str(self.decision),
            "x-router-overhead-ms": f"{(self.overhead or 0.0) * 1000:.2f}",
            "x-router-attempts": ", ".join(map(str, self.attempts.made)),
            "server-timing": self._timing(),
            **self.limits,
        }
        if self.plan.confidence is not None:
            headers["x-router-confidence"] = f"{self.plan.confidence:.3f}"
        return headers

    def _timing(self) -> str:
        took = (self.plan.took if self.plan is not None else None) or Timings()
        upstream = self.answer.attempt.seconds if self.answer is not None else None
        return took.server_timing(self.overhead or 0.0, upstream)

    def over(self, status: int, code: str | None) -> None:
        """The client has its answer, or none: write that down and have it counted; `code` is our own error's."""
        usage, estimated = outcome.usage(self, status)
        if self.dialect.billed:
            outcome.write_down(self, status, usage, estimated)
        self.scope[OBSERVED] = True
        outcome.observe(self, status, code, usage)
        # They hold this exchange by its method: unbroken, all that a request has would wait for the collector.
        self.attempts = None
