"""POST /v1/router/explain and GET /v1/router/decisions/{id}: a decision in full, before it is made and after."""

from __future__ import annotations

import contextlib
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.embedder import EmbeddingFailed
from app.endpoints.http import answer, called, parsed
from app.errors import NotFound
from app.router import Options
from app.store import routing
from app.teaching import Prompted, Tag


class Question(Prompted):
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
    catalogue = await services.directory.catalogue()
    text = wanted.text(granularity=policy.granularity)
    messages = wanted.messages or [{"role": "user", "content": text}]
    options = Options(task=wanted.task, alpha=wanted.alpha)
    plan = await services.router.plan(caller, {"model": wanted.model, "messages": messages}, options, catalogue)
    rows: list[Any] = []
    try:
        space = await services.spaces.of(caller)
        vector = await space.embedder.embed_one(text)
    except EmbeddingFailed:
        vector = None
    if vector is not None and wanted.neighbours:
        rows = await routing.explain(
            services.db, caller.tenant_id, policy.policy_id, space.space_id, vector, wanted.neighbours
        )
    return answer(
        {
            "object": "router.explanation",
            "policy": policy.name,
            "model": plan.models[0].name,
            "reason": plan.reason,
            "confidence": plan.confidence,
            "candidates": [
                {
                    "model": catalogue.by_id[row["model_id"]].name,
                    "quality": row["quality"],
                    "cost_usd": row["cost_usd"],
                    "score": row["score"],
                    "labels": row["labels"],
                    "confidence": row["confidence"],
                }
                for row in plan.ranking
                if row["model_id"] in catalogue.by_id
            ],
            "neighbours": [
                {
                    "memory_id": row["memory_id"],
                    "similarity": row["similarity"],
                    "weight": row["weight"],
                    "task": row["task"],
                    "source": row["source"],
                    "prompt": row["prompt"],
                    "scores": dict(zip(row["models"] or (), row["scores"] or (), strict=True)),
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
        row = await routing.decision(services.db, caller.tenant_id, UUID(text))
    if row is None:
        raise NotFound(f"There is no decision {text}.", param="decision_id")
    found = dict(row)
    estimates = [found.pop(column) or () for column in ("candidates", "quality", "cost_usd", "score")]
    found["candidates"] = [
        {"model": model, "quality": quality, "cost_usd": cost, "score": score}
        for model, quality, cost, score in zip(*estimates, strict=True)
    ]
    return answer({"object": "router.decision", "id": str(found.pop("decision_id")), **found})


routes = [
    Route("/v1/router/explain", explain, methods=["POST"]),
    Route("/v1/router/decisions/{decision_id}", one_decision),
]
