"""POST /v1/router/preferences/rank and /compare: teach labels, and get the answers to judge side by side."""

from __future__ import annotations

import asyncio
import os
import time
from hashlib import blake2b
from typing import Annotated, Any

import openai
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.embedder import EmbeddingFailed
from app.endpoints.http import answer, called, parsed, read_body
from app.errors import BadRequest, MemoryUnavailable, UpstreamUnavailable
from app.ledger import Entry, decision_id
from app.services import services_of
from app.store import memory
from app.store.tenancy import Caller, Model
from app.teaching import Lesson, Lessons, Prompted, examples_of
from app.usage import Usage
from app.validation import parse_object, validated


async def rank(request: Request) -> Response:
    """Teach one example or a batch; all of it or nothing."""
    services, caller = await called(request)
    raw = await read_body(request.receive, dict(request.scope["headers"]), services.settings.max_body)
    body = parse_object(raw)
    batch = "examples" in body
    lessons = validated(Lessons, body).examples if batch else [validated(Lesson, body)]
    catalogue = await services.directory.catalogue()
    try:
        examples = await examples_of(lessons, catalogue, services.embedder, batch=batch)
    except EmbeddingFailed as error:
        raise MemoryUnavailable(f"Nothing was taught: the prompts could not be embedded: {error}.") from None
    recorded = await memory.record(services.db, caller.tenant_id, services.space_id, caller.key_id, examples)
    return answer(
        {
            "object": "router.memories",
            "taught": len(recorded),
            "created": sum(created for _, created in recorded),
            "overwritten": sum(not created for _, created in recorded),
            "memory_ids": [memory_id for memory_id, _ in recorded],
        }
    )


class Comparison(Prompted):
    """A prompt and the models whose answers are wanted; `blind` hides the names behind labels in a stable order."""

    models: list[str] = Field(min_length=2, max_length=8)
    max_tokens: Annotated[int, Field(ge=1, le=100_000, strict=True)] | None = None
    blind: bool = False


async def compare(request: Request) -> Response:
    """Ask several models the same; an error of one is that one's result, not the whole's."""
    services, caller = await called(request)
    wanted = await parsed(request, Comparison)
    prompt = wanted.text()
    catalogue = await services.directory.catalogue()
    models = [catalogue.taught(name, f"models[{i}]") for i, name in enumerate(wanted.models)]
    if len({model.model_id for model in models}) < len(models):
        raise BadRequest("Each model once.", param="models")
    messages = wanted.messages or [{"role": "user", "content": prompt}]
    results = await asyncio.gather(*(_ask(model, messages, wanted.max_tokens) for model in models))
    for model, result in zip(models, results, strict=True):
        services.ledger.add(_entry(caller, model, result))
    if wanted.blind:
        order = sorted(range(len(models)), key=lambda i: _shuffle(prompt, models[i].name))
    else:
        order = list(range(len(models)))
    labels = {chr(ord("A") + place): models[i].name for place, i in enumerate(order)}
    answers = []
    for label, i in zip(labels, order, strict=True):
        named = {} if wanted.blind else {"model": models[i].name}
        answers.append({"label": label, **named, **results[i]})
    return answer({"object": "router.comparison", "prompt": prompt, "answers": answers, "labels": labels})


async def _ask(model: Model, messages: list[dict[str, Any]], max_tokens: int | None) -> dict[str, Any]:
    key = os.environ.get(model.key_variable) if model.key_variable else None
    started = time.perf_counter()
    async with openai.AsyncOpenAI(base_url=model.base_url, api_key=key or "none", max_retries=1) as client:
        try:
            completion = await client.chat.completions.create(
                model=model.upstream_name,
                messages=messages,  # type: ignore[arg-type]
                max_tokens=openai.omit if max_tokens is None else max_tokens,
            )
        except openai.OpenAIError as error:
            return {
                "text": None,
                "latency_ms": _since(started),
                "error": {"message": str(error), "status": getattr(error, "status_code", None)},
            }
    usage = completion.usage
    choice = completion.choices[0] if completion.choices else None
    return {
        "text": choice.message.content if choice else None,
        "finish_reason": choice.finish_reason if choice else None,
        "prompt_tokens": usage.prompt_tokens if usage else None,
        "completion_tokens": usage.completion_tokens if usage else None,
        "cost_usd": _cost(model, usage.prompt_tokens, usage.completion_tokens) if usage else None,
        "latency_ms": _since(started),
        "error": None,
    }


def _cost(model: Model, prompt_tokens: int, completion_tokens: int) -> float | None:
    if model.input_price is None or model.output_price is None:
        return None
    return (prompt_tokens * model.input_price + completion_tokens * model.output_price) / 1e6


def _entry(caller: Caller, model: Model, result: dict[str, Any]) -> Entry:
    """The ledger's entry for one answer: comparing costs money too."""
    error = result["error"]
    return Entry(
        tenant_id=caller.tenant_id,
        decision_id=decision_id(),
        key_id=caller.key_id,
        policy_id=None,
        requested=model.name,
        task=None,
        reason="off",
        model_id=model.model_id,
        status=200 if error is None else error["status"] or UpstreamUnavailable.status,
        duration_ms=result["latency_ms"],
        usage=Usage(result.get("prompt_tokens"), None, result.get("completion_tokens")),
    )


def _since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 1)


def _shuffle(prompt: str, model: str) -> bytes:
    return blake2b(f"{prompt}\0{model}".encode("utf-8", "surrogatepass"), digest_size=8).digest()


async def status(request: Request) -> Response:
    """How warm the tenant's policies are, and what to do next."""
    services, caller = await called(request)
    rows = await memory.status(services.db, caller.tenant_id, services.space_id)
    policies: dict[str, dict[str, Any]] = {}
    for row in rows:
        policy = policies.setdefault(
            row["policy"],
            {
                "policy": row["policy"],
                "backend": row["backend"],
                "default_model": row["default_model"],
                "models": row["models"],
                "memories": row["memories"],
                "seed_count": row["seed_count"],
                "needed": row["needed"],
                "ready": row["ready"],
                "graduated": row["graduated"],
                "tasks": {},
                "next_step": row["next_step"],
            },
        )
        if row["task"] is not None:
            policy["tasks"][row["task"]] = row["task_memories"]
    return answer(
        {
            "object": "router.status",
            "tenant": caller.tenant,
            "memories": rows[0]["memories"] if rows else 0,
            "memories_of_other_embedders": rows[0]["other_spaces"] if rows else 0,
            "embedder": services_of(request.scope).embedder.space,
            "policies": list(policies.values()),
        }
    )


routes = [
    Route("/v1/router/preferences/rank", rank, methods=["POST"]),
    Route("/v1/router/preferences/compare", compare, methods=["POST"]),
    Route("/v1/router/status", status),
]
