"""/v1/router/admin/tenants: who routes."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from app.endpoints.admin.auth import Body, given_in, route, tenant_in
from app.endpoints.requests import parsed
from app.entities import Tenant
from app.errors import BadRequest, NotFound
from app.http.fields import Text
from app.http.responses import answer
from app.operations import tenants as administered
from app.store import tenants
from app.store.database import Database

Cap = Annotated[int, Field(ge=1, le=2**31 - 1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 _.@-]{0,99}$")]


class NewTenant(Body):
    """A tenant with its policy `auto` over `models`, else over those of ROUTER_CANDIDATES, else by price."""

    name: Name
    memory_cap: Cap = 5000
    store_prompts: bool = True
    route_explicit: bool = False
    models: list[Text] = Field(default_factory=list, max_length=64)
    default_model: Text | None = None
    key: bool = True


class TenantChange(Body):
    """What is named changes. `base`: the shared tenant it leans on; `base` and `default_provider` null: none."""

    memory_cap: Cap | None = None
    store_prompts: bool | None = None
    route_explicit: bool | None = None
    shared: bool | None = None
    base: Text | None = None
    default_provider: Text | None = None


async def list_tenants(request: Request, db: Database) -> Response:
    """Every tenant, with how much it has."""
    return answer({"object": "list", "data": [shown(tenant) for tenant in await tenants.tenants(db)]})


async def create_tenant(request: Request, db: Database) -> Response:
    """Make a tenant; its key is in this answer alone."""
    wanted = await parsed(request, NewTenant)
    made = await administered.create(
        db,
        wanted.name,
        memory_cap=wanted.memory_cap,
        store_prompts=wanted.store_prompts,
        route_explicit=wanted.route_explicit,
        candidates=wanted.models,
        default=wanted.default_model,
        with_key=wanted.key,
    )
    tenant = await administered.tenant_of(db, wanted.name)
    return answer({**shown(tenant), "policy": made["policy"], "api_key": made["api_key"]}, 201)


async def read_tenant(request: Request, db: Database) -> Response:
    """One of them."""
    return answer(shown(await tenant_in(request, db)))


async def change_tenant(request: Request, db: Database) -> Response:
    """Change what is named; storing no prompts any more erases those that are stored."""
    tenant = await tenant_in(request, db)
    given = given_in(await parsed(request, TenantChange), nullable={"base": 0, "default_provider": ""})
    if given.get("base"):
        try:
            given["base"] = (await administered.tenant_of(db, given["base"])).tenant_id
        except NotFound as error:
            raise BadRequest(error.message, param="base") from None
    await tenants.change_tenant(db, tenant.tenant_id, **given)
    return answer(shown(await tenant_in(request, db)))


async def delete_tenant(request: Request, db: Database) -> Response:
    """Delete a tenant with its keys, policies, memories and ledger; `?confirm=NAME` says that it is meant."""
    tenant = await tenant_in(request, db)
    if request.query_params.get("confirm") != tenant.name:
        raise BadRequest(
            f"This deletes {tenant.name!r} for good, with {tenant.memories} memories, {tenant.keys} keys and its "
            "ledger: add ?confirm= and its name if that is meant.",
            param="confirm",
        )
    await tenants.delete_tenant(db, tenant.tenant_id)
    return answer({"object": "router.tenant", "name": tenant.name, "deleted": True})


def shown(tenant: Tenant) -> dict[str, Any]:
    """A tenant as JSON."""
    found = {name: getattr(tenant, name) for name in tenant.__slots__}
    return {"object": "router.tenant", "id": found.pop("tenant_id"), **found}


routes = [
    route("/tenants", list_tenants, "GET"),
    route("/tenants", create_tenant, "POST"),
    route("/tenants/{tenant}", read_tenant, "GET"),
    route("/tenants/{tenant}", change_tenant, "PATCH"),
    route("/tenants/{tenant}", delete_tenant, "DELETE"),
]
