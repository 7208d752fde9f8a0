"""GET /v1/router/memories/graph: what was taught as a graph of similar prompts, without embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from ..entities import Caller
from ..http.responses import answer
from ..services import Services
from ..store import memories as stored_memories
from ..store import prices as stored_prices
from .calls import counted
from .openapi.operation import DocumentedRoute, Operation
from .requests import DIGITS, authenticate, parse_query
from .responses import select

#: The most memories of a graph: with more, edges take seconds and a map shows no more than a cloud.
SAMPLE = 2000


class GraphQuery(BaseModel):
    """The query string: the memories of the graph and the number of their neighbours."""

    model_config = ConfigDict(extra="forbid")

    sample: Annotated[int, DIGITS, Field(ge=1, le=SAMPLE)] = Field(
        SAMPLE, description="The largest number of memories; of more, a pseudo-random sample that is always the same."
    )
    k: Annotated[int, DIGITS, Field(ge=1, le=20)] = Field(6, description="The number of neighbours of each memory.")


class EdgeQuery(GraphQuery):
    """The query string of a page of edges; `sample` and `k` as for the graph."""

    offset: Annotated[int, DIGITS, Field(ge=0, le=SAMPLE)] = Field(0, description="The first memory of the page.")
    limit: Annotated[int, DIGITS, Field(ge=1, le=200)] = Field(
        30, description="The number of memories whose edges are returned; each is compared with the whole sample."
    )


class MemoryNode(TypedDict):
    """A memory as a node of the graph."""

    id: int
    prompt: Annotated[
        str | None, Field(description="The first 200 characters. null: the tenant does not store prompts.")
    ]
    task: str | None
    source: str
    scores: Annotated[dict[str, float], Field(description="The quality of each model's answer, 0 to 1, rounded.")]


class MemoryGraph(TypedDict):
    """The memories of the graph, in the order in which pages of edges count them."""

    object: Literal["router.memory_graph"]
    data: list[MemoryNode]
    total: Annotated[int, Field(description="The number of memories, in the sample or not.")]
    sampled: Annotated[bool, Field(description="Whether there are more memories than nodes.")]
    k: int
    models: Annotated[
        list[str], Field(description="The models with a price, cheapest first by the price of an answer's tokens.")
    ]


class MemoryEdge(TypedDict):
    """A memory and one of the most similar others."""

    memory_id: int
    neighbour_id: int
    similarity: Annotated[float, Field(description="The cosine of the embeddings, -1 to 1.")]


class EdgePage(TypedDict):
    """The edges of some memories of the graph, the most similar first."""

    object: Literal["list"]
    data: list[MemoryEdge]
    has_more: Annotated[bool, Field(description="Whether the next page may have edges.")]


async def graph(request: Request) -> Response:
    """Return the memories as nodes: all of them, or a sample."""
    services, caller = await authenticate(request)
    query = parse_query(request, GraphQuery)
    async with counted(services, caller):
        rows = await stored_memories.nodes(
            services.db.background, caller.tenant_id, _space(services, caller), query.sample
        )
        priced = await stored_prices.prices(services.db.background, caller.tenant_id)
    total = rows[0]["total"] if rows else 0
    found: MemoryGraph = {
        "object": "router.memory_graph",
        "data": [_node(row) for row in rows],
        "total": total,
        "sampled": total > len(rows),
        "k": query.k,
        "models": _cheapest_first(priced),
    }
    return answer(found)


async def edges(request: Request) -> Response:
    """Return the nearest neighbours, within the sample, of a page of its memories."""
    services, caller = await authenticate(request)
    query = parse_query(request, EdgeQuery)
    async with counted(services, caller):
        rows = await stored_memories.edges(
            services.db.background, caller.tenant_id, _space(services, caller),
            k=query.k, sample=query.sample, offset=query.offset, limit=query.limit,
        )  # fmt: skip
    page: EdgePage = {
        "object": "list",
        "data": [select(MemoryEdge, row, similarity=round(row["similarity"], 4)) for row in rows],
        "has_more": len({row["memory_id"] for row in rows}) == query.limit,
    }
    return answer(page)


def _space(services: Services, caller: Caller) -> int:
    """Return the number of the space that serves the caller."""
    return services.spaces.own.space_id if caller.space is None else caller.space.space_id


def _cheapest_first(priced: Sequence[Mapping[str, Any]]) -> list[str]:
    known = [(row["output_price"], row["model"]) for row in priced if row["origin"] != "unpriced"]
    return [model for _, model in sorted(known)]


def _node(row: Mapping[str, Any]) -> MemoryNode:
    scores = zip(row["models"] or (), row["scores"] or (), strict=True)
    return {
        "id": row["memory_id"],
        "prompt": row["excerpt"],
        "task": row["task"],
        "source": row["source"],
        "scores": {model: round(score, 4) for model, score in scores},
    }


routes = [
    DocumentedRoute(
        "GET",
        "/v1/router/memories/graph",
        graph,
        Operation(
            summary="The memories as nodes of a graph of similar prompts.",
            tag="teaching",
            scope="teach",
            responses={200: MemoryGraph},
            errors=(429,),
            query=GraphQuery,
        ),
    ),
    DocumentedRoute(
        "GET",
        "/v1/router/memories/graph/edges",
        edges,
        Operation(
            summary="The most similar memories of each memory of the graph, in pages.",
            tag="teaching",
            scope="teach",
            responses={200: EdgePage},
            errors=(429,),
            query=EdgeQuery,
        ),
    ),
]
