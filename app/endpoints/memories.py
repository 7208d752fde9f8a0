"""GET and DELETE /v1/router/memories: see what was taught, search it, forget one or all."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.endpoints.requests import called
from app.errors import BadRequest, NotFound
from app.http.responses import answer
from app.store import memories
from app.store.reals import short

MOST = 1000
#: Of the largest bigint; int() refuses very long ones with an error of its own.
DIGITS = 19


async def list_memories(request: Request) -> Response:
    """Memories in order of their number: `?search=text&after=number&limit=1..1000`."""
    services, caller = await called(request)
    limit = _number(request, "limit", 100, 1, MOST)
    search = request.query_params.get("search") or None
    if search and "\0" in search:
        raise BadRequest("The text holds a NUL character.", param="search")
    rows = await memories.recall(
        services.db, caller.tenant_id, search=search, after=_number(request, "after", 0, 0, 2**63 - 1), limit=limit
    )
    data = [
        {
            "id": row["memory_id"],
            "prompt": row["prompt"],
            "task": row["task"],
            "source": row["source"],
            "scores": {
                model: short(score)
                for model, score in zip(row["models"] or (), row["scores"] or (), strict=True)
                if score is not None
            },
            "taught_at": row["taught_at"],
            "embedder": row["space"],
        }
        for row in rows
    ]
    return answer({"object": "list", "data": data, "has_more": len(data) == limit})


async def forget_memory(request: Request) -> Response:
    """Forget one. Raises `NotFound` for one that is not this tenant's."""
    services, caller = await called(request)
    text = request.path_params["memory_id"]
    forgotten = 0
    if len(text) <= DIGITS and text.isdecimal() and int(text) < 2**63:
        forgotten = await memories.forget(services.db, caller.tenant_id, [int(text)])
    if not forgotten:
        raise NotFound(f"There is no memory {text}.", param="memory_id")
    return answer({"object": "router.forgotten", "forgotten": forgotten})


async def forget_memories(request: Request) -> Response:
    """Forget all; `?all=true` says that it is meant."""
    services, caller = await called(request)
    if request.query_params.get("all") != "true":
        raise BadRequest("To forget every memory of the tenant add ?all=true.", param="all")
    return answer(
        {"object": "router.forgotten", "forgotten": await memories.forget(services.db, caller.tenant_id, None)}
    )


def _number(request: Request, name: str, default: int, low: int, high: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    if len(text) > DIGITS or not text.isdecimal() or not low <= int(text) <= high:
        raise BadRequest(f"{name} is a whole number from {low} to {high}.", param=name)
    return int(text)


routes = [
    Route("/v1/router/memories", list_memories),
    Route("/v1/router/memories", forget_memories, methods=["DELETE"]),
    Route("/v1/router/memories/{memory_id}", forget_memory, methods=["DELETE"]),
]
