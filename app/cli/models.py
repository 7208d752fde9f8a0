"""`pgrouter provider` and `pgrouter model`: who serves which models, and at what price."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from app.cli.common import AsJson, note, show, with_database
from app.cli.prices import CacheShareOption, PriceOption, cached_price, in_words, mention_old
from app.errors import ConfigurationError, NotFound
from app.store import tenancy
from app.store.database import Database

providers = typer.Typer(no_args_is_help=True, help="Say where models are served.")
models = typer.Typer(no_args_is_help=True, help="Say which models there are, and their prices.")

Row = Mapping[str, Any]


@providers.command("add")
def add_provider(
    name: Annotated[str, typer.Argument(help="openai, anthropic, … have known prices.")],
    base_url: Annotated[str, typer.Option(help="Ends before /chat/completions.")],
    key_variable: Annotated[
        str | None, typer.Option(help="Environment variable of the proxy that holds the provider's key.")
    ] = None,
) -> None:
    """Add a provider, or change one; its key variable stays unless it is given ('' for none)."""

    async def work(db: Database) -> None:
        known = next((row for row in await tenancy.upstreams(db) if row["name"] == name), None)
        kept = known["key_variable"] if known is not None else None
        await tenancy.put_provider(db, name, base_url, kept if key_variable is None else key_variable.strip() or None)

    with_database(work)
    typer.echo(f"Provider {name} is at {base_url}.")


@providers.command("list")
def list_providers(as_json: AsJson = False) -> None:
    """Every provider."""
    show(
        with_database(tenancy.upstreams),
        as_json=as_json,
        empty="There are no providers; `pgrouter provider add openai --base-url https://api.openai.com/v1 "
        "--key-variable OPENAI_API_KEY` adds one.",
    )


@models.command("add")
def add_model(
    name: Annotated[str | None, typer.Argument(help="What requests say in `model`.")] = None,
    provider: Annotated[str | None, typer.Option(help="Who serves it; needed for a new model.")] = None,
    all_known: Annotated[
        str | None, typer.Option(metavar="PROVIDER", help="Instead of NAME: every chat model with a known price.")
    ] = None,
    upstream_name: Annotated[str | None, typer.Option(help="What the provider calls it; else NAME.")] = None,
    input_price: PriceOption = None,
    output_price: PriceOption = None,
    cached_input_price: PriceOption = None,
    cache_share: CacheShareOption = None,
    context_window: Annotated[int | None, typer.Option(min=1, max=2**31 - 1, help="Tokens.")] = None,
    tools: Annotated[bool | None, typer.Option(help="Calls tools.")] = None,
    vision: Annotated[bool | None, typer.Option(help="Reads images.")] = None,
    json_schema: Annotated[bool | None, typer.Option(help="Follows a JSON schema.")] = None,
) -> None:
    """Add a model, or change one and enable it; what is not given stays, prices come from genai-prices if known."""
    if (name is None) == (all_known is None):
        raise typer.BadParameter("give either NAME or --all-known PROVIDER")
    if name is None:
        assert all_known is not None
        if any(
            given is not None
            for given in (upstream_name, input_price, output_price, cached_input_price, cache_share, context_window)
        ):
            raise typer.BadParameter("prices and upstream names are of one model: give NAME", param_hint="--all-known")
        added = with_database(lambda db: _add_all(db, all_known, provider or all_known))
        typer.echo(f"{len(added)} models of {provider or all_known} are there: {', '.join(added)}.")
        return
    given = {
        "input_price": input_price,
        "cached_input_price": cached_input_price,
        "output_price": output_price,
        "context_window": context_window,
        "tools": tools,
        "vision": vision,
        "json_schema": json_schema,
    }
    price = with_database(lambda db: _add(db, name, provider, upstream_name, given, cache_share))
    if price is None:
        note(f"{name} has no known price: give --input-price and --output-price, or no policy can weigh its cost.")
    typer.echo(f"Model {name} is there{f': {price}' if price else ''}.")


@models.command("list")
def list_models(as_json: AsJson = False) -> None:
    """Every model with its prices, USD per million tokens, and the day they are from, the disabled ones too."""
    found = with_database(tenancy.inventory)
    show(found, as_json=as_json, empty="There are no models; `pgrouter model add` adds one.")
    mention_old((row["name"], row) for row in found if row["enabled"])


@models.command("disable")
def disable_model(name: Annotated[str, typer.Argument()]) -> None:
    """Neither list nor serve a model any more; what was taught about it stays."""
    with_database(lambda db: _enable(db, name, enabled=False))
    typer.echo(f"Disabled {name}; `pgrouter model enable {name}` brings it back.")


@models.command("enable")
def enable_model(name: Annotated[str, typer.Argument()]) -> None:
    """List and serve a disabled model again."""
    with_database(lambda db: _enable(db, name, enabled=True))
    typer.echo(f"Enabled {name}.")


async def _add(
    db: Database,
    name: str,
    provider: str | None,
    upstream_name: str | None,
    given: dict[str, Any],
    cache_share: float | None,
) -> str | None:
    """Add or change one model; returns its prices in words, None while they are unknown."""
    # Importing the prices takes longer than most commands do.
    from app import prices

    known = await _find(db, name)
    if provider is None:
        if known is None:
            raise typer.BadParameter("a new model needs one", param_hint="--provider")
        provider = str(known["provider"])
    upstream_name = upstream_name or (known["upstream_name"] if known is not None else name)
    host = next((row for row in await tenancy.upstreams(db) if row["name"] == provider), None)
    if host is None:
        raise NotFound(f"There is no provider {provider!r}: `pgrouter provider add {provider} --base-url …` first.")
    now = datetime.now(UTC)
    moved = known is not None and (known["provider"], known["upstream_name"]) != (provider, upstream_name)
    unpriced = known is None or moved or known["input_price"] is None or known["output_price"] is None
    price = prices.lookup(upstream_name, provider, host["base_url"], now=now) if unpriced else None
    own = given["input_price"] is not None or given["output_price"] is not None
    paid_in = given["input_price"]
    if paid_in is None:
        paid_in = price.input if price is not None else known and known["input_price"]
    given["cached_input_price"] = cached_price(given["cached_input_price"], cache_share, paid_in)
    if price is not None:
        filled: dict[str, Any] = {"output_price": price.output, "context_window": price.context_window}
        if given["input_price"] is None:
            # A list price for cached tokens says nothing beside an input price of one's own.
            filled |= {"input_price": price.input, "cached_input_price": price.cached_input}
        given |= {field: value for field, value in filled.items() if given[field] is None}
        if price.dearer_from is not None and not own:
            note(f"{name} is dearer from {price.dearer_from} prompt tokens on; its price below that counts for all.")
    dated = now.date() if own else price and price.on
    await tenancy.put_model(db, name, provider, upstream_name=upstream_name, priced_on=dated, **given)
    row = await _find(db, name)
    assert row is not None
    if row["input_price"] is None or row["output_price"] is None:
        return None
    return in_words(row["input_price"], row["cached_input_price"], row["output_price"], row["priced_on"])


async def _add_all(db: Database, known_as: str, provider: str) -> list[str]:
    from app import prices

    try:
        found = prices.chat_models(known_as)
    except LookupError as error:
        raise ConfigurationError(f"{error}.") from None
    existing = {row["name"]: row for row in await tenancy.inventory(db)}
    added = []
    for name, price in found.items():
        row = existing.get(name)
        if row is not None and row["provider"] != provider:
            note(f"{name} is served by {row['provider']} already and stays there.")
            continue
        await tenancy.put_model(
            db,
            name,
            provider,
            upstream_name=row["upstream_name"] if row is not None else name,
            input_price=price.input,
            cached_input_price=price.cached_input,
            output_price=price.output,
            priced_on=price.on,
            context_window=price.context_window,
            enabled=row is None or row["enabled"],
        )
        added.append(name)
    return added


async def _enable(db: Database, name: str, *, enabled: bool) -> None:
    row = await _find(db, name)
    if row is None:
        raise NotFound(f"There is no model {name!r}; `pgrouter model list` shows them.")
    if not enabled:
        for tenant in await tenancy.tenants(db):
            for policy in await tenancy.settings(db, tenant.tenant_id):
                if policy["default_model"] == name:
                    raise ConfigurationError(
                        f"{name} is the default model of policy {policy['name']} of tenant {tenant.name!r}: give it "
                        f"another first, `pgrouter policy put {tenant.name!r} {policy['name']} --default …`."
                    )
    await tenancy.put_model(db, name, row["provider"], upstream_name=row["upstream_name"], enabled=enabled)


async def _find(db: Database, name: str) -> Row | None:
    return next((row for row in await tenancy.inventory(db) if row["name"] == name), None)
