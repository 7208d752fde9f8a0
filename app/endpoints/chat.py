"""POST /v1/chat/completions and its like: plan, send the bytes up, pass the bytes down, write it down.

This is the hot path: plain ASGI, no request or response object, one task to notice a client that leaves.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import orjson
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from app.body import with_model
from app.endpoints.http import CLIENT_GONE, ClientGone, bearer, read_body, send_bytes, send_error, until_gone
from app.errors import BadRequest, RouterError, ShuttingDown, UpstreamUnavailable
from app.finished import Attempt, Finished, server_timing
from app.ledger import Entry, decision_id
from app.logs import REQUEST_ID
from app.request_ids import PASSED_ON
from app.router import NO_OPTIONS, Options, Plan, Took
from app.services import Services, services_of
from app.store.tenancy import Caller, Model
from app.upstream import RawHeaders, Reply
from app.usage import UNKNOWN, Passing
from app.validation import parse_object

#: Of these the provider is the cause, not the request: another model may do better.
PROVIDERS_FAULT = frozenset((401, 403, 404, 408, 429, *range(500, 600)))
#: What OpenTelemetry calls them.
OPERATIONS = {"/chat/completions": "chat", "/completions": "text_completion", "/embeddings": "embeddings"}
#: An answer of known length up to this is read whole and sent at once.
WHOLE = 1024 * 1024


class Completions:
    """An ASGI endpoint that serves a `model` from a provider, routing it where it names a policy.

    `path` is that of the provider below its base URL; `routed` False leaves policies alone (embeddings).
    """

    def __init__(self, path: str, *, routed: bool) -> None:
        self.path = path
        self.routed = routed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        arrived = time.perf_counter()
        exchange = _Exchange(services_of(scope), scope, send, self.path, arrived)
        status = 500
        code = None
        try:
            await exchange.prepare(receive, routed=self.routed)
            await until_gone(receive, exchange.serve())
            status = exchange.status
        except ClientGone:
            status = CLIENT_GONE
        except (RouterError, asyncio.CancelledError) as caught:
            # Cancelled by the server, which stops and has waited long enough: the client is still to know.
            error = caught if isinstance(caught, RouterError) else ShuttingDown("The router is shutting down.")
            status = error.status
            code = error.code
            if exchange.started:
                await exchange.break_off(error)
            else:
                error.headers |= exchange.router_headers()
                await send_error(send, error)
        finally:
            exchange.write_down(status)
            exchange.observe(status, code)


class _Exchange:
    """One request on its way up and down."""

    def __init__(self, services: Services, scope: Scope, send: Send, path: str, arrived: float) -> None:
        self.services = services
        self.scope = scope
        self.path = path
        self.query: bytes = scope["query_string"]
        self.raw_headers: RawHeaders = scope["headers"]
        self.headers = dict(self.raw_headers)
        self.send = send
        self.arrived = arrived
        self.arrived_ns = time.time_ns()
        self.trace = services.observer.begin(self.headers, self.arrived_ns)
        self.started = False
        self.streamed = False
        self.status = 0
        self.attempts = 0
        self.tried: list[Attempt] = []
        self.caller: Caller | None = None
        self.plan: Plan | None = None
        self.served_by: Model | None = None
        self.passed: Passing | None = None
        self.whole: bytes | None = None
        self.overhead = 0.0
        self.first_token: float | None = None

    async def prepare(self, receive: Receive, *, routed: bool) -> None:
        """Authenticate, read, plan. Raises whatever is wrong with the request."""
        services = self.services
        self.caller = await services.directory.caller(bearer(self.headers))
        self.raw = await read_body(receive, self.headers, services.settings.max_body)
        self.body: dict[str, Any] = parse_object(self.raw)
        if not isinstance(self.body.get("model"), str) or not self.body["model"]:
            raise BadRequest("`model` must be the name of a model or of a policy.", param="model")
        self.options = Options.of(self.headers) if routed else NO_OPTIONS
        catalogue = await services.directory.catalogue()
        if routed:
            self.plan = await services.router.plan(self.caller, self.body, self.options, catalogue)
        else:
            self.plan = Plan((catalogue.get(self.body["model"]),), "off")
        self.decision = decision_id()

    async def serve(self) -> None:
        """Try the plan's models in order until one answers; pass its answer on."""
        assert self.plan is not None
        reply = None
        for position, model in enumerate(self.plan.models):
            last = position == len(self.plan.models) - 1 or not self.plan.routed
            self.attempts += 1
            self.served_by = model
            began = time.perf_counter()
            outcome = "cancelled"
            try:
                reply = await self._attempt(model)
                outcome = str(reply.status)
            except UpstreamUnavailable as error:
                outcome = "timeout" if error.status == 504 else "unreachable"
                if last:
                    raise
                continue
            finally:
                started, took = began - self.arrived, time.perf_counter() - began
                why = "chosen" if position == 0 else "fallback"
                self.tried.append(Attempt(model.name, model.provider.name, outcome, started, took, why))
            if last or reply.status not in PROVIDERS_FAULT:
                break
            reply.close()
        assert reply is not None
        try:
            await self._pass_on(reply)
        finally:
            reply.close()

    async def _attempt(self, model: Model) -> Reply:
        same = model.upstream_name == self.body["model"]
        body = self.raw if same else with_model(self.raw, model.upstream_name)
        sent = time.perf_counter()
        if self.attempts == 1:
            self.overhead = sent - self.arrived
        headers = self.raw_headers
        if self.trace is not None and self.plan is not None and self.plan.routed:
            headers = [(name, value) for name, value in headers if name != b"traceparent"]
            headers.append((b"traceparent", self.trace.attempt(sent - self.arrived)))
        reply = await self.services.upstream.send(model, self.path, self.query, headers, body)
        self.first_token = time.perf_counter() - sent
        self.whole = None
        length = reply.header(b"content-length")
        if length is not None and length.isdigit() and int(length) <= WHOLE:
            # Read before anything goes out, so that an answer that breaks off can still be another model's.
            try:
                self.whole = await reply.read()
            except UpstreamUnavailable:
                reply.close()
                raise
        return reply

    async def _pass_on(self, reply: Reply) -> None:
        self.scope[PASSED_ON] = True
        encoding = reply.header(b"content-encoding")
        self.streamed = reply.streamed
        self.passed = Passing(streamed=self.streamed, encoding=encoding.decode("latin-1") if encoding else None)
        self.status = reply.status
        headers = reply.headers
        own = self.router_headers()
        if own:
            # A provider that is a router too says who serves there; here it is what this one chose.
            headers = [(name, value) for name, value in headers if not name.startswith(b"x-router-")]
            headers += [(name.encode(), value.encode()) for name, value in own.items()]
        if self.whole is not None:
            self.passed.feed(self.whole)
            self.started = True
            await send_bytes(self.send, reply.status, headers, self.whole)
            return
        self.started = True
        await self.send({"type": "http.response.start", "status": reply.status, "headers": headers})
        async for chunk in reply.chunks():
            self.passed.feed(chunk)
            await self.send({"type": "http.response.body", "body": chunk, "more_body": True})
        await self.send({"type": "http.response.body", "body": b""})

    async def break_off(self, error: RouterError) -> None:
        """End an answer of which half is out: a stream with an error event, another by a closed connection."""
        if self.streamed:
            event = b"\n\ndata: " + orjson.dumps(error.body()) + b"\n\n"
            await self.send({"type": "http.response.body", "body": event})

    @property
    def reason(self) -> str:
        """The plan's reason, or `fallback` once it did not work out."""
        assert self.plan is not None
        return "fallback" if self.attempts > 1 else self.plan.reason

    def router_headers(self) -> dict[str, str]:
        """Who serves a routed request and why; nothing for another, or before a model was tried."""
        if self.plan is None or not self.plan.routed or self.served_by is None:
            return {}
        headers = {
            "x-router-model": self.served_by.name,
            "x-router-reason": self.reason,
            "x-router-decision": str(self.decision),
            "x-router-overhead-ms": f"{self.overhead * 1000:.2f}",
        }
        took = self.plan.took or Took()
        headers["server-timing"] = server_timing(self.overhead, took.embedding, took.decision, self.first_token)
        if self.plan.confidence is not None:
            headers["x-router-confidence"] = f"{self.plan.confidence:.3f}"
        return headers

    def write_down(self, status: int) -> None:
        """Put the request into the ledger, if it came as far as a provider."""
        plan, caller, model = self.plan, self.caller, self.served_by
        if plan is None or caller is None or model is None:
            return
        duration = time.perf_counter() - self.arrived
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
                attempts=self.attempts,
                status=status,
                streamed=self.body.get("stream") is True,
                overhead_ms=self.overhead * 1000,
                first_token_ms=self.first_token * 1000 if self.first_token is not None else None,
                duration_ms=duration * 1000,
                conversation=plan.conversation,
                usage=self.passed or UNKNOWN,
                estimated_tokens=plan.tokens,
            )
        )

    def observe(self, status: int, code: str | None) -> None:
        """Tell whoever counts, traces and logs."""
        plan, model = self.plan, self.served_by
        usage = self.passed.usage() if self.passed is not None else UNKNOWN
        self.services.observer.finished(
            Finished(
                route=self.path,
                operation=OPERATIONS[self.path],
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
                overhead=self.overhead if model is not None else None,
                embedding=plan.took.embedding if plan is not None and plan.took is not None else None,
                deciding=plan.took.decision if plan is not None and plan.took is not None else None,
                attempts=tuple(self.tried),
                first_token=self.first_token,
                streamed=self.streamed,
                error=code,
                trace=self.trace,
            )
        )


routes = [
    Route("/v1/chat/completions", Completions("/chat/completions", routed=True), methods=["POST"]),
    Route("/v1/completions", Completions("/completions", routed=False), methods=["POST"]),
    Route("/v1/embeddings", Completions("/embeddings", routed=False), methods=["POST"]),
]
