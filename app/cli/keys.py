"""`pgrouter key`: make, list, rotate and revoke API keys."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from app.cli.common import AsJson, note, options, show, show_json, tenant_of, with_database
from app.cli.tenants import TenantArgument
from app.errors import NotFound
from app.operations.keys import new_key, rotate, until
from app.store import keys as stored
from app.store.database import Database

keys = typer.Typer(no_args_is_help=True, help="Make, list, rotate and revoke API keys.")


KeyArgument = Annotated[int, typer.Argument(min=1, max=2**31 - 1, help="Its number in `pgrouter key list`.")]


@keys.command("create")
def create_key(
    tenant: TenantArgument,
    name: Annotated[str, typer.Option(help="What the key is for.")] = "",
    expires: Annotated[
        str | None, typer.Option(metavar="30d|2026-12-31", help="Refused from then on: in hours, days, weeks; or UTC.")
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="Only this one may serve it; may be given again. Else all may.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make an API key and show it, once."""
    expires_at = None if expires is None else expiry(expires, datetime.now(UTC))

    async def work(db: Database) -> dict[str, Any]:
        return await new_key(db, (await tenant_of(db, tenant)).tenant_id, name, expires_at, model)

    made = with_database(work)
    if as_json:
        show_json(made)
        return
    typer.echo(f"api_key = {made['api_key']}")
    note("Keep it: it is stored as a hash and cannot be shown again.")


@keys.command("rotate")
def rotate_key(
    tenant: TenantArgument,
    key_id: KeyArgument,
    grace: Annotated[
        str | None, typer.Option(metavar="24h|2026-12-31", help="The old key works until then; else no more.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key with name, expiry, models and limits of one that it replaces, and show it, once."""
    old_until = None if grace is None else expiry(grace, datetime.now(UTC), "grace")

    async def work(db: Database) -> dict[str, Any]:
        return await rotate(db, (await tenant_of(db, tenant)).tenant_id, key_id, old_until)

    made = with_database(work)
    if as_json:
        show_json(made)
        return
    typer.echo(f"api_key = {made['api_key']}")
    works = "no more" if old_until is None else f"until {old_until:%Y-%m-%d %H:%M} UTC"
    note(f"Keep it: it is stored as a hash and cannot be shown again. Key {key_id} works {works}.")


@keys.command("list")
def list_keys(tenant: TenantArgument, as_json: AsJson = False) -> None:
    """A tenant's keys, the revoked ones too; of each only its first characters."""

    async def work(db: Database) -> list[Any]:
        return list(await stored.credentials(db, (await tenant_of(db, tenant)).tenant_id))

    show(with_database(work), as_json=as_json, empty="The tenant has no keys.")


@keys.command("revoke")
def revoke_key(
    tenant: TenantArgument,
    key_id: KeyArgument,
) -> None:
    """Refuse a key from now on."""

    async def work(db: Database) -> None:
        if not await stored.revoke_key(db, (await tenant_of(db, tenant)).tenant_id, key_id):
            raise NotFound(f"The tenant {tenant!r} has no key {key_id}; `pgrouter key list {tenant!r}` shows them.")

    with_database(work)
    typer.echo(f"Revoked key {key_id} of {tenant}.")


def expiry(text: str, now: datetime, option: str = "expires") -> datetime:
    """A moment that is yet to come, as `app.operations.keys.until` reads it; else `BadParameter`."""
    with options(option):
        return until(text, now, option)
