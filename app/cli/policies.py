"""`pgrouter policy`: the names that ask for routing, and how each decides."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from app.cli.common import AsJson, note, options, show, tenant_of, with_database
from app.cli.tenants import TenantArgument
from app.errors import ConfigurationError, NotFound
from app.operations import policies as administered
from app.operations.policy_defaults import Granularity, checked, names_in
from app.settings import Backend
from app.store import policies as policies_store
from app.store.database import Database

policies = typer.Typer(no_args_is_help=True, help="Say how a tenant's requests are routed.")

PolicyArgument = Annotated[str, typer.Argument(metavar="NAME", help="What requests say in `model`, such as auto.")]


def _number(explained: str, *names: str) -> Any:
    # Read as text: the ranges are those of the environment variables, and are checked by the same code.
    return typer.Option(*names, metavar="NUMBER", help=explained)


@policies.command("put")
def put_policy(
    tenant: TenantArgument,
    name: PolicyArgument,
    backend: Annotated[Backend | None, typer.Option(help="How candidates are ranked.")] = None,
    default: Annotated[str | None, typer.Option(help="Model that serves when the decision is declined.")] = None,
    models: Annotated[str | None, typer.Option(help="Candidates, commas between.")] = None,
    weights: Annotated[str | None, typer.Option(help="Shares of --models under `weighted`, commas between.")] = None,
    granularity: Annotated[Granularity | None, typer.Option(help="Embed the first user message or the latest.")] = None,
    alpha: Annotated[str | None, _number("Quality given up to save the dearest candidate's cost.")] = None,
    k: Annotated[str | None, _number("Neighbours consulted.", "--k")] = None,
    tau: Annotated[str | None, _number("Kernel width; inf makes all neighbours weigh 1.")] = None,
    n0: Annotated[str | None, _number("Weight of the prior, in neighbours.")] = None,
    n0_task: Annotated[str | None, _number("The same when the request names a task.")] = None,
    n1: Annotated[str | None, _number("Weight of the tenant's mean in a task's prior, in labels.")] = None,
    seed_count: Annotated[str | None, _number("Memories needed before it decides.")] = None,
    confidence_floor: Annotated[str | None, _number("Least share of neighbours in an estimate, 0 to 1.")] = None,
    switch_penalty: Annotated[str | None, _number("Quality lost for leaving a conversation's model.")] = None,
    sticky_seconds: Annotated[str | None, _number("How long a conversation stays with its model.")] = None,
    explore_share: Annotated[str | None, _number("Share of requests for candidates short of labels, 0 to 0.2.")] = None,
    explore_labels: Annotated[str | None, _number("Labels at which a candidate is no longer short of them.")] = None,
    base_weight: Annotated[
        str | None, _number("Weight of a shared memory that the tenant leans on, in memories of its own.")
    ] = None,
) -> None:
    """Add a policy, or change one; what is not given stays, or for a new one comes from ROUTER_* and the prices."""
    texts = {
        "granularity": granularity,
        "alpha": alpha,
        "k": k,
        "tau": tau,
        "n0": n0,
        "n0_task": n0_task,
        "n1": n1,
        "seed_count": seed_count,
        "confidence_floor": confidence_floor,
        "switch_penalty": switch_penalty,
        "sticky_seconds": sticky_seconds,
        "explore_share": explore_share,
        "explore_labels": explore_labels,
        "base_weight": base_weight,
    }
    settings = {setting: checked_option(setting, text) for setting, text in texts.items() if text is not None}
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


def checked_option(setting: str, text: str) -> str | int | float:
    """A policy's setting given as an option. Raises `typer.BadParameter` naming it."""
    option = f"--{setting.replace('_', '-')}"
    try:
        return checked(setting, text, option)
    except ConfigurationError as error:
        raise typer.BadParameter(str(error)) from None


def _shares(text: str) -> list[float]:
    try:
        shares = [float(part) for part in text.split(",")]
    except ValueError:
        shares = []
    if not shares or not all(0 <= share < float("inf") for share in shares):
        raise typer.BadParameter(f"{text!r} is no list of numbers of 0 or more, commas between", param_hint="--weights")
    return shares
