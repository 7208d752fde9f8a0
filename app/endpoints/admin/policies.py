"""/v1/router/admin/tenants/{tenant}/policies: the policies of a tenant with their settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, create_model
from starlette.requests import Request
from starlette.responses import Response

from ...errors import NotFound
from ...http.fields import Text
from ...http.responses import answer
from ...operations import policies
from ...policy_settings import POLICY_SETTINGS
from ...settings import Backend
from ...store import policies as stored_policies
from ...store.database import Database
from ..requests import parse_body
from ..responses import Listing, listing
from .policy_fields import REQUEST_FIELDS, RESPONSE_FIELDS, finite
from .requests import AdminRequest, tenant_in
from .responses import Deleted, Notes, deleted
from .route import admin_route

Weight = Annotated[float, Field(ge=0, le=1e30, allow_inf_nan=False)]


class PolicyChange(AdminRequest):
    """The models of a policy, and how it decides among them."""

    backend: Backend | None = None
    default_model: Text | None = Field(None, description="The model that serves if the decision is declined.")
    models: Annotated[list[Text], Field(min_length=1, max_length=64)] | None = Field(
        None, description="The candidates."
    )
    weights: Annotated[list[Weight], Field(min_length=1, max_length=64)] | None = Field(
        None, description="The weights of the candidates for the backend `weighted`. Default: 1 each."
    )


_NOTES: dict[str, Any] = {"notes": (Notes, ...)}


class PolicyFields(BaseModel):
    """The models of a policy, and how it decides among them."""

    object: Literal["router.policy"]
    id: int
    name: str
    backend: Backend
    default_model: str = Field(description="The model that serves if the decision is declined.")
    models: list[str] = Field(description="The candidates, the disabled ones included.")
    weights: list[float] = Field(description="The weights of the candidates for the backend `weighted`.")


PutPolicy = create_model(
    "PutPolicy",
    __base__=PolicyChange,
    __doc__="A policy; a field that is left out or null keeps its value, or has the default of ROUTER_* in a new one.",
    **REQUEST_FIELDS,
)
PolicyEntry: Any = create_model(
    "PolicyEntry", __base__=PolicyFields, __doc__="A policy with every setting.", **RESPONSE_FIELDS
)
ChangedPolicy = create_model("ChangedPolicy", __base__=PolicyEntry, __doc__="A policy as it is now.", **_NOTES)


async def list_policies(request: Request, db: Database) -> Response:
    """Return a tenant's policies with every setting."""
    tenant = await tenant_in(request, db)
    rows = await stored_policies.list_policies(db, tenant.tenant_id)
    return answer(listing([policy_entry(row) for row in rows]))


async def put_policy(request: Request, db: Database) -> Response:
    """Add a policy, or change one."""
    tenant, name = await tenant_in(request, db), request.path_params["policy"]
    wanted = await parse_body(request, PutPolicy)
    notes = await policies.put(
        db,
        tenant.tenant_id,
        name,
        backend=wanted.backend,
        default=wanted.default_model,
        models=None if wanted.models is None else tuple(dict.fromkeys(wanted.models)),
        weights=wanted.weights,
        settings=wanted.model_dump(include=set(POLICY_SETTINGS), exclude_none=True),
        by="admin",
    )
    found = next(
        (row for row in await stored_policies.list_policies(db, tenant.tenant_id) if row["name"] == name), None
    )
    if found is None:
        raise NotFound(f"The policy {name!r} was deleted meanwhile.", param="policy")
    return answer({**policy_entry(found), "notes": notes})


async def delete_policy(request: Request, db: Database) -> Response:
    """Delete a policy; its decisions remain in the ledger, and requests that name it get a 404."""
    tenant, name = await tenant_in(request, db), request.path_params["policy"]
    if not await stored_policies.delete_policy(db, tenant.tenant_id, name):
        raise NotFound(f"The tenant {tenant.name!r} has no policy {name!r}.", param="policy")
    return answer(deleted("policy", name))


def policy_entry(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a `PolicyEntry` of a row of `router.list_policies`."""
    found = {name: finite(value) for name, value in row.items()}
    return {"object": "router.policy", "id": found.pop("policy_id"), **found}


_PATH = "/tenants/{tenant}/policies/{policy:path}"

routes = [
    admin_route("GET", "/tenants/{tenant}/policies", list_policies, "A tenant's policies.", Listing[PolicyEntry]),
    admin_route("PUT", _PATH, put_policy, "Add a policy, or change one.", ChangedPolicy, errors=(409,), body=PutPolicy),
    admin_route("DELETE", _PATH, delete_policy, "Delete a policy.", Deleted),
]
