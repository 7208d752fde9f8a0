"""POST /v1/router/explain and GET /v1/router/decisions/{id}: a decision in full, before it is made and after."""

from __future__ import annotations

import contextlib
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.endpoints.requests import called, parsed
from app.errors import NotFound
from app.http.fields import Tag
from app.http.responses import answer
from app.memory.embedders import EmbeddingFailed
from app.memory.examples import PromptIn
from app.routing.options import RoutingOptions
from app.store import decisions
from app.store.reals import short

#: Of each candidate, as columns of `router.explain`; tokens are estimates, prices USD per million.
_OF_A_CANDIDATE = (
    "model", "score", "quality", "confidence", "labels", "support", "base_support", "n0", "prior", "tenant_mean",
    "tenant_labels", "task_mean", "task_labels", "cost_usd", "penalty", "prompt_tokens", "cached_tokens",
    "completion_tokens", "input_price", "cached_input_price", "output_price", "priced_on",
)  # fmt: skip
#: The ledger's arrays by candidate, and what an explanation calls the same.
_ARRAYS = {
    "candidates": "model", "score": "score", "quality": "quality", "confidences": "confidence", "prior": "prior",
    "cost_usd": "cost_usd", "penalty": "penalty", "prompt_estimate": "prompt_tokens",
    "cached_estimate": "cached_tokens", "completion_estimate": "completion_tokens", "input_price": "input_price",
    "cached_price": "cached_input_price", "output_price": "output_price",
}  # fmt: skip
#: The others of the ledger's numbers that are no integers have single precision.
_DOUBLE = frozenset({"alpha", "unit_usd", "spent_usd", "default_usd"})
#: Where Postgres did not decide, or does not know why it was not given an embedding.
_WHY = {
    "off": "routing is turned off: {} serves",
    "capability": "only {} is known to do what the request needs",
    "single_candidate": "{} is the only candidate",
    "embedding_failed": "the prompt could not be embedded: {} serves",
    "memory_unavailable": "Postgres did not answer in time: {} serves",
}


class Question(PromptIn):
    """A prompt whose routing is wanted without sending it anywhere."""

    model: str = "auto"
    task: Tag | None = None
    alpha: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] | None = None
    neighbours: Annotated[int, Field(ge=0, le=1000)] = 10


async def explain(request: Request) -> Response:
    """Who would serve a prompt and why: the ranking with its estimates, and the memories that speak for it."""
    services, caller = await called(request)
    wanted = await parsed(request, Question)
    policy = caller.policies.get(wanted.model)
    if policy is None:
        raise NotFound(f"There is no policy {wanted.model!r}.", param="model", code="model_not_found")
    catalog = await services.directory.catalog()
    text = wanted.text(granularity=policy.granularity)
    messages = wanted.messages or [{"role": "user", "content": text}]
    options = RoutingOptions(task=wanted.task, alpha=wanted.alpha)
    body = {"model": wanted.model, "messages": messages}
    plan = await services.router.plan(caller, body, options, catalog, explained=True)
    rows: list[Any] = []
    try:
        space = await services.spaces.of(caller)
        vector = await space.embedder.embed_one(text)
    except EmbeddingFailed:
        vector = None
    if vector is not None and wanted.neighbours:
        rows = await decisions.evidence(
            services.db, caller.tenant_id, policy.policy_id, space.space_id, vector, wanted.neighbours
        )
    said = plan.ranking and plan.reason == plan.ranking[0]["reason"]
    return answer(
        {
            "object": "router.explanation",
            "policy": policy.name,
            "model": plan.models[0].name,
            "reason": plan.reason,
            "why": plan.ranking[0]["why"] if said else _WHY[plan.reason].format(plan.models[0].name),
            "confidence": plan.confidence,
            "alpha": plan.ranking[0]["alpha"] if plan.ranking else None,
            "unit_usd": plan.ranking[0]["unit_usd"] if plan.ranking else None,
            "candidates": [{column: row[column] for column in _OF_A_CANDIDATE} for row in plan.ranking],
            "neighbours": [
                {
                    "memory_id": row["memory_id"],
                    "similarity": short(row["similarity"]),
                    "weight": short(row["weight"]),
                    "task": row["task"],
                    "source": row["source"],
                    "prompt": row["prompt"],
                    "scores": dict(zip(row["models"] or (), map(short, row["scores"] or ()), strict=True)),
                }
                for row in rows
            ],
        }
    )


async def one_decision(request: Request) -> Response:
    """A decision that was served, as it was made. Raises `NotFound` for one that is not this tenant's."""
    services, caller = await called(request)
    text = request.path_params["decision_id"]
    row = None
    with contextlib.suppress(ValueError):
        row = await decisions.decision(services.db, caller.tenant_id, UUID(text))
    if row is None:
        raise NotFound(f"There is no decision {text}.", param="decision_id")
    found = {name: value if name in _DOUBLE else _shortened(value) for name, value in row.items()}
    columns = {name: found.pop(column) for column, name in _ARRAYS.items()}
    found["candidates"] = [
        {name: None if values is None else values[position] for name, values in columns.items()}
        for position in range(len(columns["model"] or ()))
    ]
    for candidate in found["candidates"]:
        # The ledger keeps no zeros: a decision outside a conversation has neither.
        candidate["cached_tokens"] = candidate["cached_tokens"] or 0.0
        candidate["penalty"] = candidate["penalty"] or 0.0
    return answer({"object": "router.decision", "id": str(found.pop("decision_id")), **found})


def _shortened(value: Any) -> Any:
    if isinstance(value, list):
        return [_shortened(each) for each in value]
    return short(value) if isinstance(value, float) else value


routes = [
    Route("/v1/router/explain", explain, methods=["POST"]),
    Route("/v1/router/decisions/{decision_id}", one_decision),
]
