"""/v1/router/admin/tenants/{tenant}/prices: a tenant's own prices of models."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from ...errors import NotFound
from ...http.responses import answer
from ...operations import models
from ...store import prices as stored_prices
from ...store.database import Database
from ..requests import parse_body
from ..responses import Listing, listing, select
from .requests import AdminRequest, tenant_in
from .route import admin_route


def _day(value: object) -> date:
    try:
        if not isinstance(value, str) or len(value) != 10:
            raise ValueError
        day = date.fromisoformat(value)
    except ValueError:
        raise ValueError(f"{value!r:.40} is not a date such as 2026-01-31") from None
    if day > datetime.now(UTC).date():
        raise ValueError(f"{value} is in the future; a price applies from the moment it is set")
    return day


#: USD per million tokens; more than a dollar per token is a mistake.
Usd = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
Day = Annotated[date, BeforeValidator(_day)]


class TenantPrice(AdminRequest):
    """Prices in USD per million tokens."""

    input_price: Usd
    output_price: Usd
    cached_input_price: Usd | None = Field(None, description="null: cached tokens cost `input_price`.")
    priced_on: Day | None = Field(None, description="The day that the prices are from. Default: today.")


class PriceEntry(TypedDict):
    """A tenant's prices for a model, in USD per million tokens."""

    object: Literal["router.price"]
    model: str
    provider: str
    input_price: float | None
    cached_input_price: float | None
    output_price: float | None
    priced_on: Annotated[date | None, Field(description="The day that the prices are from.")]
    origin: Annotated[
        str | None,
        Field(
            description="tenant: its own price; model: the model's; upstream: that of its upstream model; or unpriced."
        ),
    ]


class DeletedPrice(TypedDict):
    """The model whose own prices the tenant pays again."""

    object: Literal["router.price"]
    model: str
    deleted: Literal[True]


async def list_prices(request: Request, db: Database) -> Response:
    """Return what a tenant pays for each enabled model."""
    tenant = await tenant_in(request, db)
    rows = await stored_prices.prices(db, tenant.tenant_id)
    return answer(listing([select(PriceEntry, row, object="router.price") for row in rows]))


async def put_price(request: Request, db: Database) -> Response:
    """Set a tenant's own prices of a model; none of the model's own prices apply any more."""
    tenant = await tenant_in(request, db)
    model = await models.get(db, request.path_params["model"])
    wanted = await parse_body(request, TenantPrice)
    priced_on = wanted.priced_on or datetime.now(UTC).date()
    await stored_prices.put_price(
        db,
        tenant.tenant_id,
        model["name"],
        input_price=wanted.input_price,
        cached_input_price=wanted.cached_input_price,
        output_price=wanted.output_price,
        priced_on=priced_on,
    )
    entry: PriceEntry = {
        "object": "router.price",
        "model": model["name"],
        "provider": model["provider"],
        "input_price": wanted.input_price,
        "cached_input_price": wanted.cached_input_price,
        "output_price": wanted.output_price,
        "priced_on": priced_on,
        "origin": "tenant",
    }
    return answer(entry)


async def delete_price(request: Request, db: Database) -> Response:
    """Delete a tenant's own prices of a model; the model's prices apply again."""
    tenant = await tenant_in(request, db)
    model = await models.get(db, request.path_params["model"])
    if not await stored_prices.drop_price(db, tenant.tenant_id, model["name"]):
        raise NotFound(f"The tenant {tenant.name!r} has no price of its own for {model['name']}.", param="model")
    removed: DeletedPrice = {"object": "router.price", "model": model["name"], "deleted": True}
    return answer(removed)


_PATH = "/tenants/{tenant}/prices/{model:path}"

routes = [
    admin_route("GET", "/tenants/{tenant}/prices", list_prices, "What a tenant pays.", Listing[PriceEntry]),
    admin_route(
        "PUT", _PATH, put_price, "Set a tenant's own prices of a model.", PriceEntry, errors=(409,), body=TenantPrice
    ),
    admin_route("DELETE", _PATH, delete_price, "Delete a tenant's own prices of a model.", DeletedPrice, errors=(409,)),
]
