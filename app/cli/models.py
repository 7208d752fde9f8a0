"""`pgrouter provider` and `pgrouter model`: who serves which models, and at what price."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.common import AsJson, note, options, show, with_database
from app.cli.prices import CacheShareOption, PriceOption, in_words, mention_old, one_of
from app.entities import CAPABILITIES
from app.operations import capabilities
from app.operations import models as administered
from app.operations.models import Put
from app.store import models as registry
from app.store.database import Database

models = typer.Typer(no_args_is_help=True, help="Say which models there are, and their prices.")


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
    parallel_tools: Annotated[bool | None, typer.Option(help="Calls several tools at once.")] = None,
    audio: Annotated[bool | None, typer.Option(help="Hears and speaks.")] = None,
    reasoning: Annotated[bool | None, typer.Option(help="Takes an effort of reasoning.")] = None,
    max_output: Annotated[int | None, typer.Option(min=1, max=2**31 - 1, help="Completion tokens at most.")] = None,
) -> None:
    """Add a model, or change one and enable it; what is not given stays, prices come from genai-prices if known."""
    if (name is None) == (all_known is None):
        raise typer.BadParameter("give either NAME or --all-known PROVIDER")
    if name is None:
        assert all_known is not None
        of_one = (upstream_name, input_price, output_price, cached_input_price, cache_share, context_window, max_output)
        if any(given is not None for given in of_one):
            raise typer.BadParameter("prices and upstream names are of one model: give NAME", param_hint="--all-known")
        added, notes = with_database(lambda db: administered.put_all(db, all_known, provider or all_known))
        for text in notes:
            note(text)
        typer.echo(f"{len(added)} models of {provider or all_known} are there: {', '.join(added)}.")
        return
    one_of(cached_input_price, cache_share)
    given = {
        "input_price": input_price,
        "cached_input_price": cached_input_price,
        "output_price": output_price,
        "context_window": context_window,
        "max_output": max_output,
        "tools": tools,
        "parallel_tools": parallel_tools,
        "vision": vision,
        "audio": audio,
        "json_schema": json_schema,
        "reasoning": reasoning,
    }

    async def work(db: Database) -> Put:
        return await administered.put(db, name, provider, upstream_name, given, cache_share=cache_share)

    # A provider that is not there is no slip of the option's: it has to be added first.
    with options("cache_share", *(("provider",) if provider is None else ())):
        done = with_database(work)
    for text in done.notes:
        note(text)
    row, price = done.row, ""
    if row["input_price"] is None or row["output_price"] is None:
        note(f"{name} has no known price: give --input-price and --output-price, or no policy can weigh its cost.")
    else:
        price = in_words(row["input_price"], row["cached_input_price"], row["output_price"], row["priced_on"])
    typer.echo(f"Model {name} is there{f': {price}' if price else ''}.")


@models.command("refresh")
def refresh_models(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]…", help="Else all.")] = None,
    provider: Annotated[str | None, typer.Option(help="Those that it serves.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is known, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask providers what models can do, and fill in what is unknown of them: context window, tools, vision, …"""
    found = with_database(lambda db: capabilities.refresh(db, names or (), provider=provider, force=force))
    for text in found.notes:
        note(text)
    show(found.models, as_json=as_json, columns=("name", *CAPABILITIES), empty="Nothing new is known of them.")


@models.command("list")
def list_models(as_json: AsJson = False) -> None:
    """Every model with its prices, USD per million tokens, and the day they are from, the disabled ones too."""
    found = with_database(registry.inventory)
    show(found, as_json=as_json, empty="There are no models; `pgrouter model add` adds one.")
    mention_old((row["name"], row) for row in found if row["enabled"])


@models.command("disable")
def disable_model(name: Annotated[str, typer.Argument()]) -> None:
    """Neither list nor serve a model any more; what was taught about it stays."""
    with_database(lambda db: administered.enable(db, name, enabled=False))
    typer.echo(f"Disabled {name}; `pgrouter model enable {name}` brings it back.")


@models.command("enable")
def enable_model(name: Annotated[str, typer.Argument()]) -> None:
    """List and serve a disabled model again."""
    with_database(lambda db: administered.enable(db, name, enabled=True))
    typer.echo(f"Enabled {name}.")
