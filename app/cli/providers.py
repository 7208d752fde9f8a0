"""`pgrouter provider`: adds, removes and lists providers."""

from __future__ import annotations

from typing import Annotated

import typer

from ..operations import providers
from ..operations.policy_defaults import names_in
from ..operations.providers import APIS, KeyHeader
from ..store import providers as stored_providers
from ..store.database import Database
from .common import AsJson, show, with_database

group = typer.Typer(no_args_is_help=True, help="Add, remove and list the providers of models.")


@group.command("add")
def add_provider(
    name: Annotated[str, typer.Argument(help="Name; prices are known for openai, anthropic, …")],
    base_url: Annotated[
        str | None, typer.Option(help="URL that ends before /chat/completions; required for a new provider.")
    ] = None,
    key_variable: Annotated[
        str | None, typer.Option(help="Environment variable of the proxy with the provider's key; '': no key.")
    ] = None,
    speaks: Annotated[
        str | None,
        typer.Option(help=f"Supported APIs, separated by commas, of {', '.join(APIS)}. Default: those of OpenAI."),
    ] = None,
    key_header: Annotated[
        KeyHeader | None,
        typer.Option(help="Header of its key. Default for a new provider: authorization, on most hosts."),
    ] = None,
) -> None:
    """Add a provider, or change one; options that are not given keep their values."""
    apis = None if speaks is None else names_in(speaks)
    if apis is not None and (not apis or not set(apis) <= set(APIS)):
        raise typer.BadParameter(
            f"{speaks!r} names an unknown API: list some of {', '.join(APIS)}", param_hint="--speaks"
        )

    async def work(db: Database) -> str:
        known = await providers.find(db, name)
        if base_url is None and known is None:
            raise typer.BadParameter("a new provider needs a base URL", param_hint="--base-url")
        url = base_url or str(known["base_url"] if known is not None else "")
        await providers.put(db, name, url, key_variable, speaks=apis, key_header=key_header)
        return url

    typer.echo(f"Provider {name} is at {with_database(work)}.")


@group.command("remove")
def remove_provider(name: Annotated[str, typer.Argument()]) -> None:
    """Remove a provider that serves no model, neither enabled nor disabled."""
    with_database(lambda db: providers.remove(db, name))
    typer.echo(f"Removed provider {name}.")


@group.command("list")
def list_providers(as_json: AsJson = False) -> None:
    """List every provider."""
    show(
        with_database(stored_providers.list_providers),
        as_json=as_json,
        empty="There are no providers: add one with `pgrouter provider add openai "
        "--base-url https://api.openai.com/v1 --key-variable OPENAI_API_KEY`.",
    )
