"""POST /v1/router/preferences/compare: several models' answers to the same prompt, side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from hashlib import blake2b
from typing import Annotated, Any, Literal

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from ..entities import Caller
from ..errors import BadRequest, DatabaseUnavailable
from ..http.disconnect import until_disconnect
from ..http.pieces import EVENTS, PiecesResponse
from ..http.responses import answer
from ..memory.examples import PromptIn
from ..services import Services
from ..store.prices import prices
from .answers import Answer, AnswerError, OnText, ask
from .comparison_events import events_of
from .openapi.operation import JSON, DocumentedRoute, Operation
from .requests import authenticate, parse_body, text_rules


class Comparison(PromptIn):
    """A prompt, and the models that are to answer it."""

    models: list[str] = Field(min_length=2, max_length=8)
    max_tokens: Annotated[int, Field(ge=1, le=100_000, strict=True)] | None = None
    blind: bool = Field(False, description="Shuffle the answers and leave out what identifies the model of each.")
    stream: bool = Field(False, description="Return server-sent events: each answer as it comes.")


class BlindAnswer(TypedDict):
    """An answer without anything that identifies its model."""

    label: Annotated[str, Field(description="A, B, …; `labels` has the model of each.")]
    text: str | None
    finish_reason: str | None
    error: AnswerError | None


class NamedAnswer(Answer):
    """An answer with its model."""

    label: Annotated[str, Field(description="A, B, …")]
    model: str


class Compared(TypedDict):
    """The answers side by side."""

    object: Literal["router.comparison"]
    prompt: str
    answers: list[NamedAnswer] | list[BlindAnswer]
    labels: Annotated[dict[str, str], Field(description="The model of each label.")]


async def compare(request: Request) -> Response:
    """Send the same prompt to several models; an error of one model is the result of that model alone."""
    services, caller = await authenticate(request)
    comparison = await parse_body(request, Comparison)
    prompt = comparison.text(text_rules(services, caller))
    catalog = await services.directory.catalog()
    models = [catalog.resolve(name, f"models[{i}]") for i, name in enumerate(comparison.models)]
    if len({model.model_id for model in models}) < len(models):
        raise BadRequest("models: the same model is given twice.", param="models")
    question: dict[str, Any] = {
        "messages": comparison.messages or [{"role": "user", "content": (comparison.prompt or "").strip()}]
    }
    if comparison.max_tokens is not None:
        question["max_tokens"] = comparison.max_tokens
    price_of = await prices_of(services, caller)
    if comparison.blind:
        models.sort(key=lambda model: _shuffle(prompt, model.name))
    labels = {chr(ord("A") + place): model for place, model in enumerate(models)}

    def asked(label: str, on_text: OnText | None = None) -> Coroutine[Any, Any, Answer]:
        return ask(services, caller, labels[label], question, price_of.get(labels[label].name), on_text)

    names = {label: model.name for label, model in labels.items()}
    if comparison.stream:
        return PiecesResponse(events_of(prompt, names, asked, blind=comparison.blind), EVENTS)
    found = await until_disconnect(request.receive, asyncio.gather(*map(asked, labels)))
    labelled = zip(labels, found, strict=True)
    compared: Compared = {
        "object": "router.comparison",
        "prompt": prompt,
        "answers": [_blind(label, each) for label, each in labelled]
        if comparison.blind
        else [_named(label, names[label], each) for label, each in labelled],
        "labels": names,
    }
    return answer(compared)


async def prices_of(services: Services, caller: Caller) -> dict[str, Mapping[str, Any]]:
    """Return the tenant's prices by model; without the database none, as the answers are useful without their cost."""
    try:
        return {row["model"]: row for row in await prices(services.db.background, caller.tenant_id)}
    except DatabaseUnavailable:
        return {}


def _named(label: str, model: str, given: Answer) -> NamedAnswer:
    return {"label": label, "model": model, **given}


def _blind(label: str, given: Answer) -> BlindAnswer:
    # The cost of an answer identifies its model.
    return {
        "label": label,
        "text": given["text"],
        "finish_reason": given["finish_reason"],
        "error": given["error"],
    }


def _shuffle(prompt: str, model: str) -> bytes:
    return blake2b(f"{prompt}\0{model}".encode("utf-8", "surrogatepass"), digest_size=8).digest()


routes = [
    DocumentedRoute(
        "POST",
        "/v1/router/preferences/compare",
        compare,
        Operation(
            summary="Several models' answers to the same prompt, side by side.",
            tag="teaching",
            scope="ask",
            responses={200: {JSON: Compared, EVENTS: {"type": "string"}}},
            body=Comparison,
        ),
    )
]
