"""`pgrouter model`: adds, lists, enables and disables models, and reads their capabilities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import orjson
import typer

from ..entities import CAPABILITIES
from ..operations import capabilities, model_settings, models
from ..operations.models import Put
from ..store import models as stored_models
from ..store.database import Database
from .common import AsJson, note, options, show, with_database
from .prices import CacheShareOption, PriceOption, in_words, mention_old, one_of

group = typer.Typer(no_args_is_help=True, help="Add, list, enable and disable models.")


@group.command("add")
def add_model(
    name: Annotated[str | None, typer.Argument(help="Name that requests give in `model`.")] = None,
    provider: Annotated[str | None, typer.Option(help="Provider that serves it; required for a new model.")] = None,
    all_known: Annotated[
        str | None,
        typer.Option(
            metavar="PROVIDER", help="Provider whose chat models with known prices are all added, instead of NAME."
        ),
    ] = None,
    upstream_name: Annotated[
        str | None,
        typer.Option("--upstream-name", "--upstream", help="Name that the provider uses. Default: NAME."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Member of the request's body where the client sends none, such as reasoning_effort=low (repeatable).",
        ),
    ] = None,
    unset: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Setting to remove (repeatable).")] = None,
    upstream_price: Annotated[
        bool, typer.Option("--upstream-price", help="Prices of the upstream model, in place of prices of its own.")
    ] = False,
    input_price: PriceOption = None,
    output_price: PriceOption = None,
    cached_input_price: PriceOption = None,
    cache_share: CacheShareOption = None,
    context_window: Annotated[int | None, typer.Option(min=1, max=2**31 - 1, help="Context window, in tokens.")] = None,
    tools: Annotated[bool | None, typer.Option(help="Support for tools.")] = None,
    vision: Annotated[bool | None, typer.Option(help="Support for images in prompts.")] = None,
    json_schema: Annotated[bool | None, typer.Option(help="Support for JSON schemas.")] = None,
    parallel_tools: Annotated[bool | None, typer.Option(help="Support for several tool calls at once.")] = None,
    audio: Annotated[bool | None, typer.Option(help="Support for audio.")] = None,
    reasoning: Annotated[bool | None, typer.Option(help="Support for a reasoning effort.")] = None,
    max_output: Annotated[
        int | None, typer.Option(min=1, max=2**31 - 1, help="Greatest number of completion tokens.")
    ] = None,
) -> None:
    """Add a model, or change one and enable it; options that are not given keep their values.

    If the upstream model is a model here too, its prices apply; other unknown prices come from genai-prices.
    """
    if (name is None) == (all_known is None):
        raise typer.BadParameter("give either NAME or --all-known PROVIDER")
    if name is None:
        assert all_known is not None
        of_one = (upstream_name, input_price, output_price, cached_input_price, cache_share, context_window, max_output)
        if upstream_price or any(given not in (None, []) for given in (*of_one, set_, unset)):
            raise typer.BadParameter(
                "prices and other options belong to one model: give NAME", param_hint="--all-known"
            )
        added, notes = with_database(lambda db: models.put_all(db, all_known, provider or all_known))
        for text in notes:
            note(text)
        typer.echo(f"Added {len(added)} models of {provider or all_known}: {', '.join(added)}.")
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
        return await models.put(
            db,
            name,
            provider,
            upstream_name,
            given,
            cache_share=cache_share,
            set_=model_settings.parsed(set_ or ()),
            unset=unset or (),
            upstream_price=upstream_price,
        )

    # An unknown provider is not a mistake in the option: the provider has to be added first.
    with options("cache_share", "set", "unset", "upstream_price", *(("provider",) if provider is None else ())):
        done = with_database(work)
    for text in done.notes:
        note(text)
    row, price = done.row, ""
    if row["input_price"] is None or row["output_price"] is None:
        note(f"{name} has no known price: give --input-price and --output-price, which policies need.")
    else:
        price = in_words(row["input_price"], row["cached_input_price"], row["output_price"], row["priced_on"])
        price += "" if row["priced_by"] is None else f", the prices of {row['priced_by']}"
    typer.echo(f"Model {name} is enabled{f': {price}' if price else ''}.")
    if row["settings"]:
        typer.echo(f"It sets {_pairs(row['settings'])}.")


def _pairs(settings: Mapping[str, Any]) -> str:
    """Settings as `--set` takes them."""
    pairs = (
        (name, value if isinstance(value, str) else orjson.dumps(value).decode()) for name, value in settings.items()
    )
    return ", ".join(f"{name}={value}" for name, value in pairs)


@group.command("refresh")
def refresh_models(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]…", help="Models. Default: all.")] = None,
    provider: Annotated[
        str | None, typer.Option(help="Provider whose models are refreshed. Default: all providers.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwriting of known values.")] = False,
    as_json: AsJson = False,
) -> None:
    """Read the capabilities of models (context window, tools, vision, …) from their providers; fill in unknown ones."""
    found = with_database(lambda db: capabilities.refresh(db, names or (), provider=provider, force=force))
    for text in found.notes:
        note(text)
    show(found.models, as_json=as_json, columns=("name", *CAPABILITIES), empty="No unknown capability was filled in.")


@group.command("list")
def list_models(as_json: AsJson = False) -> None:
    """List every model, disabled ones too, with its prices in USD per million tokens and their date.

    `priced_by`: the upstream model that the prices are those of.
    """
    found = with_database(stored_models.list_models)
    if not as_json:
        found = [{**row, "settings": _pairs(row["settings"])} for row in found]
    show(found, as_json=as_json, empty="There are no models: add one with `pgrouter model add`.")
    mention_old((row["name"], row) for row in found if row["enabled"])


@group.command("disable")
def disable_model(name: Annotated[str, typer.Argument()]) -> None:
    """Stop listing and serving a model; its labels are kept."""
    with_database(lambda db: models.enable(db, name, enabled=False))
    typer.echo(f"Disabled {name}; enable it again with `pgrouter model enable {name}`.")


@group.command("enable")
def enable_model(name: Annotated[str, typer.Argument()]) -> None:
    """List and serve a disabled model again."""
    with_database(lambda db: models.enable(db, name, enabled=True))
    typer.echo(f"Enabled {name}.")
