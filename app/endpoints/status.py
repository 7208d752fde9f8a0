"""GET /v1/router/status: how many memories each policy has, and the next step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from ..http.responses import answer
from ..store import memories as stored_memories
from .calls import counted
from .openapi.operation import DocumentedRoute, Operation
from .requests import authenticate
from .responses import select


class PolicyStatus(TypedDict):
    """The memory of one policy."""

    policy: str
    backend: str
    default_model: str
    models: Annotated[list[str], Field(description="The candidates.")]
    memories: int
    seed_count: Annotated[int, Field(description="The number of memories from which the policy routes.")]
    needed: Annotated[int, Field(description="The number of memories still missing.")]
    ready: Annotated[bool, Field(description="Whether the policy routes.")]
    graduated: Annotated[bool, Field(description="Whether the memory has an approximate index of its own.")]
    tasks: Annotated[dict[str, int], Field(description="The number of memories by task.")]
    next_step: Annotated[str, Field(description="What to do next, for people.")]
    unlabelled: Annotated[list[str], Field(description="Candidates without any score.")]
    missing: Annotated[list[str], Field(description="What keeps the policy from routing, for people.")]


class SpaceBuild(TypedDict):
    """The progress of rewriting the memory for another embedder."""

    embedder: str
    memories: Annotated[int, Field(description="The number of memories rewritten so far.")]


class MemoryStatus(TypedDict):
    """The memory of a tenant."""

    object: Literal["router.status"]
    tenant: str
    memories: int
    memories_of_other_embedders: Annotated[int, Field(description="Memories that decisions do not use.")]
    embedder: Annotated[str, Field(description="The embedding space of the tenant.")]
    building: Annotated[SpaceBuild | None, Field(description="The embedding space that is being built.")]
    leans_on: Annotated[str | None, Field(description="The tenant whose shared memory is used too.")]
    policies: list[PolicyStatus]


async def status(request: Request) -> Response:
    """Return how many memories each policy has, and the next step."""
    services, caller = await authenticate(request)
    async with counted(services, caller):
        rows = await stored_memories.status(services.db.background, caller.tenant_id, services.spaces.own.space_id)
    first: Mapping[str, Any] = rows[0] if rows else {}
    found: MemoryStatus = {
        "object": "router.status",
        "tenant": caller.tenant,
        "memories": first.get("memories", 0),
        "memories_of_other_embedders": first.get("other_spaces", 0),
        "embedder": first["space"] if rows else services.spaces.name_of(caller),
        "building": _building(first),
        "leans_on": first.get("base"),
        "policies": _policies(rows),
    }
    return answer(found)


def _policies(rows: Sequence[Mapping[str, Any]]) -> list[PolicyStatus]:
    """Return a status for each policy; `rows` has one for each of its tasks."""
    policies: dict[str, PolicyStatus] = {}
    for row in rows:
        if row["policy"] not in policies:
            policies[row["policy"]] = select(PolicyStatus, row, tasks={}, missing=[])
        policy = policies[row["policy"]]
        policy["missing"] += [missing for missing in row["missing"] if missing not in policy["missing"]]
        if row["task"] is not None:
            policy["tasks"][row["task"]] = row["task_memories"]
    return list(policies.values())


def _building(row: Mapping[str, Any]) -> SpaceBuild | None:
    if row.get("building") is None:
        return None
    return {"embedder": row["building"], "memories": row["built"]}


routes = [
    DocumentedRoute(
        "GET",
        "/v1/router/status",
        status,
        Operation(
            summary="How many memories each policy has, and the next step.",
            tag="teaching",
            scope="teach",
            responses={200: MemoryStatus},
            errors=(429,),
        ),
    )
]
