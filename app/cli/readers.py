"""`pgrouter reader`: which logins of Postgres may look at which tenants."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.common import AsJson, note, show, show_json, tenant_of, with_database
from app.errors import NotFound
from app.store import readers as readers_store
from app.store.database import Database

readers = typer.Typer(
    no_args_is_help=True, help="Let logins of Postgres read tenants with psql and the like; nothing else."
)

RoleArgument = Annotated[str, typer.Argument(metavar="ROLE", help="A login or a group of Postgres, as it is spelt.")]
TenantArgument = Annotated[str | None, typer.Argument(metavar="TENANT", help="Its name.")]


@readers.command("grant")
def grant(
    role: RoleArgument,
    tenant: TenantArgument = None,
    every: Annotated[bool, typer.Option("--all", help="Every tenant, those to come too.")] = False,
) -> None:
    """Let a role read one tenant, or all."""
    _one_of(tenant, every)

    async def work(db: Database) -> bool:
        return await readers_store.grant_tenant(db, role, await _number(db, tenant))

    new = with_database(work)
    typer.echo(
        f"{role} may read {'every tenant' if tenant is None else f'tenant {tenant}'}{'' if new else ' already'}."
    )


@readers.command("revoke")
def revoke(
    role: RoleArgument,
    tenant: TenantArgument = None,
    every: Annotated[bool, typer.Option("--all", help="Whatever it was granted.")] = False,
) -> None:
    """Take one tenant from a role, or all it was granted."""
    _one_of(tenant, every)

    async def work(db: Database) -> int:
        return await readers_store.revoke_tenant(db, role, await _number(db, tenant))

    named = "any tenant" if tenant is None else f"tenant {tenant}"
    if not with_database(work):
        raise NotFound(f"{role} was not granted {named}; `pgrouter reader list` shows what there is.")
    typer.echo(f"{role} may not read {named} any more, unless a group it is in may.")


@readers.command("list")
def list_readers(as_json: AsJson = False) -> None:
    """Every reader, with the tenants it was granted by itself, not by a group it is in."""
    found = [dict(row) for row in with_database(readers_store.readers)]
    if as_json:
        show_json(found)
        return
    table = [
        {"role": row["role"], "reads": "all" if row["every"] else ", ".join(row["tenants"]) or "nothing"}
        for row in found
    ]
    show(table, as_json=False, empty="There are no readers; `pgrouter reader grant ROLE TENANT` makes one.")
    for row in found:
        if not row["member"]:
            note(f"{row['role']} is no member of router_reader, so it sees nothing.")


def _one_of(tenant: str | None, every: bool) -> None:
    if (tenant is None) is not every:
        raise typer.BadParameter("name one tenant, or say --all", param_hint="TENANT")


async def _number(db: Database, tenant: str | None) -> int | None:
    return None if tenant is None else (await tenant_of(db, tenant)).tenant_id
