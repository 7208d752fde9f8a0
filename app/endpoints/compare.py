"""POST /v1/router/preferences/compare: several models' answers to the same prompt, side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from hashlib import blake2b
from typing import Annotated, Any

import orjson
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.accounting import reservation
from app.accounting.ledger import Entry, decision_id
from app.dialects import CHAT
from app.dialects.answer_capture import AnswerCapture
from app.dialects.model_request import ModelRequest
from app.dialects.prompt import prompt_tokens
from app.dialects.usage import TokenUsage
from app.endpoints.requests import called, parsed
from app.entities import Caller, Model, cost_usd
from app.errors import BadRequest, DatabaseUnavailable, RouterError
from app.http.disconnect import CLIENT_CLOSED_REQUEST, until_disconnect
from app.http.responses import answer
from app.memory.examples import PromptIn
from app.routing import candidates
from app.routing.plan import Plan
from app.services import Services
from app.store.prices import prices
from app.telemetry.request_record import RequestRecord
from app.upstream.attempt import Attempt

_JSON = ((b"content-type", b"application/json"),)


class Comparison(PromptIn):
    """A prompt and the models that answer it; `blind`: only `labels` tells which answer is whose."""

    models: list[str] = Field(min_length=2, max_length=8)
    max_tokens: Annotated[int, Field(ge=1, le=100_000, strict=True)] | None = None
    blind: bool = False


async def compare(request: Request) -> Response:
    """Send a prompt to several models; an error of one is that model's result and does not fail the call."""
    services, caller = await called(request)
    wanted = await parsed(request, Comparison)
    prompt = wanted.text()
    catalog = await services.directory.catalog()
    models = [catalog.resolve(name, f"models[{i}]") for i, name in enumerate(wanted.models)]
    if len({model.model_id for model in models}) < len(models):
        raise BadRequest("Each model once.", param="models")
    question: dict[str, Any] = {"messages": wanted.messages or [{"role": "user", "content": prompt}]}
    if wanted.max_tokens is not None:
        question["max_tokens"] = wanted.max_tokens
    paid = await _prices(services, caller)
    results = await until_disconnect(
        request.receive,
        asyncio.gather(*(_ask(services, caller, model, question, paid.get(model.name)) for model in models)),
    )
    if wanted.blind:
        order = sorted(range(len(models)), key=lambda i: _shuffle(prompt, models[i].name))
    else:
        order = list(range(len(models)))
    labels = {chr(ord("A") + place): models[i].name for place, i in enumerate(order)}
    answers = []
    for label, i in zip(labels, order, strict=True):
        result = results[i]
        if wanted.blind:
            # Cost and latency would give the model away.
            answers.append({"label": label, **{name: result[name] for name in ("text", "finish_reason", "error")}})
        else:
            answers.append({"label": label, "model": models[i].name, **result})
    return answer({"object": "router.comparison", "prompt": prompt, "answers": answers, "labels": labels})


async def _prices(services: Services, caller: Caller) -> dict[str, Mapping[str, Any]]:
    """Return the tenant's prices by model; none while the database is unavailable, because answers need no prices."""
    try:
        return {row["model"]: row for row in await prices(services.db, caller.tenant_id)}
    except DatabaseUnavailable:
        return {}


async def _ask(
    services: Services, caller: Caller, model: Model, question: dict[str, Any], price: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return one model's answer or its error. Either goes into the ledger, because comparing costs money too."""
    record = RequestRecord(status=CLIENT_CLOSED_REQUEST, requested=model.name, reason="off", decision_id=decision_id())
    plan = Plan((model,), "off")
    entry = Entry(record, caller, plan, model)
    result: dict[str, Any] = {"text": None, "finish_reason": None, "error": None}
    try:
        candidates.require_allowed(model, caller)
        if caller.metered:
            await _reserve(services, caller, plan, record, ModelRequest(CHAT, {"model": model.name, **question}))
        body = orjson.dumps({"model": model.upstream_name, **question})
        attempt = Attempt(model, "chosen", record.arrived)
        record.attempts = (attempt,)
        reply = await services.upstream.send(model.provider, CHAT.path, b"", _JSON, body)
        try:
            raw = await reply.read()
        finally:
            reply.close()
        record.status = reply.status
        attempt.end(str(reply.status))
        capture = AnswerCapture(streamed=False, encoding=None)
        capture.feed(raw)
        entry.usage = capture.usage()
        result |= _read(raw, reply.status)
    except RouterError as error:
        record.status = error.status
        result["error"] = {"message": error.message, "status": error.status}
    finally:
        record.stop()
        services.ledger.add(entry)
    usage = entry.usage
    return {
        **result,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "cost_usd": _cost(price, usage),
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


def _read(raw: bytes, status: int) -> dict[str, Any]:
    """Return text and finish reason of a chat completion, or the error that it holds instead."""
    try:
        body = orjson.loads(raw)
        if status < 400:
            choice = body["choices"][0]
            return {"text": choice["message"].get("content"), "finish_reason": choice.get("finish_reason")}
        message = body["error"]["message"]
    except (orjson.JSONDecodeError, LookupError, TypeError, AttributeError):
        message = "The provider's answer is no chat completion."
    return {"error": {"message": str(message), "status": status}}


def _cost(price: Mapping[str, Any] | None, usage: TokenUsage) -> float | None:
    """Return the cost in USD as the ledger computes it; None if it is unknown."""
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


def _shuffle(prompt: str, model: str) -> bytes:
    return blake2b(f"{prompt}\0{model}".encode("utf-8", "surrogatepass"), digest_size=8).digest()


routes = [Route("/v1/router/preferences/compare", compare, methods=["POST"])]
