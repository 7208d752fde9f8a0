"""/v1/router/admin/tenants: the tenants."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from ...entities import Tenant
from ...errors import BadRequest, NotFound
from ...http.fields import Text
from ...http.responses import answer
from ...operations import tenants
from ...store import tenants as stored_tenants
from ...store.database import Database
from ..openapi.operation import parameter
from ..requests import parse_body
from ..responses import Listing, listing
from .requests import AdminRequest, changes_in, tenant_in
from .responses import Deleted, deleted
from .route import admin_route

Cap = Annotated[int, Field(ge=1, le=2**31 - 1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 _.@-]{0,99}$")]

_CAP = "The largest number of memories; the oldest are deleted."
_EXPLICIT = "Whether requests that name a candidate of `auto` are routed too."


class NewTenant(AdminRequest):
    """A tenant with its policy `auto`."""

    name: Name
    memory_cap: Cap = Field(5000, description=_CAP)
    store_prompts: bool = Field(True, description="Whether the text of prompts is stored with the memories.")
    route_explicit: bool = Field(False, description=_EXPLICIT)
    models: list[Text] = Field(
        default_factory=list,
        max_length=64,
        description="The candidates of `auto`. Default: ROUTER_CANDIDATES, else chosen by price.",
    )
    default_model: Text | None = Field(None, description="The default model of `auto`.")
    key: bool = Field(True, description="Whether to create an API key.")


class TenantChange(AdminRequest):
    """The fields to change; a field that is left out keeps its value."""

    memory_cap: Cap | None = Field(None, description=_CAP)
    store_prompts: bool | None = Field(None, description="false: stored prompts are erased too.")
    route_explicit: bool | None = Field(None, description=_EXPLICIT)
    shared: bool | None = Field(None, description="Whether other tenants may use this tenant's memory.")
    base: Text | None = Field(None, description="The shared tenant whose memory is used too; null: none.")
    default_provider: Text | None = Field(None, description="The provider of passed-through requests; null: by policy.")


class TenantEntry(TypedDict):
    """A tenant, with the size of its memory."""

    object: Literal["router.tenant"]
    id: int
    name: str
    memory_cap: Annotated[int, Field(description=_CAP)]
    memories: int
    keys: Annotated[int, Field(description="The number of keys that are not revoked.")]
    policies: int
    graduated: Annotated[bool, Field(description="Whether the memory has an approximate index of its own.")]
    store_prompts: bool
    route_explicit: Annotated[bool, Field(description=_EXPLICIT)]
    space_id: int | None
    space: Annotated[str | None, Field(description="The embedding space; null: the one of the proxy's embedder.")]
    building: Annotated[str | None, Field(description="The embedding space that the memory is being rewritten for.")]
    shared: Annotated[bool, Field(description="Whether other tenants may use this tenant's memory.")]
    base: Annotated[str | None, Field(description="The tenant whose shared memory is used too.")]
    default_provider: Annotated[str | None, Field(description="The provider of passed-through requests.")]
    created_at: datetime


class FirstPolicy(TypedDict):
    """The policy that a new tenant starts with."""

    policy: str
    models: list[str]
    default_model: str


class CreatedTenant(TenantEntry):
    """A new tenant with its policy and its key."""

    policy: Annotated[FirstPolicy | None, Field(description="null: no model has a price.")]
    api_key: Annotated[str | None, Field(description="The key, which only this response contains.")]


async def list_tenants(request: Request, db: Database) -> Response:
    """Return every tenant."""
    return answer(listing([_entry(tenant) for tenant in await stored_tenants.list_tenants(db)]))


async def create_tenant(request: Request, db: Database) -> Response:
    """Create a tenant; only this response contains its key."""
    wanted = await parse_body(request, NewTenant)
    created = await tenants.create(
        db,
        wanted.name,
        memory_cap=wanted.memory_cap,
        store_prompts=wanted.store_prompts,
        route_explicit=wanted.route_explicit,
        candidates=wanted.models,
        default=wanted.default_model,
        with_key=wanted.key,
        by="admin",
    )
    entry = _entry(await tenants.tenant_of(db, wanted.name))
    response: CreatedTenant = {**entry, "policy": created["policy"], "api_key": created["api_key"]}
    return answer(response, 201)


async def read_tenant(request: Request, db: Database) -> Response:
    """Return one tenant."""
    return answer(_entry(await tenant_in(request, db)))


async def change_tenant(request: Request, db: Database) -> Response:
    """Change the fields given; `store_prompts` false erases the prompts that are stored."""
    tenant = await tenant_in(request, db)
    body = await parse_body(request, TenantChange)
    changes = changes_in(body, nullable={"base": 0, "default_provider": ""})
    if changes.get("base"):
        try:
            changes["base"] = (await tenants.tenant_of(db, changes["base"])).tenant_id
        except NotFound as error:
            raise BadRequest(error.message, param="base") from None
    await stored_tenants.change_tenant(db, tenant.tenant_id, **changes)
    return answer(_entry(await tenant_in(request, db)))


async def delete_tenant(request: Request, db: Database) -> Response:
    """Delete a tenant with its keys, policies, memories and ledger, if `?confirm=NAME` confirms it."""
    tenant = await tenant_in(request, db)
    if request.query_params.get("confirm") != tenant.name:
        raise BadRequest(
            f"This deletes {tenant.name!r} permanently, with {tenant.memories} memories, {tenant.keys} keys and its "
            "ledger: confirm it with ?confirm= and the tenant's name.",
            param="confirm",
        )
    await stored_tenants.delete_tenant(db, tenant.tenant_id)
    return answer(deleted("tenant", tenant.name))


def _entry(tenant: Tenant) -> TenantEntry:
    return {
        "object": "router.tenant",
        "id": tenant.tenant_id,
        "name": tenant.name,
        "memory_cap": tenant.memory_cap,
        "memories": tenant.memories,
        "keys": tenant.keys,
        "policies": tenant.policies,
        "graduated": tenant.graduated,
        "store_prompts": tenant.store_prompts,
        "route_explicit": tenant.route_explicit,
        "space_id": tenant.space_id,
        "space": tenant.space,
        "building": tenant.building,
        "shared": tenant.shared,
        "base": tenant.base,
        "default_provider": tenant.default_provider,
        "created_at": tenant.created_at,
    }


routes = [
    admin_route("GET", "/tenants", list_tenants, "All tenants.", Listing[TenantEntry]),
    admin_route(
        "POST",
        "/tenants",
        create_tenant,
        "Create a tenant; only the response contains its key.",
        CreatedTenant,
        status=201,
        errors=(409,),
        body=NewTenant,
    ),
    admin_route("GET", "/tenants/{tenant}", read_tenant, "One tenant.", TenantEntry),
    admin_route(
        "PATCH",
        "/tenants/{tenant}",
        change_tenant,
        "Change the given fields of a tenant.",
        TenantEntry,
        errors=(409,),
        body=TenantChange,
    ),
    admin_route(
        "DELETE",
        "/tenants/{tenant}",
        delete_tenant,
        "Delete a tenant with everything it owns.",
        Deleted,
        parameters=(parameter("confirm", "query", "The tenant's name, to confirm.", required=True),),
    ),
]
