"""/v1/router/admin/tenants/{tenant}/policies: the names that ask for routing, and how each decides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, create_model
from starlette.requests import Request
from starlette.responses import Response

from app.endpoints.admin.auth import Body, route, tenant_in
from app.endpoints.requests import parsed
from app.entities import POLICY_SETTINGS, PolicySetting
from app.errors import NotFound
from app.http.fields import Text
from app.http.responses import answer
from app.operations import policies as administered
from app.settings import Backend
from app.store import policies
from app.store.database import Database

#: JSON has no infinity.
INFINITY = "infinity"

Weight = Annotated[float, Field(ge=0, le=1e30, allow_inf_nan=False)]


class Chosen(Body):
    """Who may serve, and who does when the decision is declined; without `weights` all weigh 1."""

    backend: Backend | None = None
    default_model: Text | None = None
    models: Annotated[list[Text], Field(min_length=1, max_length=64)] | None = None
    weights: Annotated[list[Weight], Field(min_length=1, max_length=64)] | None = None


def _infinite(value: object) -> object:
    return float("inf") if value == INFINITY else value


def _field(setting: PolicySetting) -> Any:
    if setting.choices:
        return Literal[setting.choices] | None
    low, high = setting.low, setting.high
    if setting.kind is int:
        return Annotated[int, Field(ge=low, le=high)] | None
    if high == float("inf"):
        shown = {"anyOf": [{"type": "number", "minimum": low}, {"const": INFINITY}]}
        return Annotated[float, Field(ge=low), BeforeValidator(_infinite), WithJsonSchema(shown)] | None
    return Annotated[float, Field(ge=low, le=high, allow_inf_nan=False)] | None


_SETTINGS: dict[str, Any] = {setting.name: (_field(setting), None) for setting in POLICY_SETTINGS.values()}
PutPolicy = create_model(
    "PutPolicy",
    __base__=Chosen,
    __doc__="A policy; what is left out or null stays, or for a new one comes from ROUTER_* and the prices.",
    **_SETTINGS,
)


async def list_policies(request: Request, db: Database) -> Response:
    """A tenant's policies with every setting."""
    tenant = await tenant_in(request, db)
    rows = await policies.settings(db, tenant.tenant_id)
    return answer({"object": "list", "data": [shown(row) for row in rows]})


async def put_policy(request: Request, db: Database) -> Response:
    """Add a policy, or change one."""
    tenant, name = await tenant_in(request, db), request.path_params["policy"]
    wanted = await parsed(request, PutPolicy)
    notes = await administered.put(
        db,
        tenant.tenant_id,
        name,
        backend=wanted.backend,
        default=wanted.default_model,
        models=None if wanted.models is None else tuple(dict.fromkeys(wanted.models)),
        weights=wanted.weights,
        settings=wanted.model_dump(include=set(POLICY_SETTINGS), exclude_none=True),
    )
    found = next((row for row in await policies.settings(db, tenant.tenant_id) if row["name"] == name), None)
    if found is None:
        raise NotFound(f"The policy {name!r} was deleted meanwhile.", param="policy")
    return answer({**shown(found), "notes": notes})


async def delete_policy(request: Request, db: Database) -> Response:
    """Delete a policy; requests that name it get 404 from then on, its decisions stay in the ledger."""
    tenant, name = await tenant_in(request, db), request.path_params["policy"]
    if not await policies.delete_policy(db, tenant.tenant_id, name):
        raise NotFound(f"The tenant {tenant.name!r} has no policy {name!r}.", param="policy")
    return answer({"object": "router.policy", "name": name, "deleted": True})


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """A policy as JSON."""
    found = {name: INFINITY if value == float("inf") else value for name, value in row.items()}
    return {"object": "router.policy", "id": found.pop("policy_id"), **found}


routes = [
    route("/tenants/{tenant}/policies", list_policies, "GET"),
    route("/tenants/{tenant}/policies/{policy:path}", put_policy, "PUT"),
    route("/tenants/{tenant}/policies/{policy:path}", delete_policy, "DELETE"),
]
