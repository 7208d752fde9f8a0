"""`pgrouter policy`: adds, changes, lists and deletes policies, and undoes changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from ..errors import NotFound
from ..operations import policies
from ..operations.policy_defaults import names_in
from ..settings import Backend
from ..store import policies as stored_policies
from ..store import policy_changes as stored_changes
from ..store.database import Database
from .backtest import policy_of
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


@group.command("changes")
def list_changes(
    tenant: TenantArgument,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Policy. Default: every policy.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Most changes.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the changes of a tenant's policies, newest first, with the settings before and after."""

    async def work(db: Database) -> list[dict[str, Any]]:
        row = await tenant_of(db, tenant)
        policy_id = None if name is None else (await policy_of(db, row, name))["policy_id"]
        return await stored_changes.list_policy_changes(db, row.tenant_id, policy_id, limit=limit)

    found = with_database(work)
    if as_json:
        show(found, as_json=True)
        return
    show([_shown(change) for change in found], as_json=False)


@group.command("undo")
def undo_change(
    tenant: TenantArgument,
    change: Annotated[int, typer.Argument(min=1, max=2**63 - 1, help="Number of the change, as `changes` lists it.")],
    force: Annotated[
        bool,
        typer.Option("--force", help="Undo it although the policy has changed since; other settings stay as they are."),
    ] = False,
) -> None:
    """Undo a change of a policy: the settings that it changed get their values from before."""

    async def work(db: Database) -> int:
        row = await tenant_of(db, tenant)
        return await stored_changes.undo_policy_change(db, row.tenant_id, None, change, force=force, by="cli")

    undone = with_database(work)
    typer.echo(f"Undid change {change} of {tenant}, as change {undone}.")


def _shown(change: Mapping[str, Any]) -> dict[str, Any]:
    """Return a change as a line of a table."""
    before, after = change["old_settings"], change["new_settings"]
    settings = "added" if before is None else ", ".join(f"{each} {before[each]} -> {after[each]}" for each in after)
    who = f"key {change['key_id']}" if change["changed_by"] == "key" else change["changed_by"]
    return {
        "change": change["change_id"], "policy": change["policy"], "at": f"{change['changed_at']:%Y-%m-%d %H:%M}",
        "by": who, "cause": change["cause"], "settings": settings,
    }  # fmt: skip


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
