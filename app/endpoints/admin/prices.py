"""/v1/router/admin/tenants/{tenant}/prices: what a tenant pays for models, where that is not what everybody pays."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from starlette.requests import Request
from starlette.responses import Response

from app.endpoints.admin.auth import Body, route, tenant_in
from app.endpoints.requests import parsed
from app.errors import NotFound
from app.http.responses import answer
from app.operations import models
from app.store import prices
from app.store.database import Database


def _day(value: object) -> date:
    try:
        if not isinstance(value, str) or len(value) != 10:
            raise ValueError
        day = date.fromisoformat(value)
    except ValueError:
        raise ValueError("it is no day such as 2026-01-31") from None
    if day > datetime.now(UTC).date():
        raise ValueError("the day is yet to come; a price counts from when it is set")
    return day


#: USD per million tokens; a dollar a token is no price but a slip.
Usd = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
Day = Annotated[date, BeforeValidator(_day)]


class TenantPrice(Body):
    """USD per million tokens; without a price of their own cached tokens cost like others."""

    input_price: Usd
    output_price: Usd
    cached_input_price: Usd | None = None
    priced_on: Day | None = None


async def list_prices(request: Request, db: Database) -> Response:
    """What a tenant pays for each enabled model, whose price that is, and the day it is from."""
    tenant = await tenant_in(request, db)
    rows = await prices.prices(db, tenant.tenant_id)
    return answer({"object": "list", "data": [{"object": "router.price", **row} for row in rows]})


async def put_price(request: Request, db: Database) -> Response:
    """Let a tenant pay these prices for a model, and none of the model's own."""
    tenant = await tenant_in(request, db)
    model = await models.get(db, request.path_params["model"])
    wanted = await parsed(request, TenantPrice)
    paid: dict[str, Any] = {
        "input_price": wanted.input_price,
        "cached_input_price": wanted.cached_input_price,
        "output_price": wanted.output_price,
        "priced_on": wanted.priced_on or datetime.now(UTC).date(),
    }
    await prices.put_price(db, tenant.tenant_id, model["name"], **paid)
    return answer(
        {"object": "router.price", "model": model["name"], "provider": model["provider"], **paid, "origin": "tenant"}
    )


async def delete_price(request: Request, db: Database) -> Response:
    """Let a tenant pay the model's own prices again."""
    tenant = await tenant_in(request, db)
    model = await models.get(db, request.path_params["model"])
    if not await prices.drop_price(db, tenant.tenant_id, model["name"]):
        raise NotFound(f"The tenant {tenant.name!r} has no price of its own for {model['name']}.", param="model")
    return answer({"object": "router.price", "model": model["name"], "deleted": True})


routes = [
    route("/tenants/{tenant}/prices", list_prices, "GET"),
    route("/tenants/{tenant}/prices/{model:path}", put_price, "PUT"),
    route("/tenants/{tenant}/prices/{model:path}", delete_price, "DELETE"),
]
