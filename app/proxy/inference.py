"""The endpoints that ask a model: chat, responses, messages, completions, embeddings.

This is the hot path: plain ASGI, no request or response object, no task beside the server's own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ..accounting import reservation
from ..accounting.ledger import decision_id
from ..catalog import Catalog
from ..dialects import Dialect
from ..dialects.model_request import ModelRequest
from ..dialects.stream_options import asks_for_usage
from ..entities import Caller, Model
from ..errors import BadRequest, BudgetSpent, LimitsUnchecked, RateLimited, RouterError, UpstreamUnavailable
from ..http.disconnect import CLIENT_CLOSED_REQUEST, ClientDisconnected, until_disconnect
from ..http.requests import bearer, read_body
from ..http.responses import as_router_error
from ..http.validation import parse_object
from ..key_scopes import require_scope
from ..off_loop import off_loop
from ..routing.options import RoutingOptions
from ..routing.plan import Plan
from ..upstream.answer import Answer
from ..upstream.failover import Failover
from . import outcome
from .exchange import Exchange
from .one_model import repeats, require_one_model
from .paths import INFERENCE
from .sender import Sender
from .stored_answers import REFERRING, conversation_in, holder_of


class Inference:
    """The ASGI endpoint of one API: a model answers, which a policy chooses if the request names one."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        exchange = Exchange.of(scope, send, self.dialect)
        status, code = 500, None
        try:
            await prepare(exchange, receive)
            status = await until_disconnect(receive, serve(exchange), scope)
        except ClientDisconnected:
            status = CLIENT_CLOSED_REQUEST
            if exchange.failover is not None:
                exchange.failover.abandoned(exchange.answer)
        except (RouterError, asyncio.CancelledError) as caught:
            error = as_router_error(caught)
            status, code = error.status, error.code
            await exchange.downstream.fail(error, exchange.headers_of_answer())
            # Its traceback refers to this frame: a cycle.
            del error
        finally:
            outcome.finish(exchange, status, code)


async def prepare(exchange: Exchange, receive: Receive) -> None:
    """Authenticate, read, plan and reserve. Raises the `RouterError` of whatever is wrong with the request."""
    services, dialect, record = exchange.services, exchange.dialect, exchange.record
    exchange.caller = caller = await services.directory.caller(bearer(exchange.headers))
    record.tenant = caller.tenant
    require_scope(caller, "ask")
    exchange.raw = await read_body(
        exchange.scope, receive, exchange.headers, services.settings.max_body, services.bodies
    )
    exchange.request = request = await off_loop(len(exchange.raw), partial(_model_request, dialect, exchange.raw))
    if caller.allowed_models is not None:
        await require_one_model(exchange.raw, request.body, exchange.query)
    record.requested = request.model
    if dialect.routed:
        exchange.options = RoutingOptions.of(exchange.headers)
    catalog = await services.directory.catalog()
    holder = await _holder(exchange, request, caller, catalog)
    plan = await services.router.plan(request, caller, catalog, exchange.options, holder=holder)
    _adopt(exchange, request, caller, plan)
    if caller.metered and dialect.billed:
        await reserve(exchange, request, caller, plan)


def _model_request(dialect: Dialect, raw: bytes) -> ModelRequest:
    body = parse_object(raw)
    if not isinstance(body.get("model"), str) or not body["model"]:
        raise BadRequest("`model` must be the name of a model or of a policy.", param="model")
    return ModelRequest(dialect, body, len(raw))


async def _holder(exchange: Exchange, request: ModelRequest, caller: Caller, catalog: Catalog) -> Model | None:
    """Return the model whose provider keeps what the request continues; None: unknown, or it continues nothing."""
    if request.dialect.name != "responses":
        return None
    named = [name for name in request.body if name.lower() in REFERRING]
    if not named:
        return None
    await _require_one_reading(exchange.raw, request.body, named)
    found = await holder_of(exchange.services.affinity, caller, request.body)
    return None if found is None else catalog.by_id.get(found)


async def _require_one_reading(raw: bytes, body: Mapping[str, Any], named: Sequence[str]) -> None:
    """Raise `BadRequest` if a provider could read another id than `body` has, in the members `named`."""
    unclear = any(name not in REFERRING for name in named) or await repeats(raw, REFERRING)
    if isinstance(body.get("conversation"), dict):
        unclear = unclear or await repeats(raw, ("id",), nested=True)
    if unclear:
        raise BadRequest("The body names what it continues twice, or in another spelling.", param=named[0])


def _adopt(exchange: Exchange, request: ModelRequest, caller: Caller, plan: Plan) -> None:
    """Put the plan into the exchange and its record, and make ready to call the plan's models."""
    services, record = exchange.services, exchange.record
    exchange.plan, exchange.models = plan, plan.models
    record.decision_id = decision_id()
    record.routed, record.confidence = plan.routed, plan.confidence
    if plan.timings is not None:
        record.embedding, record.deciding = plan.timings.embedding, plan.timings.decision
    if plan.routed and request.dialect.name == "chat" and request.streamed:
        options = request.body.get("stream_options")
        # Options that are no object are left for the provider to reject.
        exchange.adds_usage = (
            services.settings.stream_usage
            and (options is None or isinstance(options, dict))
            and not asks_for_usage(request.body)
        )
    sender = Sender(
        services.upstream,
        services.refusals,
        request,
        exchange.raw,
        exchange.raw_headers,
        exchange.query,
        record,
        caller.tenant_id,
        with_usage=exchange.adds_usage,
    )
    exchange.failover = Failover(
        services.breakers.of(
            caller.tenant_id, partial(services.upstream.sends_access, exchange.raw_headers, exchange.query)
        ),
        services.retry_policy,
        sender.send,
        record.arrived,
        routed=plan.routed,
    )
    record.attempts = exchange.failover.attempts


async def reserve(exchange: Exchange, request: ModelRequest, caller: Caller, plan: Plan) -> None:
    """Check the caller's limits and reserve the expected cost.

    Raises `RateLimited`, or `BudgetSpent` if the budget covers no model of the plan.
    """
    assert exchange.record.decision_id is not None
    assert exchange.failover is not None
    services = exchange.services
    prompt = await off_loop(request.size, request.prompt_tokens)
    if prompt is None:
        # A malformed request is the provider's to reject; it has about this many tokens at least.
        prompt = len(exchange.raw) // 4
    parsed, hedged = request.parsed_or_none(), bool(services.retry_policy.hedge)
    # Before the result is known: a statement whose caller is cancelled may be committed nevertheless.
    exchange.reserved = True
    try:
        admitted = await services.admission.admit(
            caller,
            exchange.record.decision_id,
            reservation.tokens(plan, parsed, prompt),
            reservation.costs(plan, parsed, prompt, hedged=hedged),
        )
    except (RateLimited, BudgetSpent):
        exchange.reserved = False
        services.embedding_costs.refused(caller)
        raise
    except LimitsUnchecked as error:
        # The row in the ledger releases what may be reserved.
        exchange.reserved = error.uncertain
        raise
    exchange.limit_headers = admitted.headers
    exchange.reserved = admitted.counted
    chosen = zip(plan.models, admitted.affordable, strict=True)
    exchange.models = [model for model, affordable in chosen if affordable]
    exchange.failover.skip_over_budget([model for model in plan.models if model not in exchange.models])


async def serve(exchange: Exchange) -> int:
    """Call the models until one answers, and relay its answer. Returns its status; raises `UpstreamUnavailable`."""
    assert exchange.failover is not None
    assert exchange.request is not None
    failover, downstream, record = exchange.failover, exchange.downstream, exchange.record
    keepalive = exchange.services.settings.keepalive
    answering = failover.answer(exchange.models)
    if keepalive and exchange.request.streamed:
        answer = await downstream.keep_alive_until(answering, keepalive, exchange.early_headers())
    else:
        answer = await answering
    assert answer.reply is not None
    exchange.answer = answer
    record.answered, record.relayed = answer.attempt, True
    within = None if answer.whole is not None else failover.deadline - time.perf_counter()
    try:
        async with asyncio.timeout(within):
            if exchange.dialect.name == "responses" and answer.reply.status < 400:
                await _claim_conversation(exchange, answer)
            await downstream.relay(
                answer,
                exchange.headers_of_answer(),
                routed=record.routed,
                drop_usage=answer.reply.usage_added,
                keepalive=keepalive,
            )
        (failover.cut if downstream.incomplete else failover.ended)(answer)
    except UpstreamUnavailable:
        failover.cut(answer)
        raise
    except TimeoutError:
        failover.abandoned(answer)
        raise UpstreamUnavailable("The answer took longer than a request may.", timed_out=True) from None
    finally:
        answer.close()
    return answer.reply.status


async def _claim_conversation(exchange: Exchange, answer: Answer) -> None:
    """Store that the conversation which a provider has accepted is the tenant's."""
    assert exchange.request is not None
    assert exchange.caller is not None
    conversation = conversation_in(exchange.request.body)
    if conversation is not None:
        await exchange.services.affinity.claim(exchange.caller.tenant_id, conversation, answer.attempt.model.model_id)


routes = [Route(f"/v1{dialect.path}", Inference(dialect), methods=["POST"]) for dialect in INFERENCE]
