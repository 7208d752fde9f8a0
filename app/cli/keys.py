"""`pgrouter key`: creates, changes, lists, rotates and revokes API keys."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from ..errors import NotFound
from ..key_scopes import SCOPES
from ..operations.keys import new_key, rotate, until
from ..store import keys as stored_keys
from ..store.database import Database
from .common import AsJson, note, options, show, show_json, tenant_of, with_database
from .tenants import TenantArgument

group = typer.Typer(no_args_is_help=True, help="Create, change, list, rotate and revoke API keys.")

_SCOPE = "|".join(SCOPES)
KeyArgument = Annotated[int, typer.Argument(min=1, max=2**31 - 1, help="Number of the key in `pgrouter key list`.")]


@group.command("create")
def create_key(
    tenant: TenantArgument,
    name: Annotated[str, typer.Option(help="Purpose of the key.")] = "",
    expires: Annotated[
        str | None,
        typer.Option(
            metavar="30d|2026-12-31", help="Expiry: hours, days or weeks from now, or a UTC date. Default: none."
        ),
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="Allow only this model (repeatable). Default: all models.")
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(
            metavar=_SCOPE, help="Allow only this scope (repeatable). Default: all; with --model all but manage."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Create an API key, and print it, once."""
    expires_at = None if expires is None else expiry(expires, datetime.now(UTC))

    async def work(db: Database) -> dict[str, Any]:
        return await new_key(db, (await tenant_of(db, tenant)).tenant_id, name, expires_at, model, scope)

    made = with_database(work)
    if as_json:
        show_json(made)
        return
    typer.echo(f"api_key = {made['api_key']}")
    note("Store the key now: only its hash is kept, so it cannot be shown again.")


@group.command("rotate")
def rotate_key(
    tenant: TenantArgument,
    key_id: KeyArgument,
    grace: Annotated[
        str | None,
        typer.Option(
            metavar="24h|2026-12-31", help="Time until which the old key works. Default: it stops working now."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Replace a key by a new one with its name, expiry, models, scopes and limits, and print that, once."""
    old_until = None if grace is None else expiry(grace, datetime.now(UTC), "grace")

    async def work(db: Database) -> dict[str, Any]:
        return await rotate(db, (await tenant_of(db, tenant)).tenant_id, key_id, old_until)

    made = with_database(work)
    if as_json:
        show_json(made)
        return
    typer.echo(f"api_key = {made['api_key']}")
    old = "has stopped working" if old_until is None else f"works until {old_until:%Y-%m-%d %H:%M} UTC"
    note(f"Store the key now: only its hash is kept, so it cannot be shown again. Key {key_id} {old}.")


@group.command("change")
def change_key(
    tenant: TenantArgument,
    key_id: KeyArgument,
    name: Annotated[str | None, typer.Option(help="Purpose of the key. Default: unchanged.")] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(metavar=_SCOPE, help="Allow only this scope (repeatable). Default: unchanged."),
    ] = None,
    default_scopes: Annotated[
        bool, typer.Option("--default-scopes", help="Allow all scopes; if the key is for some models all but manage.")
    ] = False,
) -> None:
    """Change the name or the scopes of a key."""
    if scope and default_scopes:
        raise typer.BadParameter("give either --scope or --default-scopes", param_hint="--scope")

    async def work(db: Database) -> None:
        tenant_id = (await tenant_of(db, tenant)).tenant_id
        scopes = [] if default_scopes else scope or None
        if not await stored_keys.change_key(db, tenant_id, key_id, name=name, scopes=scopes):
            raise NotFound(f"The tenant {tenant!r} has no key {key_id}; `pgrouter key list {tenant!r}` lists the keys.")

    with_database(work)
    typer.echo(f"Changed key {key_id} of {tenant}.")


@group.command("list")
def list_keys(tenant: TenantArgument, as_json: AsJson = False) -> None:
    """List a tenant's keys, revoked ones too, each by its first characters."""

    async def work(db: Database) -> list[Any]:
        return list(await stored_keys.list_keys(db, (await tenant_of(db, tenant)).tenant_id))

    show(with_database(work), as_json=as_json, empty="The tenant has no keys.")


@group.command("revoke")
def revoke_key(
    tenant: TenantArgument,
    key_id: KeyArgument,
) -> None:
    """Revoke a key, effective at once."""

    async def work(db: Database) -> None:
        if not await stored_keys.revoke_key(db, (await tenant_of(db, tenant)).tenant_id, key_id):
            raise NotFound(f"The tenant {tenant!r} has no key {key_id}; `pgrouter key list {tenant!r}` lists the keys.")

    with_database(work)
    typer.echo(f"Revoked key {key_id} of {tenant}.")


def expiry(text: str, now: datetime, option: str = "expires") -> datetime:
    """Parse a future time as `app.operations.keys.until` does. Raises `BadParameter` naming the option."""
    with options(option):
        return until(text, now, option)
