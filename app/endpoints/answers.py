"""One model's answer to a prompt, for a comparison."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import orjson
from pydantic import Field
from typing_extensions import TypedDict

from ..accounting import reservation
from ..accounting.ledger import Entry, decision_id
from ..dialects import CHAT
from ..dialects.answer_capture import AnswerCapture, is_parsed_soon
from ..dialects.model_request import ModelRequest
from ..dialects.prompt import prompt_tokens
from ..dialects.usage import TokenUsage
from ..entities import Caller, Model, cost_usd
from ..errors import RouterError
from ..http.disconnect import CLIENT_CLOSED_REQUEST
from ..routing import candidates
from ..routing.plan import Plan
from ..services import Services
from ..telemetry.request_record import RequestRecord
from ..upstream.attempt import Attempt

#: Bytes of an answer that are read.
LONGEST = 8 * 1024 * 1024
_JSON = ((b"content-type", b"application/json"),)


class AnswerError(TypedDict):
    """The error that a model returned in place of an answer."""

    message: str
    status: Annotated[int, Field(description="An HTTP status.")]


class Answer(TypedDict):
    """A model's answer, or its error, with tokens, cost and time."""

    text: str | None
    finish_reason: str | None
    error: AnswerError | None
    prompt_tokens: int | None
    completion_tokens: int | None
    cost_usd: Annotated[float | None, Field(description="null: tokens or prices are unknown.")]
    latency_ms: float


async def ask(
    services: Services, caller: Caller, model: Model, question: dict[str, Any], price: Mapping[str, Any] | None
) -> Answer:
    """Return one model's answer, or its error. Either is recorded in the ledger, as comparisons cost money too."""
    record = RequestRecord(status=CLIENT_CLOSED_REQUEST, requested=model.name, reason="off", decision_id=decision_id())
    plan = Plan((model,), "off")
    entry = Entry(record, caller, plan, model)
    text: str | None = None
    finish_reason: str | None = None
    error: AnswerError | None = None
    try:
        candidates.require_allowed(model, caller)
        if caller.metered:
            await _reserve(services, caller, plan, record, ModelRequest(CHAT, {"model": model.name, **question}))
        body = orjson.dumps({"model": model.upstream_name, **question})
        attempt = Attempt(model, "chosen", record.arrived)
        record.attempts = (attempt,)
        reply = await services.upstream.send(model.provider, CHAT.path, b"", _JSON, body)
        try:
            raw = await reply.read_within(LONGEST)
        finally:
            reply.close()
        record.status = reply.status
        attempt.end(str(reply.status))
        capture = AnswerCapture(streamed=False, encoding=None)
        capture.feed(raw)
        entry.usage = capture.usage()
        text, finish_reason, error = _parsed(raw, reply.status)
    except RouterError as caught:
        record.status = caught.status
        error = {"message": caught.message, "status": caught.status}
    finally:
        record.stop()
        services.ledger.add(entry)
    return {
        "text": text,
        "finish_reason": finish_reason,
        "error": error,
        "prompt_tokens": entry.usage.prompt_tokens,
        "completion_tokens": entry.usage.completion_tokens,
        "cost_usd": _cost(price, entry.usage),
        "latency_ms": round((record.duration or 0.0) * 1000, 1),
    }


async def _reserve(
    services: Services, caller: Caller, plan: Plan, record: RequestRecord, request: ModelRequest
) -> None:
    """Check the caller's limits and reserve the expected cost. Raises `RateLimited` or `BudgetSpent`."""
    assert record.decision_id is not None
    parsed = request.parsed
    prompt = prompt_tokens(parsed)
    costs = reservation.costs(plan, parsed, prompt, hedged=False)
    await services.admission.admit(caller, record.decision_id, reservation.tokens(plan, parsed, prompt), costs)


def _parsed(raw: bytes, status: int) -> tuple[str | None, str | None, AnswerError | None]:
    """Return text and finish reason of a chat completion, or the error."""
    if not is_parsed_soon(raw):
        return None, None, {"message": "The provider's response has too many values.", "status": status}
    try:
        body = orjson.loads(raw)
        if status < 400:
            choice = body["choices"][0]
            return choice["message"].get("content"), choice.get("finish_reason"), None
        message = body["error"]["message"]
    except (orjson.JSONDecodeError, LookupError, TypeError, AttributeError):
        message = "The provider's response is not a chat completion."
    return None, None, {"message": str(message), "status": status}


def _cost(price: Mapping[str, Any] | None, usage: TokenUsage) -> float | None:
    if price is None or usage.prompt_tokens is None or usage.completion_tokens is None:
        return None
    return cost_usd(
        price["input_price"],
        price["output_price"],
        usage.prompt_tokens,
        usage.completion_tokens,
        cached_tokens=usage.cached_tokens or 0,
        cached_input_price=price["cached_input_price"],
    )
