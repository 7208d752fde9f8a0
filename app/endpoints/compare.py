"""POST /v1/router/preferences/compare: several models' answers to the same prompt, side by side."""

from __future__ import annotations

import asyncio
import time
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

_JSON = ((b"content-type", b"application/json"),)


class Comparison(PromptIn):
    """A prompt and the models whose answers are wanted; `blind` keeps names apart from the answers, in `labels`."""

    models: list[str] = Field(min_length=2, max_length=8)
    max_tokens: Annotated[int, Field(ge=1, le=100_000, strict=True)] | None = None
    blind: bool = False


async def compare(request: Request) -> Response:
    """Ask several models the same; an error of one is that one's result, not the whole's."""
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
            # What an answer cost tells whose it is.
            answers.append({"label": label, **{name: result[name] for name in ("text", "finish_reason", "error")}})
        else:
            answers.append({"label": label, "model": models[i].name, **result})
    return answer({"object": "router.comparison", "prompt": prompt, "answers": answers, "labels": labels})


async def _prices(services: Services, caller: Caller) -> dict[str, Mapping[str, Any]]:
    """What the tenant pays, by model; nothing while the database is away: answers are worth having then too."""
    try:
        return {row["model"]: row for row in await prices(services.db, caller.tenant_id)}
    except DatabaseUnavailable:
        return {}


async def _ask(
    services: Services, caller: Caller, model: Model, question: dict[str, Any], price: Mapping[str, Any] | None
) -> dict[str, Any]:
    """One model's answer, or its error, written to the ledger either way: comparing costs money too."""
    started = time.perf_counter()
    entry = Entry(
        tenant_id=caller.tenant_id,
        decision_id=decision_id(),
        key_id=caller.key_id,
        policy_id=None,
        requested=model.name,
        task=None,
        reason="off",
        model_id=model.model_id,
        attempts=0,
        status=CLIENT_CLOSED_REQUEST,
    )
    result: dict[str, Any] = {"text": None, "finish_reason": None, "error": None}
    try:
        candidates.allowed(model, caller)
        if caller.metered:
            reading = CHAT.read(question)
            plan, prompt = Plan((model,), "off", reading=reading), prompt_tokens(reading)
            costs = reservation.costs(plan, prompt, hedged=False)
            await services.admission.admit(caller, entry.decision_id, reservation.tokens(plan, prompt), costs)
        body = orjson.dumps({"model": model.upstream_name, **question})
        entry.attempts = 1
        reply = await services.upstream.send(model.provider, CHAT.path, b"", _JSON, body)
        try:
            raw = await reply.read()
        finally:
            reply.close()
        entry.status = reply.status
        passed = AnswerCapture(streamed=False, encoding=None)
        passed.feed(raw)
        entry.usage = passed.usage()
        result |= _read(raw, reply.status)
    except RouterError as error:
        entry.status = error.status
        result["error"] = {"message": error.message, "status": error.status}
    finally:
        entry.duration_ms = (time.perf_counter() - started) * 1000
        services.ledger.add(entry)
    usage = entry.usage
    return {
        **result,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "cost_usd": _cost(price, usage),
        "latency_ms": round(entry.duration_ms, 1),
    }


def _read(raw: bytes, status: int) -> dict[str, Any]:
    """Text and finish reason of a chat completion, or the error that it is instead."""
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
