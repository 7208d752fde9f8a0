"""Repairs what a restore or a new owner changed: the owner, grants, policies, triggers and functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import asyncpg
from alembic.util import CommandError
from sqlalchemy import Connection, Row, text
from sqlalchemy.exc import DBAPIError

from .install import ROLES

#: Gives everything that the migrations or maintenance made to the owner of router.tenants.
_OWN = """
do $$
declare
    v_owner regrole := (select c.relowner::regrole from pg_class as c where c.oid = 'router.tenants'::regclass);
    v_statement text;
begin
    for v_statement in
        select format('alter schema %I owner to %s', n.nspname, v_owner)
        from pg_namespace as n where n.nspname in ('router', 'router_internal') and n.nspowner <> v_owner
        union all
        select format('alter %s %s owner to %s', case c.relkind when 'v' then 'view' when 'S' then 'sequence'
            when 'c' then 'type' else 'table' end, c.oid::regclass, v_owner)
        from pg_class as c inner join pg_namespace as n on n.oid = c.relnamespace
        where n.nspname in ('router', 'router_internal') and c.relowner <> v_owner
            and c.relkind in ('r', 'p', 'v', 'S', 'c')
            and (c.relname ~ '^(decisions_[0-9]{8}|memories_large_[0-9])' or format('%I.%I', n.nspname, c.relname) in (
                select e.name from router_internal.schema_facts as e
                where e.kind in ('table', 'view', 'sequence', 'type')
            ))
            -- Sequences of identity columns follow their tables.
            and not exists (select from pg_depend as d where d.objid = c.oid and d.deptype = 'i' and c.relkind = 'S')
        union all
        select format('alter type %s owner to %s', t.oid::regtype, v_owner)
        from pg_type as t inner join pg_namespace as n on n.oid = t.typnamespace
        where n.nspname in ('router', 'router_internal') and t.typowner <> v_owner and t.typtype = 'e'
            and format('%I.%I', n.nspname, t.typname) in (
                select e.name from router_internal.schema_facts as e where e.kind = 'type'
            )
        union all
        select format('alter function %s owner to %s', p.oid::regprocedure, v_owner)
        from pg_proc as p inner join pg_namespace as n on n.oid = p.pronamespace
        where n.nspname in ('router', 'router_internal') and p.proowner <> v_owner
            and format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) in (
                select e.name from router_internal.schema_facts as e where e.kind = 'function'
            )
    loop
        execute v_statement;
    end loop;
end
$$;
"""
# Rows that are locks.
_LOCKS = """
insert into router_internal.job_locks (job) values ('open_day'), ('sweep'), ('move') on conflict do nothing;
"""
#: Rounds in which missing functions are created: some call others.
_ROUNDS = 8
#: What is not created again: it has rows, or depends on them.
_DATA = ("extension", "type", "table", "sequence", "view", "index", "constraint")

Execute = Callable[[str], None]


def repair(connection: Connection, execute: Execute, report: Callable[[str], None]) -> None:
    """Repair the schema of this database, if it differs from what the last migration recorded.

    `execute` runs statements as they stand. `report` is called with each problem that was repaired. Raises
    `CommandError` if the login may not repair it, or if tables are missing.
    """
    execute(ROLES)
    if connection.scalar(text("select to_regprocedure('router.check_schema()')")) is None:
        if connection.scalar(text("select to_regclass('router.tenants')")) is not None:
            raise CommandError("its schema `router` is incomplete: restore it into an empty database, without errors")
        return
    left = problems = _problems(connection)
    _refuse_losses(problems)
    # A second time for the grants of what the first one creates.
    for _ in range(2):
        if left:
            _repair(connection, execute, left)
            left = _problems(connection)
    _refuse_losses(left, *{row.kind for row in left})
    for row in problems:
        report(f"Repaired: {row.problem}.")


def _refuse_losses(problems: Sequence[Row[tuple[str, str, str, str]]], *kinds: str) -> None:
    """Raise `CommandError` if something is lost that only a restore brings back: data, or one of `kinds`."""
    lost = [row.problem for row in problems if row.kind in (*_DATA, *kinds)]
    if lost:
        raise CommandError(
            f"its schema is incomplete ({'; '.join(lost[:5])}; {len(problems)} differences in all): restore it into an"
            " empty database, without errors"
        )


def _problems(connection: Connection) -> Sequence[Row[tuple[str, str, str, str]]]:
    return connection.execute(text("select problem, kind, name, definition from router.check_schema()")).all()


def _repair(connection: Connection, execute: Execute, problems: Sequence[Row[tuple[str, str, str, str]]]) -> None:
    login, owner, may = connection.execute(
        text(
            "select current_user, o.rolname, pg_has_role(c.relowner, 'usage') from pg_class as c"
            " join pg_roles as o on o.oid = c.relowner where c.oid = to_regclass('router.tenants')"
        )
    ).first() or ("", None, False)
    if owner is None:
        return
    if not may:
        raise CommandError(
            f"its tables belong to {owner}, and {login} may not repair them ({problems[0].problem}): run this command"
            f" as {owner}, or as an administrator: reassign owned by {owner} to {login}"
        )
    try:
        if any(row.kind == "owner" for row in problems):
            execute(_OWN)
        _create_functions(connection, [row.definition for row in problems if row.kind == "function"])
        for row in problems:
            for statement in _statements(row):
                execute(statement.replace("$OWNER", f'"{owner}"'))
        execute(_LOCKS)
    except (DBAPIError, asyncpg.PostgresError) as error:
        reported = str(getattr(error, "orig", error)).splitlines()[0]
        raise CommandError(
            f"its schema could not be repaired as {login}: {reported}; run this command as an"
            " administrator of the server"
        ) from error


def _create_functions(connection: Connection, definitions: Sequence[str]) -> None:
    left = list(definitions)
    for _ in range(_ROUNDS):
        failed = []
        for definition in left:
            try:
                with connection.begin_nested():
                    connection.exec_driver_sql(definition)
            except DBAPIError:
                failed.append(definition)
        if not failed:
            return
        left = failed


def _statements(row: Row[tuple[str, str, str, str]]) -> list[str]:
    """Return the statements that repair a problem, if there are any."""
    if row.kind == "grant":
        return [f"grant {row.name}"]
    if row.kind == "excess":
        return [f"revoke {row.name.removesuffix(' to public')} from public"]
    if row.kind == "policy":
        return [f"drop policy if exists {row.name}", row.definition]
    if row.kind == "trigger":
        return [f"drop trigger if exists {row.name}", row.definition]
    return [row.definition] if row.kind == "row security" else []
