"""/v1/router/admin/tenants/{tenant}/limits and …/keys/{key_id}/limits: limits of a tenant or of one of its keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from ...http.responses import answer
from ...store import limits as stored_limits
from ...store.database import Database
from ..requests import parse_body
from ..responses import Listing, listing, select
from .requests import AdminRequest, number_in, tenant_in
from .route import admin_route

Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
Usd = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]


class Limits(AdminRequest):
    """All limits; a field that is left out or null is no limit."""

    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    day_usd: Usd | None = Field(None, description="USD per day, UTC.")
    month_usd: Usd | None = Field(None, description="USD per month, UTC.")


class LimitValues(TypedDict):
    """The limits of a tenant or a key; null: no limit."""

    object: Literal["router.limits"]
    key_id: Annotated[int | None, Field(description="null: of all the tenant's keys together.")]
    requests_per_minute: int | None
    tokens_per_minute: int | None
    day_usd: float | None
    month_usd: float | None


class LimitEntry(LimitValues):
    """Limits with what is used of them and what is left."""

    key: Annotated[str | None, Field(description="The key's name.")]
    requests_left: float | None
    tokens_left: float | None
    day_spent_usd: float | None
    day_left_usd: float | None
    month_spent_usd: float | None
    month_left_usd: float | None
    reserved_usd: Annotated[float | None, Field(description="The expected cost of requests in progress.")]


class DeletedLimits(TypedDict):
    """The tenant or key that has no limits any more."""

    object: Literal["router.limits"]
    key_id: int | None
    deleted: Literal[True]


async def list_limits(request: Request, db: Database) -> Response:
    """Return the limits of a tenant first, then those of its keys, with what is used and left."""
    tenant = await tenant_in(request, db)
    rows = await stored_limits.list_limits(db, tenant.tenant_id)
    return answer(listing([_entry(row) for row in rows]))


async def put_limits(request: Request, db: Database) -> Response:
    """Set all limits of a tenant or of one of its keys."""
    tenant_id, key_id = await _owner(request, db)
    wanted = await parse_body(request, Limits)
    await stored_limits.put_limits(
        db,
        tenant_id,
        key_id,
        requests=wanted.requests_per_minute,
        tokens=wanted.tokens_per_minute,
        day_usd=wanted.day_usd,
        month_usd=wanted.month_usd,
    )
    rows = await stored_limits.list_limits(db, tenant_id)
    found = next((row for row in rows if row["key_id"] == key_id), None)
    if found is None:
        # Without a limit there is no row.
        return answer(select(LimitValues, dict.fromkeys(Limits.model_fields), object="router.limits", key_id=key_id))
    return answer(_entry(found))


async def delete_limits(request: Request, db: Database) -> Response:
    """Remove the limits of a tenant or of one of its keys."""
    tenant_id, key_id = await _owner(request, db)
    await stored_limits.put_limits(db, tenant_id, key_id)
    removed: DeletedLimits = {"object": "router.limits", "key_id": key_id, "deleted": True}
    return answer(removed)


async def _owner(request: Request, db: Database) -> tuple[int, int | None]:
    """Return the numbers of the tenant and of the key that the path names; None: no key."""
    tenant = await tenant_in(request, db)
    return tenant.tenant_id, number_in(request, "key_id") if "key_id" in request.path_params else None


def _entry(row: Mapping[str, Any]) -> LimitEntry:
    return select(LimitEntry, row, object="router.limits")


_TENANT, _KEY = "/tenants/{tenant}/limits", "/tenants/{tenant}/keys/{key_id}/limits"

routes = [
    admin_route(
        "GET", _TENANT, list_limits, "The limits of a tenant and its keys, with what is left.", Listing[LimitEntry]
    ),
    *(
        route
        for path, owner in ((_TENANT, "a tenant"), (_KEY, "a key"))
        for route in (
            admin_route("PUT", path, put_limits, f"Set all limits of {owner}.", LimitEntry | LimitValues, body=Limits),
            admin_route("DELETE", path, delete_limits, f"Remove the limits of {owner}.", DeletedLimits),
        )
    ),
]
