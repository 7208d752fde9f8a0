"""`pgrouter price`: what a tenant pays for models, where that is not what everybody pays."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

import typer

from app.cli.common import AsJson, note, show, tenant_of, with_database
from app.cli.tenants import TenantArgument
from app.operations.models import share_of
from app.store import prices as store
from app.store.database import Database

prices = typer.Typer(no_args_is_help=True, help="Say what a tenant pays for models.")

ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="What requests say in `model`.")]

#: Prices older than this are worth another look.
OLD = timedelta(days=180)
_ANEW = "`pgrouter model add --all-known PROVIDER` takes list prices anew, from the genai-prices that is installed."


#: USD per million tokens: a dollar a token is no price but a slip.
DEAREST = 1e6


def usd(value: float | None) -> float | None:
    """A price from the command line; `BadParameter` for one that would win or lose every comparison of costs."""
    if value is not None and not 0 <= value <= DEAREST:
        raise typer.BadParameter("a price is 0 to 1,000,000, USD per million tokens")
    return value


def _share(value: float | None) -> float | None:
    if value is not None and not 0 <= value <= 1:
        raise typer.BadParameter("a share of the input price is 0 to 1")
    return value


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no day such as 2026-01-31", param_hint="--priced-on") from None
    if found > datetime.now(UTC).date():
        raise typer.BadParameter(f"{text} is yet to come; a price counts from when it is set", param_hint="--priced-on")
    return found


PriceOption = Annotated[float | None, typer.Option(callback=usd, help="USD per million tokens.")]
CacheShareOption = Annotated[
    float | None,
    typer.Option(callback=_share, help="Or what cached tokens cost as a share of the input price: 0.1."),
]
DayOption = Annotated[str | None, typer.Option(help="Day the prices are from; else today.")]


def one_of(cached: float | None, share: float | None) -> None:
    """The price of cached tokens is given either itself or as a share of the input price; else `BadParameter`."""
    if cached is not None and share is not None:
        raise typer.BadParameter("give it or --cached-input-price", param_hint="--cache-share")


@prices.command("set")
def set_price(
    tenant: TenantArgument,
    model: ModelArgument,
    input_price: Annotated[float, typer.Option(callback=usd, help="USD per million prompt tokens.")],
    output_price: Annotated[float, typer.Option(callback=usd, help="USD per million tokens of answer and reasoning.")],
    cached_input_price: PriceOption = None,
    cache_share: CacheShareOption = None,
    priced_on: DayOption = None,
) -> None:
    """Let a tenant pay these prices for a model, and none of the model's own; cached tokens cost like others."""
    day = _day(priced_on) or datetime.now(UTC).date()
    one_of(cached_input_price, cache_share)
    cached = cached_input_price if cache_share is None else share_of(cache_share, input_price)

    async def work(db: Database) -> bool:
        tenant_id = (await tenant_of(db, tenant)).tenant_id
        return await store.put_price(
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


@prices.command("unset")
def unset_price(tenant: TenantArgument, model: ModelArgument) -> None:
    """Let a tenant pay the model's own prices again."""

    async def work(db: Database) -> bool:
        return await store.drop_price(db, (await tenant_of(db, tenant)).tenant_id, model)

    if with_database(work):
        typer.echo(f"{tenant} pays what everybody pays for {model}.")
    else:
        note(f"{tenant} has no price of its own for {model}.")


@prices.command("list")
def list_prices(tenant: TenantArgument, as_json: AsJson = False) -> None:
    """What a tenant pays for each model, USD per million tokens, whose price that is, and the day it is from."""

    async def work(db: Database) -> list[Any]:
        return list(await store.prices(db, (await tenant_of(db, tenant)).tenant_id))

    found = with_database(work)
    show(found, as_json=as_json, empty="There are no models; `pgrouter model add` adds one.")
    mention_old((row["model"], row) for row in found if row["origin"] == "model")
    mention_old(
        ((row["model"], row) for row in found if row["origin"] == "tenant"),
        f"`pgrouter price set {shlex.quote(tenant)} MODEL` renews them.",
    )


def in_words(paid_in: float, cached: float | None, paid_out: float, day: date | None) -> str:
    """Prices for people."""
    cheaper = "" if cached is None else f" ({cached:g} cached)"
    since = "" if day is None else f", as of {day}"
    return f"{paid_in:g} USD per million tokens in{cheaper}, {paid_out:g} out{since}"


def mention_old(rows: Iterable[tuple[str, Mapping[str, Any]]], remedy: str = _ANEW) -> None:
    """Say on stderr which models' prices have not been looked at for long, and what renews them."""
    border = datetime.now(UTC).date() - OLD
    old = [name for name, row in rows if row["priced_on"] is not None and row["priced_on"] < border]
    if old:
        note(f"Prices of more than {OLD.days} days ago: {', '.join(old)}. {remedy}")
