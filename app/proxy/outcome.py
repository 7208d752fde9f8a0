"""The outcome of a request: what its answer used, and its row in the ledger."""

from __future__ import annotations

from http import HTTPStatus

from ..accounting.ledger import Entry
from ..dialects.usage import NOTHING, UNKNOWN, TokenUsage
from ..entities import Caller, Model
from ..http.disconnect import CLIENT_CLOSED_REQUEST
from ..routing.affinity import key_of
from .exchange import Exchange


def finish(exchange: Exchange, status: int, code: str | None) -> None:
    """Complete the record of a request whose answer is out, or that has none, and write its row of the ledger.

    `code`: that of the router's own error.
    """
    record = exchange.record
    record.status, record.error = status, code
    record.reason = exchange.reason
    record.streamed = exchange.downstream.streamed
    record.usage, estimated = usage(exchange)
    record.stop()
    if exchange.dialect.billed:
        enter(exchange, estimated=estimated)


def usage(exchange: Exchange) -> tuple[TokenUsage, bool]:
    """Return the tokens of the answer, and whether they are an estimate.

    Estimated are a stream that does not report them, and what a report leaves open.
    """
    record, request, capture = exchange.record, exchange.request, exchange.downstream.capture
    if capture is None:
        if (
            request is not None
            and request.streamed
            and record.status == CLIENT_CLOSED_REQUEST
            and record.provider_calls
        ):
            # The client left before the first token: the prompt is all there was.
            return TokenUsage(prompt_tokens=request.prompt_tokens(), completion_tokens=0), True
        return UNKNOWN, False
    found = capture.usage()
    prompt, produced = found.prompt_tokens, found.completion_tokens
    reply = None if exchange.answer is None else exchange.answer.reply
    if (
        (prompt is not None and produced is not None)
        or request is None
        or reply is None
        or reply.status >= HTTPStatus.BAD_REQUEST
    ):
        return found, False
    if produced is None:
        # Usage was reported for an answer that is no stream, but cannot be read.
        produced = capture.estimated_output_tokens(whole=found.unexplained is not None)
        if produced is None:
            return found, False
        produced = max(produced, found.reasoning_tokens or 0)
    if prompt is None:
        prompt = request.prompt_tokens()
    return found._replace(prompt_tokens=prompt, completion_tokens=produced), True


def enter(exchange: Exchange, *, estimated: bool) -> None:
    """Add the request to the ledger, if a provider was called or money was reserved for it."""
    record, plan, caller, request = exchange.record, exchange.plan, exchange.caller, exchange.request
    model = record.served
    if model is None and exchange.reserved:
        # The client left before a provider was called: the row in the ledger releases the reservation.
        model = exchange.models[0]
    if plan is None or caller is None or request is None or model is None or exchange.failover is None:
        return
    billed = record.usage
    if record.status == CLIENT_CLOSED_REQUEST and exchange.answer is None and exchange.failover.settled:
        # Every provider that was called had failed already: none was working on an answer that has to be paid.
        billed, estimated = NOTHING, False
    exchange.services.ledger.add(
        Entry(
            record,
            caller,
            plan,
            model,
            usage=billed,
            usage_estimated=estimated,
            task=exchange.options.task,
            api=exchange.dialect.name,
            streamed=request.streamed,
            response=_kept_response(exchange, caller, model),
        )
    )


def _kept_response(exchange: Exchange, caller: Caller, model: Model) -> bytes | None:
    """Return the key in `router.responses` of an answer that its provider keeps, and remember the model; else None."""
    capture, request = exchange.downstream.capture, exchange.request
    if exchange.dialect.name != "responses" or exchange.record.status >= 400 or capture is None or request is None:
        return None
    name = None if request.body.get("store") is False else capture.response_id()
    if name is None:
        return None
    key = key_of(name)
    exchange.services.affinity.keep(caller.tenant_id, key, model.model_id)
    return key
