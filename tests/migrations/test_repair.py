"""A schema that a restore or a new owner changed: found, named and repaired."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from app.embedded import binaries
from app.errors import ConfigurationError
from app.operations.migrate import migrate
from app.store.database import REVISION, Database
from tests.support.databases import Databases, blocking
from tests.support.schema import catalog, fetch

KEY = "select tenant_id from router.authenticate(sha256('k'))"


def as_login(dsn: str, name: str) -> str:
    parts = urlsplit(dsn)
    return urlunsplit(parts._replace(netloc=f"{name}:ordinary@{parts.netloc.rpartition('@')[2]}"))


def problem(dsn: str) -> str:
    """Return what a proxy finds wrong, or an empty text."""

    async def run() -> str:
        db = Database(dsn, size=1)
        try:
            await db.open()
            await db.check_revision()
            await db.check_schema()
        except ConfigurationError as error:
            return str(error)
        finally:
            await db.close()
        return ""

    return blocking(run)


def callers(dsn: str) -> int:
    """Return how many callers the proxy finds for the key."""

    async def run() -> int:
        connection = await asyncpg.connect(dsn, server_settings={"role": "router_app"})
        try:
            return len(await connection.fetch(KEY))
        finally:
            await connection.close()

    return blocking(run)


@pytest.fixture
def logins(databases: Databases, empty_database: str) -> Iterator[tuple[str, str]]:
    """Two ordinary logins, an old owner and a new one."""
    database = urlsplit(empty_database).path[1:]
    names = (f"{database}_old", f"{database}_new")
    for name in names:
        databases.execute(f"create role {name} login password 'ordinary'")
        databases.execute(f"grant router_app, router_reader to {name}")
    yield names
    databases.execute(f"alter database {database} owner to current_user")
    for name in names:
        fetch(empty_database, f"reassign owned by {name} to current_user")
        fetch(empty_database, f"drop owned by {name}")
        databases.execute(f"drop role {name}")


@pytest.fixture
def owned(databases: Databases, empty_database: str, logins: tuple[str, str]) -> str:
    """A database of the old owner with a tenant, its key and a limit."""
    databases.execute(f"alter database {urlsplit(empty_database).path[1:]} owner to {logins[0]}")
    fetch(empty_database, "create extension vector")
    dsn = as_login(empty_database, logins[0])
    migrate(dsn)
    fetch(dsn, "select router.create_key(router.create_tenant('acme'), sha256('k'), 'rk-12345')")
    assert callers(dsn) == 1
    return dsn


def restore(source: str, target: str, *options: str) -> str:
    """Copy a database with pg_dump and pg_restore; return pg_restore's errors."""
    dump = subprocess.run(
        [binaries() / "pg_dump", "-Fc", "--no-comments", source], capture_output=True, check=True
    ).stdout
    done = subprocess.run(
        [binaries() / "pg_restore", *options, "-d", target], input=dump, capture_output=True, check=False
    )
    return done.stderr.decode()


@pytest.mark.parametrize("options", [("--no-owner",), ("--no-owner", "--no-acl"), ("--no-acl",)])
def test_a_restored_database_is_repaired(
    databases: Databases, owned: str, logins: tuple[str, str], options: tuple[str, ...]
) -> None:
    with databases.fresh(migrated=False) as other:
        databases.execute(f"alter database {urlsplit(other).path[1:]} owner to {logins[1]}")
        fetch(other, "create extension vector")
        new = as_login(other, logins[1])
        if "--no-owner" not in options:
            databases.execute(f"grant {logins[1]} to {logins[0]}")
            new = as_login(other, logins[0])
            databases.execute(f"alter database {urlsplit(other).path[1:]} owner to {logins[0]}")
        try:
            # As an administrator: row level security counts for the owner too, and pg_dump refuses to dump a part.
            restore(databases.dsn(urlsplit(owned).path[1:]), new, *options)
            found = problem(new)
            assert "run `pgrouter migrate`" in found, found
            repairs: list[str] = []
            assert migrate(new, report=repairs.append) == (REVISION, REVISION)
            assert repairs
            assert problem(new) == ""
            assert callers(new) == 1
            fetch(new, "select router.put_limits(1, null, 5, null, null, null)")
            again: list[str] = []
            migrate(new, report=again.append)
            assert again == []
        finally:
            for name in logins:
                fetch(other, f"reassign owned by {name} to current_user")
                fetch(other, f"drop owned by {name}")
            databases.execute(f"alter database {urlsplit(other).path[1:]} owner to current_user")


def test_a_new_owner_is_repaired(databases: Databases, owned: str, logins: tuple[str, str]) -> None:
    before = [line.replace(logins[0], "X") for line in catalog(owned) if not line.startswith("schema")]
    admin = databases.dsn(urlsplit(owned).path[1:])
    fetch(admin, f"reassign owned by {logins[0]} to {logins[1]}")
    new = as_login(owned, logins[1])
    assert callers(new) == 0
    assert "policy" in problem(new)
    migrate(new, report=lambda _: None)
    assert (problem(new), callers(new)) == ("", 1)
    after = [line.replace(logins[1], "X") for line in catalog(new) if not line.startswith("schema")]
    assert sorted(after) == sorted(before)


def test_a_login_that_may_not_repair_names_who_may(databases: Databases, owned: str, logins: tuple[str, str]) -> None:
    admin = databases.dsn(urlsplit(owned).path[1:])
    fetch(admin, f"grant usage on schema router to {logins[1]}")
    fetch(admin, "revoke select on router.tenants from router_app")
    fetch(admin, f"grant all on all tables in schema router to {logins[1]}")
    with pytest.raises(ConfigurationError, match="could not be migrated"):
        migrate(as_login(owned, logins[1]))
    assert problem(owned)
    migrate(owned, report=lambda _: None)
    assert problem(owned) == ""


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("revoke execute on function router.decide from router_app", "grant execute on function router.decide"),
        ("revoke usage on schema router_internal from router_app", "router_internal"),
        ("revoke usage on schema router from router_app", "permission denied for schema router"),
        ("revoke select on router.models from router_app", "grant select on table router.models to router_app"),
        ("grant execute on function router.delete_tenant to public", "is too much"),
        (
            "drop policy memories_of_tenant on router.memories",
            "memories_of_tenant on router.memories is missing",
        ),
        ("alter table router.memories disable row level security", "row security router.memories"),
        ("alter table router.limits no force row level security", "row security router.limits"),
        ("drop function router.forget", "function router.forget"),
        ("drop function router.decide, router.decide_many cascade", "function router.decide"),
        ("alter function router.authenticate security invoker", "function router.authenticate"),
        ("alter function router.sweep reset search_path", "function router.sweep"),
        ("drop trigger limits_meter on router.limits", "trigger limits_meter on router.limits is missing"),
        ("alter table router.limits disable trigger limits_meter", "disabled"),
        ("alter policy tenants_of_tenant on router.tenants to router_reader", "policy tenants_of_tenant"),
    ],
)
def test_each_difference_is_named_and_repaired(database: str, change: str, named: str) -> None:
    before = catalog(database)
    fetch(database, change)
    assert named in problem(database)
    repairs: list[str] = []
    migrate(database, report=repairs.append)
    assert repairs or "permission denied" in named
    assert problem(database) == ""
    kinds = ("grant ", "function grant", "policy", "trigger", "schema")
    assert [line for line in catalog(database) if line.startswith(kinds)] == [
        line for line in before if line.startswith(kinds)
    ]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("drop table router.reservations cascade", "reservations"),
        ("drop index router.decisions_recent", "index router.decisions_recent is missing"),
        ("alter table router.limits drop constraint limits_key", "limits_key"),
    ],
)
def test_what_only_a_restore_brings_back_is_named(database: str, change: str, named: str) -> None:
    fetch(database, change)
    assert named in problem(database)
    with pytest.raises(ConfigurationError, match=r"restore it into an empty database") as caught:
        migrate(database)
    assert named in str(caught.value)


def test_grants_of_other_roles_are_not_ours(database: str, logins: tuple[str, str]) -> None:
    fetch(database, f"grant usage on schema router to {logins[0]}")
    fetch(database, f"grant select on router.decisions to {logins[0]}")
    try:
        assert problem(database) == ""
    finally:
        fetch(database, f"drop owned by {logins[0]}")


def test_other_objects_in_the_schema_are_not_ours(database: str, logins: tuple[str, str]) -> None:
    fetch(database, "create function router.report() returns int language sql as 'select 1'")
    fetch(database, "create view router.costs as select 1 as usd")
    fetch(database, "grant select on router.costs to public")
    fetch(database, f"grant create on schema router to {logins[0]}")
    fetch(database, f"alter view router.costs owner to {logins[0]}")
    assert problem(database) == ""
    fetch(database, f"alter table router.limits owner to {logins[0]}")
    # The table, its index and the like, and not the view.
    assert f"objects belong to {logins[0]}" in problem(database)
    migrate(database, report=lambda _: None)
    assert problem(database) == ""
    owners = fetch(database, "select relowner::regrole::text from pg_class where relname = 'costs'")
    assert [row[0] for row in owners] == [logins[0]]
    fetch(database, f"drop owned by {logins[0]}")


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_other_encodings_are_refused(databases: Databases, encoding: str) -> None:
    name = f"{databases.template}_{encoding.lower()}"
    databases.execute(
        f"create database {name} encoding '{encoding}' template template0 locale 'C' locale_provider libc"
    )
    try:
        with pytest.raises(ConfigurationError, match=f"its encoding is {encoding}"):
            migrate(databases.dsn(name))
        assert f"encoding is {encoding}" in problem(databases.dsn(name))
    finally:
        databases.execute(f"drop database {name} with (force)")
