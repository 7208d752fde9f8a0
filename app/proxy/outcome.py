"""What is kept of a request once it is over: its row in the ledger, and its record for metrics, traces and logs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from app.accounting.ledger import Entry
from app.dialects.prompt import prompt_tokens
from app.dialects.usage import NOTHING, UNKNOWN, TokenUsage
from app.entities import Caller, Model
from app.errors import BadRequest
from app.http.disconnect import CLIENT_CLOSED_REQUEST
from app.routing.affinity import key_of
from app.routing.plan import Timings
from app.telemetry.logs import REQUEST_ID
from app.telemetry.request_record import RequestRecord

if TYPE_CHECKING:
    from app.proxy.exchange import Exchange


def usage(exchange: Exchange, status: int) -> tuple[TokenUsage, bool]:
    """What the answer's tokens were, and whether that is an estimate: of a stream whose provider did not say."""
    passed = exchange.down.passed
    if passed is None:
        asked = exchange.attempts is not None and exchange.attempts.asked
        if status == CLIENT_CLOSED_REQUEST and asked and exchange.body.get("stream") is True:
            # It left before the first word, so that all there was is the prompt.
            return TokenUsage(prompt_tokens=_prompt_tokens(exchange), completion_tokens=0), True
        return UNKNOWN, False
    found = passed.usage()
    if found.completion_tokens is not None or exchange.answer is None or exchange.answer.reply is None:
        return found, False
    produced = passed.estimated_output_tokens() if exchange.answer.reply.status < 400 else None
    if produced is None:
        return found, False
    prompt = found.prompt_tokens if found.prompt_tokens is not None else _prompt_tokens(exchange)
    return found._replace(prompt_tokens=prompt, completion_tokens=produced), True


def _prompt_tokens(exchange: Exchange) -> int | None:
    assert exchange.plan is not None
    if exchange.plan.tokens is not None:
        return exchange.plan.tokens
    try:
        return prompt_tokens(exchange.dialect.read(exchange.body))
    except BadRequest:
        return None


def write_down(exchange: Exchange, status: int, usage: TokenUsage, estimated: bool) -> None:
    """Put the request into the ledger, if it came as far as a provider."""
    plan, caller, model, attempts = exchange.plan, exchange.caller, exchange.served_by, exchange.attempts
    if model is None and exchange.reserved:
        # The client left before anybody was asked: what was reserved is given back by way of the ledger.
        model = exchange.models[0]
    if plan is None or caller is None or model is None or attempts is None:
        return
    if status == CLIENT_CLOSED_REQUEST and exchange.answer is None and attempts.idle:
        # Whoever was asked had refused already: nothing was under way that might have to be paid for.
        usage, estimated = NOTHING, False
    response = _kept(exchange, caller, model, status)
    exchange.services.ledger.add(
        Entry(
            tenant_id=caller.tenant_id,
            decision_id=exchange.decision,
            key_id=caller.key_id,
            policy_id=plan.policy.policy_id if plan.policy else None,
            requested=exchange.body["model"],
            task=exchange.options.task,
            reason=exchange.reason,
            model_id=model.model_id,
            confidence=plan.confidence,
            ranking=plan.ranking,
            attempts=attempts.asked,
            status=status,
            streamed=exchange.body.get("stream") is True,
            overhead_ms=(exchange.overhead or 0.0) * 1000,
            first_token_ms=exchange.answer.attempt.seconds * 1000 if exchange.answer is not None else None,
            duration_ms=(time.perf_counter() - exchange.arrived) * 1000,
            conversation=plan.conversation,
            usage=usage,
            estimated_tokens=plan.tokens,
            api=exchange.dialect.name,
            tried=attempts.made,
            usage_estimated=estimated,
            response=response,
        )
    )


def observe(exchange: Exchange, status: int, code: str | None, usage: TokenUsage) -> None:
    """Have it counted, traced and logged."""
    plan, model, answer = exchange.plan, exchange.served_by, exchange.answer
    took = (plan.took if plan is not None else None) or Timings()
    exchange.services.observer.finished(
        RequestRecord(
            route=exchange.dialect.path,
            operation=exchange.dialect.operation,
            status=status,
            arrived_ns=exchange.arrived_ns,
            duration=time.perf_counter() - exchange.arrived,
            request_id=REQUEST_ID.get(),
            tenant=exchange.caller.tenant if exchange.caller is not None else None,
            requested=exchange.body["model"] if model is not None else None,
            served=model.name if model is not None else None,
            provider=model.provider.name if model is not None else None,
            routed=plan is not None and plan.routed,
            reason=exchange.reason if plan is not None else None,
            decision=str(exchange.decision) if model is not None else None,
            confidence=plan.confidence if plan is not None else None,
            input_tokens=usage.prompt_tokens,
            cached_tokens=usage.cached_tokens,
            output_tokens=usage.completion_tokens,
            reasoning_tokens=usage.reasoning_tokens,
            overhead=exchange.overhead,
            embedding=took.embedding,
            deciding=took.decision,
            attempts=exchange.attempts.made if exchange.attempts is not None else (),
            first_token=answer.attempt.seconds if answer is not None else None,
            streamed=exchange.down.streamed,
            error=code,
            trace=exchange.trace,
        )
    )


def _kept(exchange: Exchange, caller: Caller, model: Model, status: int) -> bytes | None:
    """What stands for the answer in `router.responses`, where the provider keeps it."""
    passed = exchange.down.passed
    if exchange.dialect.name != "responses" or status >= 400 or passed is None or exchange.body.get("store") is False:
        return None
    name = passed.response_id()
    if name is None:
        return None
    key = key_of(name)
    exchange.services.holders.keep(caller.tenant_id, key, model.model_id)
    return key
