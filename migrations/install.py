"""Install the files of `sql/` into the database, by name and version."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from alembic import context, op
from sqlalchemy import Connection

SQL = Path(__file__).parents[1] / "sql"

#: Creates the roles, which belong to the server and not to the database, unless it has them.
ROLES = """
do $$
declare
    v_role text;
begin
    foreach v_role in array array['router_app', 'router_reader'] loop
        if not exists (select from pg_roles where rolname = v_role) then
            begin
                execute format('create role %I nologin', v_role);
                -- Without this, a login that is no superuser could not use the role that it created.
                execute format('grant %I to current_user', v_role);
            exception
                when duplicate_object or unique_violation then null;  -- another database's migration created it
                when insufficient_privilege then
                    raise exception 'role % is missing and % may not create it', v_role, current_user
                        using hint = format('Ask an administrator for: create role %I nologin; grant %I to %I;',
                                            v_role, v_role, current_user);
            end;
        end if;
        if not pg_has_role(current_user, v_role, 'member') then
            begin
                execute format('grant %I to current_user', v_role);
            exception
                when insufficient_privilege then
                    raise warning 'an administrator has to run: grant % to %;', v_role, current_user;
            end;
        end if;
    end loop;
end
$$;
"""
#: Records what the schemas consist of; nothing is left to record after a downgrade to `base`.
RECORD = """
do $$
begin
    if to_regprocedure('router_internal._record_schema()') is not null then
        perform router_internal._record_schema();
    end if;
end
$$;
"""


def execute(statements: str) -> None:
    """Run one or more SQL statements as they stand: no bind parameters, no escapes.

    The driver's simple protocol takes several statements at once and leaves `:name` in comments alone, which
    `op.execute` does not. `alembic upgrade --sql` prints the same text.
    """
    if context.is_offline_mode():
        context.get_context().impl.static_output(statements.strip())
        return
    execute_on(op.get_bind())(statements)


def execute_on(connection: Connection) -> Callable[[str], None]:
    """Return a function that runs SQL statements as they stand on `connection`, in its transaction."""

    def run(statements: str) -> None:
        # SQLAlchemy begins its transaction with the first statement of its own; the driver's alone would run outside.
        connection.exec_driver_sql("select 1")
        driver: Any = connection.connection.dbapi_connection
        driver.run_async(lambda raw: raw.execute(statements))

    return run


def qualified(name: str) -> str:
    """Add the schema to a function's name: `router_internal` for helpers, whose names begin with an underscore."""
    return f"router_internal.{name}" if name.startswith("_") else f"router.{name}"


def source(name: str, version: int) -> str:
    """Return the text of `NAME.vVERSION.sql`, in any folder of `sql/`; names are unique."""
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
    """Enable row level security, also for the owner, with one policy for each role; other roles see no row.

    The proxy and the owner may change the rows of the tenant in `router.tenant_id`; after a transaction that set it,
    the setting is '' instead of NULL, hence nullif. The owner may read all rows, a reader those of granted tenants.
    The conditions are sub-selects that do not refer to the row, so they run once a statement and not once a row.
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
