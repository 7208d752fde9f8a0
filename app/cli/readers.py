"""`pgrouter reader`: grants roles of Postgres read access to tenants."""

from __future__ import annotations

from typing import Annotated

import typer

from ..errors import NotFound
from ..store import readers as stored_readers
from ..store.database import Database
from .common import AsJson, note, show, show_json, tenant_of, with_database

group = typer.Typer(
    no_args_is_help=True, help="Grant roles of Postgres read access to tenants, for psql and other tools."
)

RoleArgument = Annotated[str, typer.Argument(metavar="ROLE", help="Login or group of Postgres, spelt exactly.")]
TenantArgument = Annotated[str | None, typer.Argument(metavar="TENANT", help="Name of the tenant.")]


@group.command("grant")
def grant(
    role: RoleArgument,
    tenant: TenantArgument = None,
    every: Annotated[bool, typer.Option("--all", help="Every tenant, future ones too.")] = False,
) -> None:
    """Grant a role read access to one tenant, or to all."""
    _require_one(tenant, every)

    async def work(db: Database) -> bool:
        return await stored_readers.grant_tenant(db, role, await _tenant_id(db, tenant))

    new = with_database(work)
    typer.echo(
        f"{role} may read {'every tenant' if tenant is None else f'tenant {tenant}'}{'' if new else ' already'}."
    )


@group.command("revoke")
def revoke(
    role: RoleArgument,
    tenant: TenantArgument = None,
    every: Annotated[bool, typer.Option("--all", help="Every grant of the role.")] = False,
) -> None:
    """Revoke a role's grant for one tenant, or all its grants."""
    _require_one(tenant, every)

    async def work(db: Database) -> int:
        return await stored_readers.revoke_tenant(db, role, await _tenant_id(db, tenant))

    named = "any tenant" if tenant is None else f"tenant {tenant}"
    if not with_database(work):
        raise NotFound(f"{role} was not granted {named}; `pgrouter reader list` lists the grants.")
    typer.echo(f"{role} may no longer read {named}, unless a group of the role may.")


@group.command("list")
def list_readers(as_json: AsJson = False) -> None:
    """List every reader with the tenants granted to it directly; grants of its groups are not shown."""
    found = [dict(row) for row in with_database(stored_readers.list_readers)]
    if as_json:
        show_json(found)
        return
    table = [
        {"role": row["role"], "reads": "all" if row["every"] else ", ".join(row["tenants"]) or "nothing"}
        for row in found
    ]
    show(table, as_json=False, empty="There are no readers: add one with `pgrouter reader grant ROLE TENANT`.")
    for row in found:
        if not row["member"]:
            note(f"{row['role']} is not a member of router_reader, so it can read nothing.")


def _require_one(tenant: str | None, every: bool) -> None:
    if (tenant is None) is not every:
        raise typer.BadParameter("give either one tenant or --all", param_hint="TENANT")


async def _tenant_id(db: Database, tenant: str | None) -> int | None:
    return None if tenant is None else (await tenant_of(db, tenant)).tenant_id
