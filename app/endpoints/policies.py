"""/v1/router/policies: a tenant's policies, their changes, and undoing one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from ..errors import NotFound
from ..http.responses import answer
from ..store import policies as stored_policies
from ..store import policy_changes as stored_changes
from .admin.policies import PolicyEntry, policy_entry
from .calls import counted
from .openapi.operation import DocumentedRoute, Operation
from .requests import DIGITS, authenticate, parse_body, parse_query, policy_of
from .responses import Listing, listing

#: The largest number of a change.
_LARGEST = 2**63 - 1

Value = str | float | list[str] | list[float]


class ChangeQuery(BaseModel):
    """The query string."""

    model_config = ConfigDict(extra="forbid")

    limit: Annotated[int, DIGITS, Field(ge=1, le=1000)] = Field(50, description="The most changes.")


class RecordedChange(TypedDict):
    """A change of a policy: the settings that differ, before and after."""

    id: int
    policy: str
    changed_at: datetime
    changed_by: Annotated[
        Literal["key", "admin", "cli", "psql"],
        Field(description="A key of the tenant, or an operator by the admin API, the command line or SQL."),
    ]
    key_id: Annotated[int | None, Field(description="The tenant's key that made the change.")]
    cause: Annotated[Literal["put", "calibrate", "undo"], Field(description="put: settings were given.")]
    undoes: Annotated[int | None, Field(description="The change that was undone.")]
    target: Annotated[float | None, Field(description="The target of a calibration.")]
    at_most: Annotated[float | None, Field(description="The share that a calibration certified.")]
    confidence: Annotated[float | None, Field(description="The confidence of a calibration.")]
    before: Annotated[dict[str, Value] | None, Field(description="null: the policy was added.")]
    after: dict[str, Value]
    undoable: Annotated[bool, Field(description="Whether the policy is still as the change left it.")]
    operator_only: Annotated[bool, Field(description="Whether a tenant's key may not undo it.")]


class Undo(BaseModel):
    """How to undo a change."""

    model_config = ConfigDict(extra="forbid", strict=True)

    force: bool = Field(
        False, description="Undo it although the policy has changed since; other settings keep their present values."
    )


class UndoneChange(TypedDict):
    """A change that was undone."""

    object: Literal["router.policy_change"]
    id: Annotated[int, Field(description="The number of the change that undid it.")]
    undoes: int
    policy: Annotated[PolicyEntry, Field(description="The policy as it is now.")]


async def list_policies(request: Request) -> Response:
    """Return the tenant's policies with every setting."""
    services, caller = await authenticate(request)
    async with counted(services, caller):
        rows = await stored_policies.list_policies(services.db.background, caller.tenant_id)
    return answer(listing([policy_entry(row) for row in rows]))


async def list_changes(request: Request) -> Response:
    """Return the changes of a policy, newest first."""
    services, caller = await authenticate(request)
    policy = policy_of(caller, request.path_params["policy"], "policy")
    query = parse_query(request, ChangeQuery)
    async with counted(services, caller):
        rows = await stored_changes.list_policy_changes(
            services.db.background, caller.tenant_id, policy.policy_id, limit=query.limit
        )
    return answer(listing([_change(row) for row in rows]))


async def undo_change(request: Request) -> Response:
    """Undo a change of a policy: its settings get their values from before."""
    services, caller = await authenticate(request)
    policy, change = policy_of(caller, request.path_params["policy"], "policy"), request.path_params["change"]
    wanted = await parse_body(request, Undo, optional=True)
    async with counted(services, caller):
        if change > _LARGEST:
            raise NotFound(f"The policy {policy.name!r} has no change {change}.", param="change")
        undone = await stored_changes.undo_policy_change(
            services.db.background, caller.tenant_id, policy.policy_id, change, force=wanted.force, by=caller.key_id
        )
        found = await stored_policies.settings_of(services.db.background, caller.tenant_id, policy.policy_id)
    body: dict[str, Any] = {"object": "router.policy_change", "id": undone, "undoes": change}
    return answer({**body, "policy": policy_entry(found)})


def _change(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a `RecordedChange` of a row of `router.list_policy_changes`."""
    others = {name: value for name, value in row.items() if name not in ("change_id", "old_settings", "new_settings")}
    return {
        "id": row["change_id"],
        **others,
        "before": _settings(row["old_settings"]),
        "after": _settings(row["new_settings"]),
    }


def _settings(settings: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return settings as the API names their values; SQL writes an infinite number as `Infinity`."""
    if settings is None:
        return None
    return {name: "infinity" if value == "Infinity" else value for name, value in settings.items()}


_POLICY = "/v1/router/policies/{policy:path}"

routes = [
    DocumentedRoute(
        "GET",
        "/v1/router/policies",
        list_policies,
        Operation(
            summary="The policies with every setting.",
            tag="decisions",
            scope="manage",
            responses={200: Listing[PolicyEntry]},
            errors=(429,),
        ),
    ),
    DocumentedRoute(
        "GET",
        f"{_POLICY}/changes",
        list_changes,
        Operation(
            summary="The changes of a policy, newest first.",
            tag="decisions",
            scope="manage",
            responses={200: Listing[RecordedChange]},
            errors=(404, 429),
            query=ChangeQuery,
        ),
    ),
    DocumentedRoute(
        "POST",
        f"{_POLICY}/changes/{{change:int}}/undo",
        undo_change,
        Operation(
            summary="Undo a change of a policy.",
            tag="decisions",
            scope="manage",
            responses={200: UndoneChange},
            errors=(403, 404, 409, 429),
            body=Undo,
            body_required=False,
        ),
    ),
]
