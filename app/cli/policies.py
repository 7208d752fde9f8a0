"""`pgrouter policy`: the names that ask for routing, and how each decides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from app.cli.common import AsJson, note, options, show, tenant_of, with_database
from app.cli.setting_options import with_settings
from app.cli.tenants import TenantArgument
from app.errors import NotFound
from app.operations import policies as administered
from app.operations.policy_defaults import names_in
from app.settings import Backend
from app.store import policies as policies_store
from app.store.database import Database

policies = typer.Typer(no_args_is_help=True, help="Say how a tenant's requests are routed.")

PolicyArgument = Annotated[str, typer.Argument(metavar="NAME", help="What requests say in `model`, such as auto.")]


@policies.command("put")
@with_settings()
def put_policy(
    tenant: TenantArgument,
    name: PolicyArgument,
    backend: Annotated[Backend | None, typer.Option(help="How candidates are ranked.")] = None,
    default: Annotated[str | None, typer.Option(help="Model that serves when the decision is declined.")] = None,
    models: Annotated[str | None, typer.Option(help="Candidates, commas between.")] = None,
    weights: Annotated[str | None, typer.Option(help="Shares of --models under `weighted`, commas between.")] = None,
    *,
    settings: Mapping[str, Any],
) -> None:
    """Add a policy, or change one; what is not given stays, or for a new one comes from ROUTER_* and the prices."""
    shares = None if weights is None else _shares(weights)
    wanted = None if models is None else names_in(models)
    if wanted == ():
        raise typer.BadParameter("name at least one model", param_hint="--models")

    async def work(db: Database) -> list[str]:
        tenant_id = (await tenant_of(db, tenant)).tenant_id
        return await administered.put(
            db,
            tenant_id,
            name,
            backend=backend,
            default=default,
            models=wanted,
            weights=shares,
            settings=settings,
        )

    with options("weights"):
        notes = with_database(work)
    for text in notes:
        note(text)
    typer.echo(f"Policy {name} of {tenant} is set.")


@policies.command("list")
def list_policies(tenant: TenantArgument, as_json: AsJson = False) -> None:
    """A tenant's policies with every setting."""

    async def work(db: Database) -> list[Any]:
        return list(await policies_store.settings(db, (await tenant_of(db, tenant)).tenant_id))

    found = [dict(row) for row in with_database(work)]
    if as_json:
        show(found, as_json=True)
        return
    if not found:
        note(f"The tenant has no policies; `pgrouter policy put {tenant!r} auto` makes one.")
    # Seventeen columns fit no terminal: one block a policy.
    for position, policy in enumerate(found):
        if position:
            typer.echo()
        show(
            [{"setting": setting, "value": value} for setting, value in policy.items() if setting != "policy_id"],
            as_json=False,
        )


@policies.command("delete")
def delete_policy(tenant: TenantArgument, name: PolicyArgument) -> None:
    """Delete a policy; requests that name it get 404 from then on, its decisions stay in the ledger."""

    async def work(db: Database) -> None:
        if not await policies_store.delete_policy(db, (await tenant_of(db, tenant)).tenant_id, name):
            raise NotFound(f"The tenant {tenant!r} has no policy {name!r}.")

    with_database(work)
    typer.echo(f"Deleted policy {name} of {tenant}.")


def _shares(text: str) -> list[float]:
    try:
        shares = [float(part) for part in text.split(",")]
    except ValueError:
        shares = []
    if not shares or not all(0 <= share < float("inf") for share in shares):
        raise typer.BadParameter(f"{text!r} is no list of numbers of 0 or more, commas between", param_hint="--weights")
    return shares
