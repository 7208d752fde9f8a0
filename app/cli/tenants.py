"""`pgrouter tenant`: creates, lists, changes and deletes tenants."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ..errors import BadRequest
from ..operations import tenants
from ..operations.policy_defaults import names_in, policy_defaults
from ..store import tenants as stored_tenants
from ..store.database import Database
from .common import AsJson, note, show, show_json, tenant_of, with_database

group = typer.Typer(no_args_is_help=True, help="Create, list, change and delete tenants.")

TenantArgument = Annotated[str, typer.Argument(metavar="TENANT", help="Name of the tenant.")]


@group.command("create")
def create_tenant(
    name: Annotated[str, typer.Argument(help="Name of the tenant: letters, digits, spaces and _.@-")],
    memory_cap: Annotated[
        int, typer.Option(min=1, max=2**31 - 1, help="Greatest number of memories; the oldest are evicted.")
    ] = 5000,
    store_prompts: Annotated[bool, typer.Option(help="Storage of the text of taught prompts.")] = True,
    route_explicit: Annotated[
        bool, typer.Option("--route-explicit", help="Routing of requests that name a candidate of policy auto, too.")
    ] = False,
    candidates: Annotated[
        str,
        typer.Option(
            help="Models of policy auto, separated by commas. Default: ROUTER_CANDIDATES, else chosen by price."
        ),
    ] = "",
    default: Annotated[
        str | None, typer.Option(help="Default model of policy auto. Default: the dearest candidate.")
    ] = None,
    no_key: Annotated[bool, typer.Option("--no-key", help="No API key is created.")] = False,
    as_json: AsJson = False,
) -> None:
    """Create a tenant with its policy `auto`, and print its first API key, once."""
    # An invalid ROUTER_* variable is reported before anything is created.
    policy_defaults()

    async def work(db: Database) -> dict[str, Any]:
        return await tenants.create(
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
        note(
            f"No policy was created, as no model has a price: add models, then run `pgrouter policy put {name!r} auto`."
        )
    if made["api_key"]:
        typer.echo(f"api_key = {made['api_key']}")
        note("Store the key now: only its hash is kept, so it cannot be shown again.")


@group.command("list")
def list_tenants(as_json: AsJson = False) -> None:
    """List every tenant with its settings, and its numbers of memories, keys and policies."""
    found = [
        {setting: getattr(tenant, setting) for setting in tenant.__slots__}
        for tenant in with_database(stored_tenants.list_tenants)
    ]
    show(found, as_json=as_json, empty="There are no tenants: create one with `pgrouter tenant create NAME`.")


@group.command("set")
def change_tenant(
    name: TenantArgument,
    memory_cap: Annotated[
        int | None, typer.Option(min=1, max=2**31 - 1, help="Greatest number of memories; the oldest are evicted.")
    ] = None,
    store_prompts: Annotated[
        bool | None,
        typer.Option(help="Storage of the text of taught prompts; --no-store-prompts erases the stored text."),
    ] = None,
    route_explicit: Annotated[
        bool | None, typer.Option(help="Routing of requests that name a candidate of policy auto, too.")
    ] = None,
    shared: Annotated[
        bool | None,
        typer.Option(help="Use of this memory as base of other tenants: they get estimates from it, never rows."),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(metavar="TENANT", help="Shared tenant whose memory is used while the tenant's own is small."),
    ] = None,
    no_base: Annotated[bool, typer.Option("--no-base", help="No base memory.")] = False,
    default_provider: Annotated[
        str | None,
        typer.Option(
            help="Provider of files, audio and other requests without a model. '': that of auto's default model."
        ),
    ] = None,
) -> None:
    """Change a tenant; options that are not given keep their values."""
    if base is not None and no_base:
        raise BadRequest("--base and --no-base exclude each other: give one of them.", param="base")

    async def work(db: Database) -> None:
        await stored_tenants.change_tenant(
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


@group.command("delete")
def delete_tenant(
    name: TenantArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Confirmation.")] = False,
) -> None:
    """Delete a tenant with its keys, policies, memories and ledger."""

    async def work(db: Database) -> None:
        tenant = await tenant_of(db, name)
        if not yes:
            raise typer.BadParameter(
                f"this deletes {name!r} for good, with {tenant.memories} memories, {tenant.keys} keys and the ledger; "
                "add --yes to confirm",
                param_hint="--yes",
            )
        await stored_tenants.delete_tenant(db, tenant.tenant_id)

    with_database(work)
    typer.echo(f"Deleted tenant {name}.")
