"""GET and DELETE /v1/router/memories: list, search and delete what was taught."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from ..errors import BadRequest, NotFound
from ..http.responses import answer
from ..store import memories as stored_memories
from ..store.reals import short
from .calls import counted
from .openapi.operation import DocumentedRoute, Operation, parameter
from .requests import DIGITS, authenticate, parse_query

_BIGINT = 2**63 - 1


class MemoryQuery(BaseModel):
    """The query string of the list."""

    search: str | None = Field(None, description="A text that the prompt contains.")
    after: Annotated[int, Field(ge=0, le=_BIGINT), DIGITS] = Field(0, description="The id of the last memory seen.")
    limit: Annotated[int, Field(ge=1, le=1000), DIGITS] = Field(
        100, description="The largest number of memories returned."
    )


class Memory(TypedDict):
    """A prompt with the scores of models' answers to it."""

    id: int
    prompt: Annotated[str | None, Field(description="null: the tenant does not store prompts.")]
    task: str | None
    source: str
    scores: Annotated[dict[str, float], Field(description="The quality of each model's answer, 0 to 1.")]
    taught_at: datetime
    embedder: Annotated[str, Field(description="The embedding space of the memory.")]


class MemoryPage(TypedDict):
    """A page of memories, in ascending order of `id`."""

    object: Literal["list"]
    data: list[Memory]
    has_more: Annotated[bool, Field(description="Whether the next page may have memories.")]


class Forgotten(TypedDict):
    """The result of a deletion."""

    object: Literal["router.forgotten"]
    forgotten: Annotated[int, Field(description="The number of memories deleted.")]


async def list_memories(request: Request) -> Response:
    """Return a page of memories, in ascending order of their ids."""
    services, caller = await authenticate(request)
    query = parse_query(request, MemoryQuery)
    if query.search and "\0" in query.search:
        raise BadRequest("search: the text contains a NUL character.", param="search")
    db, search = services.db.background, query.search or None
    async with counted(services, caller):
        rows = await stored_memories.recall(db, caller.tenant_id, search=search, after=query.after, limit=query.limit)
    page: MemoryPage = {
        "object": "list",
        "data": [_memory(row) for row in rows],
        "has_more": len(rows) == query.limit,
    }
    return answer(page)


def _memory(row: Mapping[str, Any]) -> Memory:
    scores = zip(row["models"] or (), row["scores"] or (), strict=True)
    return {
        "id": row["memory_id"],
        "prompt": row["prompt"],
        "task": row["task"],
        "source": row["source"],
        "scores": {model: short(score) for model, score in scores if score is not None},
        "taught_at": row["taught_at"],
        "embedder": row["space"],
    }


async def delete_memory(request: Request) -> Response:
    """Delete one memory. Raises `NotFound` if this tenant has none of that id."""
    services, caller = await authenticate(request)
    text = request.path_params["memory_id"]
    forgotten = 0
    if len(text) <= len(str(_BIGINT)) and text.isdecimal() and int(text) <= _BIGINT:
        async with counted(services, caller):
            forgotten = await stored_memories.forget(services.db.background, caller.tenant_id, [int(text)])
    if not forgotten:
        raise NotFound(f"There is no memory {text}.", param="memory_id")
    return answer(_forgotten(forgotten))


async def delete_memories(request: Request) -> Response:
    """Delete all memories, if `?all=true` confirms it."""
    services, caller = await authenticate(request)
    if request.query_params.get("all") != "true":
        raise BadRequest("This deletes every memory of the tenant: confirm it with ?all=true.", param="all")
    async with counted(services, caller):
        forgotten = await stored_memories.forget(services.db.background, caller.tenant_id, None)
    return answer(_forgotten(forgotten))


def _forgotten(count: int) -> Forgotten:
    return {"object": "router.forgotten", "forgotten": count}


routes = [
    DocumentedRoute(
        "GET",
        "/v1/router/memories",
        list_memories,
        Operation(
            summary="The memories, in ascending order of their ids.",
            tag="teaching",
            scope="teach",
            responses={200: MemoryPage},
            errors=(429,),
            query=MemoryQuery,
        ),
    ),
    DocumentedRoute(
        "DELETE",
        "/v1/router/memories",
        delete_memories,
        Operation(
            summary="Delete all memories.",
            tag="teaching",
            scope="manage",
            responses={200: Forgotten},
            errors=(400, 429),
            parameters=(parameter("all", "query", "Confirms the deletion.", {"const": "true"}, required=True),),
        ),
    ),
    DocumentedRoute(
        "DELETE",
        "/v1/router/memories/{memory_id}",
        delete_memory,
        Operation(
            summary="Delete one memory.",
            tag="teaching",
            scope="manage",
            responses={200: Forgotten},
            errors=(404, 429),
            parameters=(parameter("memory_id", "path", "The memory's id.", {"type": "integer"}),),
        ),
    ),
]
