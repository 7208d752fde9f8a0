"""`pgrouter tenant` and `pgrouter key`: who routes, and with which keys."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from app.cli.common import AsJson, note, show, show_json, tenant_of, with_database
from app.errors import BadRequest
from app.operations import tenants as administered
from app.operations.policy_defaults import names_in, policy_defaults
from app.store import tenants as tenancy
from app.store.database import Database

tenants = typer.Typer(no_args_is_help=True, help="Make, list, change and delete tenants.")

TenantArgument = Annotated[str, typer.Argument(metavar="TENANT", help="Its name.")]


@tenants.command("create")
def create_tenant(
    name: Annotated[str, typer.Argument(help="Letters, digits, spaces and _.@-")],
    memory_cap: Annotated[int, typer.Option(min=1, max=2**31 - 1, help="Memories kept; the oldest go.")] = 5000,
    store_prompts: Annotated[bool, typer.Option(help="Keep the text of taught prompts.")] = True,
    route_explicit: Annotated[
        bool, typer.Option("--route-explicit", help="Route requests that name a candidate of policy auto, too.")
    ] = False,
    candidates: Annotated[
        str, typer.Option(help="Models of policy auto, commas between; else ROUTER_CANDIDATES, else by price.")
    ] = "",
    default: Annotated[
        str | None, typer.Option(help="Default model of policy auto; else the dearest candidate.")
    ] = None,
    no_key: Annotated[bool, typer.Option("--no-key", help="Make no API key.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a tenant with its policy `auto`, and show its first API key, once."""
    # What is wrong with ROUTER_* is said first.
    policy_defaults()

    async def work(db: Database) -> dict[str, Any]:
        return await administered.create(
            db,
            name,
            memory_cap=memory_cap,
            store_prompts=store_prompts,
            route_explicit=route_explicit,
            candidates=names_in(candidates),
            default=default,
            with_key=not no_key,
        )

    made = with_database(work)
    if as_json:
        show_json(made)
        return
    policy = made["policy"]
    typer.echo(f"tenant = {made['tenant']}")
    if policy:
        typer.echo(f"auto = {', '.join(policy['models'])}; default {policy['default_model']}")
    else:
        note(f"No model has a price yet, so there is no policy: add models, then `pgrouter policy put {name!r} auto`.")
    if made["api_key"]:
        typer.echo(f"api_key = {made['api_key']}")
        note("Keep the key: it is stored as a hash and cannot be shown again.")


@tenants.command("list")
def list_tenants(as_json: AsJson = False) -> None:
    """Every tenant, with how much it has."""
    found = [
        {setting: getattr(tenant, setting) for setting in tenant.__slots__} for tenant in with_database(tenancy.tenants)
    ]
    show(found, as_json=as_json, empty="There are no tenants; `pgrouter tenant create NAME` makes one.")


@tenants.command("set")
def change_tenant(
    name: TenantArgument,
    memory_cap: Annotated[int | None, typer.Option(min=1, max=2**31 - 1, help="Memories kept; the oldest go.")] = None,
    store_prompts: Annotated[
        bool | None, typer.Option(help="Keep the text of taught prompts; --no-store-prompts erases what is kept.")
    ] = None,
    route_explicit: Annotated[
        bool | None, typer.Option(help="Route requests that name a candidate of policy auto, too.")
    ] = None,
    shared: Annotated[
        bool | None, typer.Option(help="Let others lean on its memory: they get estimates from it, never a row.")
    ] = None,
    base: Annotated[
        str | None, typer.Option(metavar="TENANT", help="Lean on that shared tenant's memory while its own is small.")
    ] = None,
    no_base: Annotated[bool, typer.Option("--no-base", help="Lean on none.")] = False,
    default_provider: Annotated[
        str | None,
        typer.Option(help="Serves files, audio and what else names no model; '': who serves auto's default."),
    ] = None,
) -> None:
    """Change a tenant; what is not given stays."""
    if base is not None and no_base:
        raise BadRequest("--base and --no-base exclude each other.", param="base")

    async def work(db: Database) -> None:
        await tenancy.change_tenant(
            db,
            (await tenant_of(db, name)).tenant_id,
            memory_cap=memory_cap,
            store_prompts=store_prompts,
            route_explicit=route_explicit,
            shared=shared,
            base=0 if no_base else None if base is None else (await tenant_of(db, base)).tenant_id,
            default_provider=default_provider,
        )

    with_database(work)
    typer.echo(f"Changed tenant {name}.")


@tenants.command("delete")
def delete_tenant(
    name: TenantArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Say that it is meant.")] = False,
) -> None:
    """Delete a tenant with its keys, policies, memories and ledger."""

    async def work(db: Database) -> None:
        tenant = await tenant_of(db, name)
        if not yes:
            raise typer.BadParameter(
                f"this deletes {name!r} for good, with {tenant.memories} memories, {tenant.keys} keys and its ledger; "
                "add --yes if that is meant",
                param_hint="--yes",
            )
        await tenancy.delete_tenant(db, tenant.tenant_id)

    with_database(work)
    typer.echo(f"Deleted tenant {name}.")
