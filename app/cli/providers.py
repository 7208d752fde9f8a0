"""`pgrouter provider`: where models are served."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.common import AsJson, show, with_database
from app.operations import providers as hosts
from app.operations.policy_defaults import names_in
from app.operations.providers import APIS, KeyHeader
from app.store import providers as providers_store
from app.store.database import Database

providers = typer.Typer(no_args_is_help=True, help="Say where models are served.")


@providers.command("add")
def add_provider(
    name: Annotated[str, typer.Argument(help="openai, anthropic, … have known prices.")],
    base_url: Annotated[
        str | None, typer.Option(help="Ends before /chat/completions; needed for a new provider.")
    ] = None,
    key_variable: Annotated[
        str | None, typer.Option(help="Environment variable of the proxy that holds the provider's key.")
    ] = None,
    speaks: Annotated[
        str | None, typer.Option(help=f"APIs it answers, commas between, of {', '.join(APIS)}; else what OpenAI does.")
    ] = None,
    key_header: Annotated[
        KeyHeader | None, typer.Option(help="What carries its key; of a new one on most hosts, authorization.")
    ] = None,
) -> None:
    """Add a provider, or change one; what is not given stays ('' for no key variable)."""
    apis = None if speaks is None else names_in(speaks)
    if apis is not None and (not apis or not set(apis) <= set(APIS)):
        raise typer.BadParameter(f"{speaks!r} is no list of {', '.join(APIS)}", param_hint="--speaks")

    async def work(db: Database) -> str:
        known = await hosts.find(db, name)
        if base_url is None and known is None:
            raise typer.BadParameter("a new provider needs one", param_hint="--base-url")
        url = base_url or str(known["base_url"] if known is not None else "")
        await hosts.put(db, name, url, key_variable, speaks=apis, key_header=key_header)
        return url

    typer.echo(f"Provider {name} is at {with_database(work)}.")


@providers.command("remove")
def remove_provider(name: Annotated[str, typer.Argument()]) -> None:
    """Remove a provider that serves no model, not even a disabled one."""
    with_database(lambda db: hosts.remove(db, name))
    typer.echo(f"Removed provider {name}.")


@providers.command("list")
def list_providers(as_json: AsJson = False) -> None:
    """Every provider."""
    show(
        with_database(providers_store.upstreams),
        as_json=as_json,
        empty="There are no providers; `pgrouter provider add openai --base-url https://api.openai.com/v1 "
        "--key-variable OPENAI_API_KEY` adds one.",
    )
