"""The `pgrouter` command."""

from __future__ import annotations

from typing import Annotated

import typer

from . import (
    backtest,
    calibrate,
    database,
    embed,
    explain,
    import_export,
    keys,
    limits,
    maintain,
    models,
    policies,
    prices,
    providers,
    readers,
    reembed,
    status,
    tenants,
    usage,
)
from .common import Command

main = typer.Typer(
    cls=Command,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="An OpenAI base URL that learns which prompts a cheaper model answers well enough; its memory is in Postgres. "
    "Commands use DATABASE_URL, or the embedded Postgres of PGROUTER_HOME while `pgrouter serve` runs.",
)


@main.command()
def serve(
    workers: Annotated[
        int | None,
        typer.Option("--workers", metavar="N", help="Processes that share the port. Default: ROUTER_WORKERS, else 1."),
    ] = None,
) -> None:
    """Serve until SIGINT or SIGTERM; without DATABASE_URL, start an embedded Postgres with a demo tenant first."""
    # Imported here, as it imports the whole proxy, which the other commands need not wait for.
    from .serve import serve

    serve(workers)


main.add_typer(tenants.group, name="tenant")
main.add_typer(keys.group, name="key")
main.add_typer(readers.group, name="reader")
main.add_typer(providers.group, name="provider")
main.add_typer(models.group, name="model")
main.add_typer(prices.group, name="price")
main.add_typer(policies.group, name="policy")
main.add_typer(limits.group, name="limit")
import_export.add_to(main)
status.add_to(main)
explain.add_to(main)
embed.add_to(main)
backtest.add_to(main)
calibrate.add_to(main)
usage.add_to(main)
reembed.add_to(main)
database.add_to(main)
maintain.add_to(main)
