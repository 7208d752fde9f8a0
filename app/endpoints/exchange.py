"""One request on its way up to a provider, and its answer on the way down."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from starlette.types import Receive, Scope, Send

from app import finished, reserve
from app.attempts import Answer, Attempts
from app.body import with_model
from app.dialects import Dialect
from app.endpoints.down import Downstream
from app.endpoints.http import bearer, read_body
from app.errors import BadRequest, UpstreamUnavailable
from app.finished import Finished, server_timing
from app.holders import key_of
from app.ledger import Entry, decision_id
from app.logs import REQUEST_ID
from app.observing import OBSERVED
from app.request_ids import PASSED_ON
from app.router import NO_OPTIONS, Options, Plan, Took
from app.services import Services
from app.signal import prompt_tokens
from app.store.tenancy import Caller, Model
from app.stream_options import with_usage
from app.telemetry import TRACEPARENT
from app.upstream import RawHeaders, Reply
from app.usage import UNKNOWN, Usage
from app.validation import parse_object


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
        self.attempts: Attempts | None = None
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
        self.options = Options.of(self.headers) if dialect.routed else NO_OPTIONS
        catalogue = await services.directory.catalogue()
        holder = None
        previous = self.body.get("previous_response_id") if dialect.name == "responses" else None
        if isinstance(previous, str) and previous:
            found = await services.holders.find(caller.tenant_id, previous)
            holder = None if found is None else catalogue.by_id.get(found)
        self.plan = plan = await services.router.plan(
            caller, self.body, self.options, catalogue, dialect, holder=holder
        )
        self.decision = decision_id()
        self.models = plan.models
        self.attempts = Attempts(services.breakers, services.patience, self._send, self.arrived, routed=plan.routed)
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
            caller, self.decision, reserve.tokens(plan, prompt), reserve.costs(plan, prompt, hedged=hedged)
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
        try:
            async with asyncio.timeout(max(0.001, self.attempts.deadline - time.perf_counter())):
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
        took = (self.plan.took if self.plan is not None else None) or Took()
        upstream = self.answer.attempt.seconds if self.answer is not None else None
        return server_timing(self.overhead or 0.0, took.embedding, took.decision, upstream)

    def usage(self) -> tuple[Usage, bool]:
        """What the answer's tokens were, and whether that is an estimate: of a stream whose provider did not say."""
        passed = self.down.passed
        if passed is None:
            return UNKNOWN, False
        found = passed.usage()
        if found.completion_tokens is not None or self.answer is None or self.answer.reply is None:
            return found, False
        produced = passed.produced() if self.answer.reply.status < 400 else None
        if produced is None:
            return found, False
        prompt = found.prompt_tokens if found.prompt_tokens is not None else self._prompt_tokens()
        return found._replace(prompt_tokens=prompt, completion_tokens=produced), True

    def _prompt_tokens(self) -> int | None:
        assert self.plan is not None
        if self.plan.tokens is not None:
            return self.plan.tokens
        try:
            return prompt_tokens(self.dialect.read(self.body))
        except BadRequest:
            return None

    def over(self, status: int, code: str | None) -> None:
        """The client has its answer, or none: write that down and have it counted; `code` is our own error's."""
        usage, estimated = self.usage()
        if self.dialect.billed:
            self._write_down(status, usage, estimated)
        self.scope[OBSERVED] = True
        self._observe(status, code, usage)
        # They hold this exchange by its method: unbroken, all that a request has would wait for the collector.
        self.attempts = None

    def _write_down(self, status: int, usage: Usage, estimated: bool) -> None:
        """Put the request into the ledger, if it came as far as a provider."""
        plan, caller, model, attempts = self.plan, self.caller, self.served_by, self.attempts
        if model is None and self.reserved:
            # The client left before anybody was asked: what was reserved is given back by way of the ledger.
            model = self.models[0]
        if plan is None or caller is None or model is None or attempts is None:
            return
        response = self._kept(caller, model, status)
        self.services.ledger.add(
            Entry(
                tenant_id=caller.tenant_id,
                decision_id=self.decision,
                key_id=caller.key_id,
                policy_id=plan.policy.policy_id if plan.policy else None,
                requested=self.body["model"],
                task=self.options.task,
                reason=self.reason,
                model_id=model.model_id,
                confidence=plan.confidence,
                ranking=plan.ranking,
                attempts=attempts.asked,
                status=status,
                streamed=self.body.get("stream") is True,
                overhead_ms=(self.overhead or 0.0) * 1000,
                first_token_ms=self.answer.attempt.seconds * 1000 if self.answer is not None else None,
                duration_ms=(time.perf_counter() - self.arrived) * 1000,
                conversation=plan.conversation,
                usage=usage,
                estimated_tokens=plan.tokens,
                api=self.dialect.name,
                tried=attempts.made,
                usage_estimated=estimated,
                response=response,
            )
        )

    def _observe(self, status: int, code: str | None, usage: Usage) -> None:
        plan, model, answer = self.plan, self.served_by, self.answer
        took = (plan.took if plan is not None else None) or Took()
        self.services.observer.finished(
            Finished(
                route=self.dialect.path,
                operation=self.dialect.operation,
                status=status,
                arrived_ns=self.arrived_ns,
                duration=time.perf_counter() - self.arrived,
                request_id=REQUEST_ID.get(),
                tenant=self.caller.tenant if self.caller is not None else None,
                requested=self.body["model"] if model is not None else None,
                served=model.name if model is not None else None,
                provider=model.provider.name if model is not None else None,
                routed=plan is not None and plan.routed,
                reason=self.reason if plan is not None else None,
                decision=str(self.decision) if model is not None else None,
                confidence=plan.confidence if plan is not None else None,
                input_tokens=usage.prompt_tokens,
                cached_tokens=usage.cached_tokens,
                output_tokens=usage.completion_tokens,
                reasoning_tokens=usage.reasoning_tokens,
                overhead=self.overhead,
                embedding=took.embedding,
                deciding=took.decision,
                attempts=tuple(self._tried()),
                first_token=answer.attempt.seconds if answer is not None else None,
                streamed=self.down.streamed,
                error=code,
                trace=self.trace,
            )
        )

    def _tried(self) -> Iterator[finished.Attempt]:
        for each in self.attempts.made if self.attempts is not None else ():
            began = each.began - self.arrived
            yield finished.Attempt(
                each.model.name, each.model.provider.name, each.outcome, began, each.seconds, each.why
            )

    def _kept(self, caller: Caller, model: Model, status: int) -> bytes | None:
        """What stands for the answer in `router.responses`, where the provider keeps it."""
        passed = self.down.passed
        if self.dialect.name != "responses" or status >= 400 or passed is None or self.body.get("store") is False:
            return None
        name = passed.name()
        if name is None:
            return None
        key = key_of(name)
        self.services.holders.keep(caller.tenant_id, key, model.model_id)
        return key
