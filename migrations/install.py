"""Puts what stands in `sql/` into the database: one released file at a time, by name and version."""

from __future__ import annotations

import os
from pathlib import Path

from alembic import context, op
from sqlalchemy.ext.asyncio import AsyncConnection

SQL = Path(__file__).parents[1] / "sql"


def execute(statements: str) -> None:
    """Run one or more SQL statements as they stand: no bind parameters, no escapes.

    The driver's simple protocol takes several statements at once and leaves `:name` in comments alone, which
    `op.execute` does not. `alembic upgrade --sql` prints the same text.
    """
    if context.is_offline_mode():
        context.get_context().impl.static_output(statements.strip())
        return
    # SQLAlchemy opens its transaction with its own first statement; the driver's call alone would run outside of one.
    op.get_bind().exec_driver_sql("select 1")
    op.run_async(_on_driver, statements)


async def _on_driver(connection: AsyncConnection, statements: str) -> None:
    raw = await connection.get_raw_connection()
    driver = raw.driver_connection
    assert driver is not None
    await driver.execute(statements)


def qualified(name: str) -> str:
    """A function's name with its schema: helpers begin with an underscore, so that `\\df router.*` is the interface."""
    return f"router_internal.{name}" if name.startswith("_") else f"router.{name}"


def source(name: str, version: int) -> str:
    """The text of `NAME.vVERSION.sql`, whichever folder of `sql/` it is in; names are unique."""
    (path,) = SQL.rglob(f"{name}.v{version}.sql")
    return path.read_text(encoding="utf-8")


def install(name: str, version: int, *, to: str = "") -> None:
    """Run `NAME.vVERSION.sql` and let only the owner and the roles in `to` call the function."""
    execute(source(name, version))
    execute(f"revoke all on function {qualified(name)} from public;")
    if to:
        execute(f"grant execute on function {qualified(name)} to {to};")


def drop(*names: str) -> None:
    """Drop functions, all in one statement: those with a body in `begin atomic` depend on what they call."""
    execute(f"drop function {', '.join(qualified(name) for name in names)};")


def install_view(name: str, version: int, *, to: str) -> None:
    """Run `NAME.vVERSION.sql` and let the roles in `to` read the view."""
    execute(source(name, version))
    execute(f"grant select on router.{name} to {to};")


def isolate(*tables: str) -> None:
    """Turn row level security on, for the owner too, with a policy for each role; nobody else sees a row.

    The proxy and the owner touch the rows of the tenant that `router.tenant_id` names; the setting is '' and not NULL
    after a transaction that had set it, hence nullif. The owner also reads everybody's, a reader those it was granted.
    All are sub-selects without a reference to the row: they run once a statement, not once a row.
    """
    for table in tables:
        execute(f"""
            alter table router.{table} enable row level security;
            alter table router.{table} force row level security;
            create policy {table}_of_tenant on router.{table} to router_app, current_user
                using (tenant_id = (select nullif(current_setting('router.tenant_id', true), '')::int));
            create policy {table}_of_owner on router.{table} for select to current_user using (true);
            create policy {table}_of_reader on router.{table} for select to router_reader
                using (tenant_id <@ (select router_internal._granted_tenants()));
        """)


def width() -> int:
    """Dimensions of the embedding column: ROUTER_EMBEDDING_DIMENSIONS at the first migration, 384 by default."""
    text = os.environ.get("ROUTER_EMBEDDING_DIMENSIONS", "384")
    if not text.isdecimal() or not 1 <= int(text) <= 3072:
        raise SystemExit(f"ROUTER_EMBEDDING_DIMENSIONS={text!r} is not a whole number from 1 to 3072.")
    return int(text)
