"""`pgrouter policy`: adds, changes, lists and deletes policies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from ..errors import NotFound
from ..operations import policies
from ..operations.policy_defaults import names_in
from ..settings import Backend
from ..store import policies as stored_policies
from ..store.database import Database
from .common import AsJson, note, options, show, tenant_of, with_database
from .setting_options import with_settings
from .tenants import TenantArgument

group = typer.Typer(
    no_args_is_help=True, help="Add, change, list and delete policies, which route a tenant's requests."
)

PolicyArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="Name that requests give in `model`, such as auto.")
]


@group.command("put")
@with_settings()
def put_policy(
    tenant: TenantArgument,
    name: PolicyArgument,
    backend: Annotated[
        Backend | None,
        typer.Option(help="Backend that ranks the candidates. Default for a new policy: ROUTER_BACKEND, else knn."),
    ] = None,
    default: Annotated[
        str | None,
        typer.Option(
            help="Model that serves if the decision is declined. Default for a new policy: the dearest candidate."
        ),
    ] = None,
    models: Annotated[
        str | None,
        typer.Option(
            help="Candidates, separated by commas. Default for a new policy: ROUTER_CANDIDATES, else by price."
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(help="Weights of the models under backend weighted, separated by commas. Default: 1 each."),
    ] = None,
    *,
    settings: Mapping[str, Any],
) -> None:
    """Add a policy, or change one; options that are not given keep their values."""
    shares = None if weights is None else _weights(weights)
    wanted = None if models is None else names_in(models)
    if wanted == ():
        raise typer.BadParameter("give at least one model", param_hint="--models")

    async def work(db: Database) -> list[str]:
        tenant_id = (await tenant_of(db, tenant)).tenant_id
        return await policies.put(
            db,
            tenant_id,
            name,
            backend=backend,
            default=default,
            models=wanted,
            weights=shares,
            settings=settings,
            by="cli",
        )

    with options("weights"):
        notes = with_database(work)
    for text in notes:
        note(text)
    typer.echo(f"Policy {name} of {tenant} is set.")


@group.command("list")
def list_policies(tenant: TenantArgument, as_json: AsJson = False) -> None:
    """List a tenant's policies with every setting."""

    async def work(db: Database) -> list[Any]:
        return list(await stored_policies.list_policies(db, (await tenant_of(db, tenant)).tenant_id))

    found = [dict(row) for row in with_database(work)]
    if as_json:
        show(found, as_json=True)
        return
    if not found:
        note(f"The tenant has no policies: add one with `pgrouter policy put {tenant!r} auto`.")
    # Seventeen columns do not fit a terminal: each policy is a block of lines.
    for position, policy in enumerate(found):
        if position:
            typer.echo()
        show(
            [{"setting": setting, "value": value} for setting, value in policy.items() if setting != "policy_id"],
            as_json=False,
        )


@group.command("delete")
def delete_policy(tenant: TenantArgument, name: PolicyArgument) -> None:
    """Delete a policy: requests that name it get 404; its decisions stay in the ledger."""

    async def work(db: Database) -> None:
        if not await stored_policies.delete_policy(db, (await tenant_of(db, tenant)).tenant_id, name):
            raise NotFound(f"The tenant {tenant!r} has no policy {name!r}.")

    with_database(work)
    typer.echo(f"Deleted policy {name} of {tenant}.")


def _weights(text: str) -> list[float]:
    try:
        weights = [float(part) for part in text.split(",")]
    except ValueError:
        weights = []
    if not weights or not all(0 <= weight < float("inf") for weight in weights):
        raise typer.BadParameter(
            f"{text!r} is not a list of numbers of 0 or more, separated by commas", param_hint="--weights"
        )
    return weights
