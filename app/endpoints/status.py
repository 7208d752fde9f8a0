"""GET /v1/router/status: how many memories each policy has, and the next step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from ..http.responses import answer
from ..store import backtests as stored_backtests
from ..store import memories as stored_memories
from .calls import counted
from .openapi.operation import DocumentedRoute, Operation
from .requests import authenticate
from .responses import select


class PolicyFit(TypedDict):
    """What decisions of a policy use now of what leave-one-out chose from its memory."""

    n0: Annotated[float, Field(description="The weight of the prior if no task is named or guessed, in neighbours.")]
    guess: Annotated[bool, Field(description="Whether the task of a request without a tag is guessed.")]
    matrix: Annotated[bool, Field(description="Whether estimates borrow from the scores of other candidates.")]
    why: Annotated[str | None, Field(description="Why they do not, for people.")]
    fitted_at: Annotated[datetime | None, Field(description="When maintenance fitted it; null: never.")]
    memories: Annotated[int | None, Field(description="The number of memories at that time.")]
    rows: Annotated[int | None, Field(description="Of these, the memories that were estimated without themselves.")]
    pairs: Annotated[int | None, Field(description="Of these, the memories with scores of two candidates or more.")]


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
    fit: Annotated[PolicyFit | None, Field(description="null: the policy does not learn.")]


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
        space_id = services.spaces.own.space_id
        rows = await stored_memories.status(services.db.background, caller.tenant_id, space_id)
        fits = await stored_backtests.list_fits(services.db.background, caller.tenant_id, space_id)
    first: Mapping[str, Any] = rows[0] if rows else {}
    found: MemoryStatus = {
        "object": "router.status",
        "tenant": caller.tenant,
        "memories": first.get("memories", 0),
        "memories_of_other_embedders": first.get("other_spaces", 0),
        "embedder": first["space"] if rows else services.spaces.name_of(caller),
        "building": _building(first),
        "leans_on": first.get("base"),
        "policies": _policies(rows, {fit["policy"]: select(PolicyFit, fit) for fit in fits}),
    }
    return answer(found)


def _policies(rows: Sequence[Mapping[str, Any]], fits: Mapping[str, PolicyFit]) -> list[PolicyStatus]:
    """Return a status for each policy; `rows` has one for each of its tasks, `fits` those that learn."""
    policies: dict[str, PolicyStatus] = {}
    for row in rows:
        if row["policy"] not in policies:
            policies[row["policy"]] = select(PolicyStatus, row, tasks={}, missing=[], fit=fits.get(row["policy"]))
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
