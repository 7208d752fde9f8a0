"""/v1/router/admin/tenants/{tenant}/limits and …/keys/{key_id}/limits: what a tenant, or one of its keys, may use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from app.endpoints.admin.auth import Body, number_in, route, tenant_in
from app.endpoints.requests import parsed
from app.http.responses import answer
from app.store import limits
from app.store.database import Database

#: What the path says already.
_PATHS = ("tenant_id", "tenant")

Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
Usd = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]


class Limits(Body):
    """All limits there are: requests and tokens a minute, USD a day and a month (UTC); left out or null: none."""

    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    day_usd: Usd | None = None
    month_usd: Usd | None = None


async def list_limits(request: Request, db: Database) -> Response:
    """The limits of a tenant, its own first, and of its keys, with what is used and left."""
    tenant = await tenant_in(request, db)
    rows = await limits.limits(db, tenant.tenant_id)
    return answer({"object": "list", "data": [shown(row) for row in rows]})


async def put_limits(request: Request, db: Database) -> Response:
    """Limit a tenant, or one of its keys; what is not named is not limited."""
    tenant_id, key_id = await _whose(request, db)
    wanted = await parsed(request, Limits)
    await limits.put_limits(
        db,
        tenant_id,
        key_id,
        requests=wanted.requests_per_minute,
        tokens=wanted.tokens_per_minute,
        day_usd=wanted.day_usd,
        month_usd=wanted.month_usd,
    )
    rows = await limits.limits(db, tenant_id)
    found = next((row for row in rows if row["key_id"] == key_id), None)
    # Without a limit there is no row.
    unlimited = {"key_id": key_id, **dict.fromkeys(Limits.model_fields)}
    return answer(shown(unlimited if found is None else found))


async def delete_limits(request: Request, db: Database) -> Response:
    """Limit a tenant, or one of its keys, no more."""
    tenant_id, key_id = await _whose(request, db)
    await limits.put_limits(db, tenant_id, key_id)
    return answer({"object": "router.limits", "key_id": key_id, "deleted": True})


async def _whose(request: Request, db: Database) -> tuple[int, int | None]:
    tenant = await tenant_in(request, db)
    return tenant.tenant_id, number_in(request, "key_id") if "key_id" in request.path_params else None


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """Limits as JSON; `key_id` null: those of all the tenant's keys together."""
    return {"object": "router.limits", **{name: value for name, value in row.items() if name not in _PATHS}}


routes = [
    route("/tenants/{tenant}/limits", list_limits, "GET"),
    route("/tenants/{tenant}/limits", put_limits, "PUT"),
    route("/tenants/{tenant}/limits", delete_limits, "DELETE"),
    route("/tenants/{tenant}/keys/{key_id}/limits", put_limits, "PUT"),
    route("/tenants/{tenant}/keys/{key_id}/limits", delete_limits, "DELETE"),
]
