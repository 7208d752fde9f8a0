"""POST /v1/router/preferences/judge: scores that a model suggests for answers; nothing is taught."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from ..catalog import Catalog
from ..entities import Caller, Model
from ..errors import BadRequest, UpstreamUnavailable
from ..http.disconnect import until_disconnect
from ..http.fields import Text
from ..http.responses import answer
from ..memory.examples import PromptIn
from ..memory.judging import UnreadableJudgement, judgements, question, shuffled
from ..routing.candidates import may_use
from .answers import Asking
from .compare import prices_of
from .openapi.operation import DocumentedRoute, Operation
from .requests import authenticate, parse_body, text_rules


def _check_text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("the text contains a lone surrogate, which is no valid character") from None
    return text


_Label = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_check_text)]
_Answer = Annotated[str, AfterValidator(_check_text)]


class JudgeIn(PromptIn):
    """A prompt, and answers to it under labels that the judge does not see."""

    answers: dict[_Label, _Answer] = Field(min_length=1, max_length=8)
    model: str | None = Field(
        None, description="The model that judges; null: one that has not answered, if there is one."
    )
    answered_by: Annotated[list[str], Field(max_length=64)] = Field(
        default_factory=list, description="The models of the answers, in any order."
    )
    instructions: Annotated[Text, Field(max_length=4000)] | None = Field(
        None, description="What else makes an answer good, for the judge."
    )


class SuggestedScore(TypedDict):
    """The score that the judge suggests for an answer."""

    score: Annotated[float, Field(description="0 to 1.")]
    reason: str | None


class Judged(TypedDict):
    """The scores that a judge suggests, with what they cost."""

    object: Literal["router.judgement"]
    model: Annotated[str, Field(description="The judge.")]
    is_candidate: Annotated[
        bool | None, Field(description="Whether the judge is in `answered_by`, so that it may favour its own answer.")
    ]
    scores: Annotated[dict[str, SuggestedScore], Field(description="The suggestion for each label.")]
    prompt_tokens: int | None
    completion_tokens: int | None
    cost_usd: Annotated[float | None, Field(description="null: tokens or prices are unknown.")]
    latency_ms: float


class JudgeFailed(UpstreamUnavailable):
    """The judge gave no scores that can be read."""

    default_code = "judge_failed"


async def judge(request: Request) -> Response:
    """Ask a model to grade answers. Raises `JudgeFailed` if its reply has no usable scores; none is made up."""
    services, caller = await authenticate(request)
    given = await parse_body(request, JudgeIn)
    prompt = given.text(text_rules(services, caller))
    catalog = await services.directory.catalog()
    own = [catalog.resolve(name, f"answered_by[{i}]") for i, name in enumerate(given.answered_by)]
    model = _judge_of(caller, catalog, own) if given.model is None else catalog.resolve(given.model, "model")
    order = shuffled(list(given.answers))
    messages = question(prompt, [given.answers[label] for label in order], given.instructions)
    asking = Asking(services, caller, model, {"messages": messages})
    price_of = await prices_of(services, caller)
    await until_disconnect(request.receive, asking.run())
    reply = asking.answer(price_of.get(model.name))
    if reply["error"] is not None:
        raise JudgeFailed(f"The judge {model.name} answered with an error: {reply['error']['message']}")
    try:
        found = judgements(reply["text"] or "", len(order))
    except UnreadableJudgement as error:
        raise JudgeFailed(f"The reply of the judge {model.name} cannot be used: {error}.") from None
    scores: dict[str, SuggestedScore] = {
        label: {"score": score, "reason": reason} for label, (score, reason) in zip(order, found, strict=True)
    }
    judged: Judged = {
        "object": "router.judgement",
        "model": model.name,
        "is_candidate": model in own if own else None,
        "scores": {label: scores[label] for label in given.answers},
        "prompt_tokens": reply["prompt_tokens"],
        "completion_tokens": reply["completion_tokens"],
        "cost_usd": reply["cost_usd"],
        "latency_ms": reply["latency_ms"],
    }
    return answer(judged)


def _judge_of(caller: Caller, catalog: Catalog, own: Sequence[Model]) -> Model:
    """Return the model that judges: the dearest candidate of the policies, if possible none of `own`.

    Raises `BadRequest` if the key may use no candidate.
    """
    ids = {model_id for policy in caller.policies.values() for model_id in (policy.default_model, *policy.models)}
    known = [catalog.by_id[model_id] for model_id in ids if model_id in catalog.by_id]
    usable = [model for model in known if may_use(caller, model)]
    if not usable:
        raise BadRequest("This key may use no candidate of a policy: name the judge in `model`.", param="model")
    return min(usable, key=lambda model: (model in own, -(model.output_price or 0), model.name))


routes = [
    DocumentedRoute(
        "POST",
        "/v1/router/preferences/judge",
        judge,
        Operation(
            summary="Scores that a model suggests for answers to a prompt; nothing is taught.",
            tag="teaching",
            scope="ask",
            responses={200: Judged},
            errors=(402, 403, 429, 502, 504),
            body=JudgeIn,
        ),
    )
]
