"""`pgrouter price`: a tenant's own prices, which replace the prices of models."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

import typer

from ..operations.model_prices import share_of
from ..store import prices as stored_prices
from ..store.database import Database
from .common import AsJson, note, show, tenant_of, with_database
from .tenants import TenantArgument

group = typer.Typer(no_args_is_help=True, help="Set, remove and list a tenant's own prices.")

ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="Name of the model.")]

#: Age at which a price is reported as old.
OLD = timedelta(days=180)
_RENEW = "Take the list prices of the installed genai-prices by `pgrouter model add --all-known PROVIDER`."


#: Greatest price, USD per million tokens: a dollar a token is a mistake.
DEAREST = 1e6


def usd(value: float | None) -> float | None:
    """Check a price from the command line. Raises `BadParameter` if it is out of range."""
    if value is not None and not 0 <= value <= DEAREST:
        raise typer.BadParameter(f"{value:g} is outside 0 to 1,000,000 USD per million tokens")
    return value


def _share(value: float | None) -> float | None:
    if value is not None and not 0 <= value <= 1:
        raise typer.BadParameter(f"{value:g} is outside 0 to 1, as a share of the input price")
    return value


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a date like 2026-01-31", param_hint="--priced-on") from None
    if found > datetime.now(UTC).date():
        raise typer.BadParameter(
            f"{text} is in the future; a price takes effect when it is set", param_hint="--priced-on"
        )
    return found


PriceOption = Annotated[
    float | None,
    typer.Option(callback=usd, help="Price in USD per million tokens."),
]
CacheShareOption = Annotated[
    float | None,
    typer.Option(
        callback=_share,
        help="Price of cached tokens as a share of the input price, such as 0.1; instead of --cached-input-price.",
    ),
]
DayOption = Annotated[str | None, typer.Option(help="Date of the prices. Default: today.")]


def one_of(cached: float | None, share: float | None) -> None:
    """Raise `BadParameter` if both the price of cached tokens and its share of the input price are given."""
    if cached is not None and share is not None:
        raise typer.BadParameter("give either this or --cached-input-price", param_hint="--cache-share")


@group.command("set")
def set_price(
    tenant: TenantArgument,
    model: ModelArgument,
    input_price: Annotated[float, typer.Option(callback=usd, help="Price in USD per million prompt tokens.")],
    output_price: Annotated[
        float, typer.Option(callback=usd, help="Price in USD per million completion and reasoning tokens.")
    ],
    cached_input_price: PriceOption = None,
    cache_share: CacheShareOption = None,
    priced_on: DayOption = None,
) -> None:
    """Set a tenant's own prices for a model, which replace all of the model's.

    Without a price of their own, cached tokens cost as much as other prompt tokens.
    """
    day = _day(priced_on) or datetime.now(UTC).date()
    one_of(cached_input_price, cache_share)
    cached = cached_input_price if cache_share is None else share_of(cache_share, input_price)

    async def work(db: Database) -> bool:
        tenant_id = (await tenant_of(db, tenant)).tenant_id
        return await stored_prices.put_price(
            db,
            tenant_id,
            model,
            input_price=input_price,
            cached_input_price=cached,
            output_price=output_price,
            priced_on=day,
        )

    new = with_database(work)
    typer.echo(
        f"{tenant} {'now pays' if new else 'pays'} {in_words(input_price, cached, output_price, day)} for {model}."
    )


@group.command("unset")
def unset_price(tenant: TenantArgument, model: ModelArgument) -> None:
    """Remove a tenant's own prices for a model."""

    async def work(db: Database) -> bool:
        return await stored_prices.drop_price(db, (await tenant_of(db, tenant)).tenant_id, model)

    if with_database(work):
        typer.echo(f"{tenant} pays the model's prices for {model}.")
    else:
        note(f"{tenant} has no price of its own for {model}.")


@group.command("list")
def list_prices(tenant: TenantArgument, as_json: AsJson = False) -> None:
    """List the prices that a tenant pays, in USD per million tokens, with their origin and date."""

    async def work(db: Database) -> list[Any]:
        return list(await stored_prices.prices(db, (await tenant_of(db, tenant)).tenant_id))

    found = with_database(work)
    show(found, as_json=as_json, empty="There are no models: add one with `pgrouter model add`.")
    mention_old((row["model"], row) for row in found if row["origin"] == "model")
    mention_old(
        ((row["model"], row) for row in found if row["origin"] == "tenant"),
        f"Set new ones by `pgrouter price set {shlex.quote(tenant)} MODEL`.",
    )


def in_words(paid_in: float, cached: float | None, paid_out: float, day: date | None) -> str:
    """Prices as a phrase."""
    cheaper = "" if cached is None else f" ({cached:g} cached)"
    since = "" if day is None else f", as of {day}"
    return f"{paid_in:g} USD per million tokens in{cheaper}, {paid_out:g} out{since}"


def mention_old(rows: Iterable[tuple[str, Mapping[str, Any]]], remedy: str = _RENEW) -> None:
    """Report on stderr which models have old prices, and the command that renews them."""
    oldest = datetime.now(UTC).date() - OLD
    old = [name for name, row in rows if row["priced_on"] is not None and row["priced_on"] < oldest]
    if old:
        note(f"Prices older than {OLD.days} days: {', '.join(old)}. {remedy}")
