"""POST /v1/router/explain: the decision for a prompt, with its estimates and the memories behind them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from ..dialects import CHAT
from ..dialects.model_request import ModelRequest
from ..http.fields import Tag
from ..http.responses import answer
from ..memory.embedders import EmbeddingFailed
from ..memory.examples import PromptIn
from ..routing.options import RoutingOptions
from ..store import decisions as stored_decisions
from ..store.reals import short
from .calls import counted
from .openapi.operation import DocumentedRoute, Operation
from .requests import authenticate, parse_body, policy_of, text_rules
from .responses import select


class Question(PromptIn):
    """A prompt to be routed without sending it to a model."""

    model: str = Field("auto", description="The policy.")
    fields: dict[str, Any] = Field(
        default_factory=dict,
        description="Further fields of a chat request that the decision depends on, such as tools or response_format.",
    )
    task: Tag | None = Field(None, description="The task tag, as in X-Router-Task.")
    alpha: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] | None = Field(
        None, description="The price of cost in quality; null: the policy's."
    )
    k: Annotated[int, Field(ge=1, le=1000, strict=True)] | None = Field(
        None, description="Neighbours consulted; null: the policy's."
    )
    tau: Annotated[float, Field(ge=1e-4, allow_inf_nan=False)] | None = Field(
        None, description="The width of the kernel; null: the policy's."
    )
    neighbours: int = Field(10, ge=0, le=1000, description="The largest number of memories returned.")


class ExplainedCandidate(TypedDict):
    """A candidate with every number of its score; null: the decision did not need it.

    quality = (1 - share) * (prior + ease + own) + share * (prior + borrowed), where own = (sum of weight * (score -
    prior - ease) over the neighbours with a score of this model) / (support + n0); borrowed null counts as 0;
    confidence = support / (support + n0); score = quality - alpha * cost_usd / unit_usd - penalty.
    """

    model: str
    score: float | None
    quality: Annotated[float | None, Field(description="The estimated quality, 0 to 1, or slightly beyond.")]
    confidence: Annotated[
        float | None,
        Field(description="How much the neighbours' scores of this model weigh against the prior, 0 to 1."),
    ]
    labels: Annotated[int | None, Field(description="The number of neighbours with a score of this model.")]
    support: Annotated[float | None, Field(description="The sum of the neighbours' weights.")]
    base_support: Annotated[float | None, Field(description="The part of `support` from a shared memory.")]
    n0: Annotated[float | None, Field(description="The weight of the prior.")]
    prior: Annotated[float | None, Field(description="The task's mean, shrunk to `mean`; without a task: `mean`.")]
    mean: Annotated[
        float | None, Field(description="The mean of the model's scores, shrunk to the mean of all candidates.")
    ]
    ease: Annotated[
        float | None,
        Field(description="How much easier than average the prompt is, by the neighbours' scores of all candidates."),
    ]
    borrowed: Annotated[
        float | None,
        Field(description="What the neighbours' scores of all candidates say of this one; null: no matrix is fitted."),
    ]
    share: Annotated[float | None, Field(description="The share of the estimate that `borrowed` decides, 0 to 1.")]
    tenant_mean: float | None
    tenant_labels: int | None
    task_mean: float | None
    task_labels: int | None
    cost_usd: Annotated[float | None, Field(description="The expected cost of the request.")]
    penalty: Annotated[float | None, Field(description="The loss for not being the conversation's current model.")]
    prompt_tokens: Annotated[float | None, Field(description="An estimate.")]
    cached_tokens: Annotated[float | None, Field(description="An estimate.")]
    completion_tokens: Annotated[float | None, Field(description="An estimate.")]
    input_price: Annotated[float | None, Field(description="USD per million tokens.")]
    cached_input_price: Annotated[float | None, Field(description="USD per million tokens.")]
    output_price: Annotated[float | None, Field(description="USD per million tokens.")]
    priced_on: Annotated[date | None, Field(description="The day that the prices are from.")]


class Neighbour(TypedDict):
    """A memory near the prompt."""

    memory_id: int
    similarity: Annotated[float, Field(description="The cosine similarity to the prompt.")]
    weight: Annotated[float, Field(description="exp((similarity - 1) / tau).")]
    task: str | None
    source: str | None
    prompt: Annotated[str | None, Field(description="null: the tenant does not store prompts.")]
    scores: Annotated[dict[str, float], Field(description="The quality of each model's answer, 0 to 1.")]
    effects: Annotated[
        dict[str, float],
        Field(
            description="By how much its scores move the quality of each candidate. Over all k neighbours they add up "
            "to quality - prior, unless a shared memory contributes."
        ),
    ]


class Explanation(TypedDict):
    """The decision for a prompt, with every number behind it."""

    object: Literal["router.explanation"]
    policy: str
    text: Annotated[str, Field(description="The text that was embedded: the prompt, without what agents add to it.")]
    model: Annotated[str, Field(description="The model that would serve.")]
    reason: Annotated[str, Field(description="As in the header x-router-reason.")]
    why: Annotated[str, Field(description="The reason as a sentence.")]
    confidence: float | None
    alpha: Annotated[float | None, Field(description="The price of cost in quality.")]
    unit_usd: Annotated[float | None, Field(description="What the dearest candidate costs for an average prompt.")]
    k: Annotated[int | None, Field(description="The largest number of neighbours consulted.")]
    tau: Annotated[float | None, Field(description="The width of the kernel.")]
    guessed: Annotated[
        bool | None, Field(description="Whether the task is guessed from the neighbours, for the priors.")
    ]
    candidates: Annotated[list[ExplainedCandidate], Field(description="Best first; empty: nothing was ranked.")]
    neighbours: Annotated[list[Neighbour], Field(description="The memories nearest to the prompt, nearest first.")]


async def explain(request: Request) -> Response:
    """Return which model would serve a prompt and why: the ranking with its estimates, and the nearest memories."""
    services, caller = await authenticate(request)
    question = await parse_body(request, Question)
    policy = policy_of(caller, question.model, "model")
    catalog = await services.directory.catalog()
    text = question.text(text_rules(services, caller), policy.name)
    messages = question.messages or [{"role": "user", "content": (question.prompt or "").strip()}]
    dials = stored_decisions.Dials(question.k, question.tau)
    options = RoutingOptions(task=question.task, alpha=question.alpha)
    wanted = ModelRequest(CHAT, {**question.fields, "model": question.model, "messages": messages})
    neighbours: list[Any] = []
    async with counted(services, caller):
        plan = await services.router.plan(wanted, caller, catalog, options, explained=dials)
        try:
            space = await services.spaces.of(caller)
            paid = services.embedding_costs.payer(caller, space.embedder)
            vector = await space.embedder.embed_one(text, paid)
        except EmbeddingFailed:
            vector = None
        if vector is not None and question.neighbours:
            neighbours = await stored_decisions.evidence(
                services.db.background,
                caller.tenant_id,
                policy.policy_id,
                space.space_id,
                vector,
                question.neighbours,
                dials,
                task=question.task,
            )
    # What all candidates have in common.
    first: Mapping[str, Any] = plan.ranking[0] if plan.ranking else {}
    found: Explanation = {
        "object": "router.explanation",
        "policy": policy.name,
        "text": text,
        "model": plan.models[0].name,
        "reason": plan.reason,
        "why": plan.why,
        "confidence": plan.confidence,
        "alpha": first.get("alpha"),
        "unit_usd": first.get("unit_usd"),
        "k": first.get("k"),
        "tau": first.get("tau"),
        "guessed": first.get("guessed"),
        "candidates": [select(ExplainedCandidate, row) for row in plan.ranking],
        "neighbours": [_neighbour(row) for row in neighbours],
    }
    return answer(found)


def _neighbour(row: Mapping[str, Any]) -> Neighbour:
    return select(
        Neighbour,
        row,
        similarity=short(row["similarity"]),
        weight=short(row["weight"]),
        scores=dict(zip(row["models"] or (), map(short, row["scores"] or ()), strict=True)),
        effects=stored_decisions.effects(row),
    )


routes = [
    DocumentedRoute(
        "POST",
        "/v1/router/explain",
        explain,
        Operation(
            summary="Which model would serve a prompt, and why; the prompt is not sent to any model.",
            tag="decisions",
            scope="teach",
            responses={200: Explanation},
            errors=(404, 429),
            body=Question,
        ),
    )
]
