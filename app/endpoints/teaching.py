"""POST /v1/router/preferences/rank, and GET /v1/router/status: teach labels, and see how warm the memory is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.catalog import Catalog
from app.endpoints.requests import body_of, called
from app.entities import Caller
from app.errors import Conflict, DatabaseUnavailable
from app.http.responses import answer
from app.http.validation import parse_object, validated
from app.memory.embedders import EmbeddingFailed
from app.memory.examples import ExampleIn, ExamplesIn, examples_of
from app.services import Services
from app.store import memories


async def rank(request: Request) -> Response:
    """Teach one example or a batch; all of it or nothing."""
    services, caller = await called(request)
    body = parse_object(await body_of(request))
    batch = "examples" in body
    lessons = validated(ExamplesIn, body).examples if batch else [validated(ExampleIn, body)]
    catalog = await services.directory.catalog()
    try:
        recorded = await _teach(services, caller, lessons, catalog, batch=batch)
    except Conflict:
        # The tenant was given another space while this was under way.
        services.directory.invalidate()
        _, caller = await called(request)
        recorded = await _teach(services, caller, lessons, catalog, batch=batch)
    return answer(
        {
            "object": "router.memories",
            "taught": len(recorded),
            "created": sum(created for _, created in recorded),
            "overwritten": sum(not created for _, created in recorded),
            "memory_ids": [memory_id for memory_id, _ in recorded],
        }
    )


async def _teach(
    services: Services, caller: Caller, lessons: Sequence[ExampleIn], catalog: Catalog, *, batch: bool
) -> list[tuple[int, bool]]:
    try:
        space = await services.spaces.of(caller, wait=True)
        examples = await examples_of(lessons, catalog, space.embedder, batch=batch)
    except EmbeddingFailed as error:
        raise DatabaseUnavailable(f"Nothing was taught: the prompts could not be embedded: {error}.") from None
    return await memories.record(services.db, caller.tenant_id, space.space_id, caller.key_id, examples)


async def status(request: Request) -> Response:
    """How warm the tenant's policies are, and what to do next."""
    services, caller = await called(request)
    rows = await memories.status(services.db, caller.tenant_id, services.spaces.own.space_id)
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
                "unlabelled": row["unlabelled"],
                "missing": [],
            },
        )
        policy["missing"] += [missing for missing in row["missing"] if missing not in policy["missing"]]
        if row["task"] is not None:
            policy["tasks"][row["task"]] = row["task_memories"]
    return answer(
        {
            "object": "router.status",
            "tenant": caller.tenant,
            "memories": rows[0]["memories"] if rows else 0,
            "memories_of_other_embedders": rows[0]["other_spaces"] if rows else 0,
            "embedder": rows[0]["space"] if rows else services.spaces.name_of(caller),
            "building": _building(rows),
            "leans_on": rows[0]["base"] if rows else None,
            "policies": list(policies.values()),
        }
    )


def _building(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    if not rows or rows[0]["building"] is None:
        return None
    return {"embedder": rows[0]["building"], "memories": rows[0]["built"]}


routes = [
    Route("/v1/router/preferences/rank", rank, methods=["POST"]),
    Route("/v1/router/status", status),
]
