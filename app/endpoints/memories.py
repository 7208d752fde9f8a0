"""GET and DELETE /v1/router/memories: list, search and delete what was taught."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field
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
#: The largest number of memories that one request may name.
MAX_IDS = 1000


def _ids(value: object) -> object:
    """Split a list of ids. Raises `ValueError` naming the part that is no id."""
    if not isinstance(value, str):
        return value
    parts = [part.strip() for part in value.split(",")]
    if len(parts) > MAX_IDS:
        raise ValueError(f"{len(parts):,} ids are too many, at most {MAX_IDS:,} a request")
    for part in parts:
        if not (len(part) <= len(str(_BIGINT)) and part.isascii() and part.isdecimal() and int(part) <= _BIGINT):
            raise ValueError(f"{part[:20]!r} is not the id of a memory; give whole numbers separated by commas")
    return [int(part) for part in parts]


_Ids = Annotated[list[int] | None, BeforeValidator(_ids, json_schema_input_type=str)]


class MemoryQuery(BaseModel):
    """The query string of the list."""

    search: str | None = Field(None, description="A text that the prompt contains.")
    after: Annotated[int, Field(ge=0, le=_BIGINT), DIGITS] = Field(0, description="The id of the last memory seen.")
    limit: Annotated[int, Field(ge=1, le=1000), DIGITS] = Field(
        100, description="The largest number of memories returned."
    )
    task: str | None = Field(None, description="Only memories with this task tag.")
    source: Literal["human", "judge", "import", "feedback"] | None = Field(
        None, description="Only memories whose scores are of this source."
    )
    ids: _Ids = Field(None, description=f"Only these memories: ids separated by commas, at most {MAX_IDS:,}.")


class ForgetQuery(BaseModel):
    """The query string of a deletion: `ids` or `all`."""

    ids: _Ids = Field(None, description=f"The memories to delete: ids separated by commas, at most {MAX_IDS:,}.")
    all: str | None = Field(None, description="`true` confirms the deletion of every memory of the tenant.")


class Memory(TypedDict):
    """A prompt with the scores of models' answers to it."""

    id: int
    prompt: Annotated[str | None, Field(description="null: the tenant does not store prompts.")]
    task: str | None
    source: str
    scores: Annotated[dict[str, float], Field(description="The quality of each model's answer, 0 to 1.")]
    completion_tokens: Annotated[dict[str, int], Field(description="The tokens of each model's answer, if known.")]
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
    for name, text in (("search", query.search), ("task", query.task)):
        if text and "\0" in text:
            raise BadRequest(f"{name}: the text contains a NUL character.", param=name)
    async with counted(services, caller):
        rows = await stored_memories.recall(
            services.db.background, caller.tenant_id, search=query.search or None, after=query.after,
            limit=query.limit, task=query.task or None, source=query.source, memory_ids=query.ids,
        )  # fmt: skip
    page: MemoryPage = {
        "object": "list",
        "data": [_memory(row) for row in rows],
        "has_more": len(rows) == query.limit,
    }
    return answer(page)


def _memory(row: Mapping[str, Any]) -> Memory:
    models = row["models"] or ()
    scores = zip(models, row["scores"] or (), strict=True)
    tokens = zip(models, row["completion_tokens"] or (), strict=True)
    return {
        "id": row["memory_id"],
        "prompt": row["prompt"],
        "task": row["task"],
        "source": row["source"],
        "scores": {model: short(score) for model, score in scores if score is not None},
        "completion_tokens": {model: round(count) for model, count in tokens if count is not None},
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
    """Delete the memories of `?ids=`, or all if `?all=true` confirms it; ids of no memory of the tenant are ignored."""
    services, caller = await authenticate(request)
    query = parse_query(request, ForgetQuery)
    if query.ids is None and query.all != "true":
        raise BadRequest(
            "Name the memories to delete by ?ids=1,2,3, or confirm the deletion of every memory of the tenant by "
            "?all=true.", param="all",
        )  # fmt: skip
    if query.ids is not None and query.all is not None:
        raise BadRequest("Give either `ids` or `all`, not both.", param="all")
    async with counted(services, caller):
        forgotten = await stored_memories.forget(services.db.background, caller.tenant_id, query.ids)
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
            summary="Delete some memories, or all.",
            tag="teaching",
            scope="manage",
            responses={200: Forgotten},
            errors=(429,),
            query=ForgetQuery,
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
