"""The command `pgrouter migrate`, and an owner without further rights."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli import main
from tests.support.commands import printed, program, with_database


def test_migrate_prints_both_revisions(empty_database: str) -> None:
    first = program("migrate", DATABASE_URL=empty_database)
    assert (first.returncode, first.stderr) == (0, "")
    assert "from revision none to revision" in first.stdout
    again = program("migrate", DATABASE_URL=empty_database)
    assert "already" in again.stdout


def test_migrate_prints_sql_without_a_database() -> None:
    printed_sql = program("migrate", "--sql", DATABASE_URL="postgresql://nobody@127.0.0.1:1/nowhere")
    assert printed_sql.returncode == 0, printed_sql.stderr
    assert "create function router.decide(" in printed_sql.stdout


def test_migrate_to_a_revision_that_is_none_is_one_line(database: str) -> None:
    result = program("migrate", "--revision", "9999", DATABASE_URL=database)
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)


def test_a_plain_owner_of_the_schema_may_administer(databases: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"cli_owner_{os.getpid()}"
    with databases.fresh(migrated=False) as dsn:
        base, _, path = dsn.rpartition("/")
        databases.execute(f"create role {name} login password 'secret'")
        try:
            databases.execute(f"grant router_app, router_reader to {name}")
            databases.execute(f"alter database {path} owner to {name}")
            execute_on(dsn, "create extension vector")
            host = base.rpartition("@")[2].removeprefix("postgresql://")
            monkeypatch.setenv("DATABASE_URL", f"postgresql://{name}:secret@{host}/{path}")
            for command in (
                ["migrate"],
                ["provider", "add", "openai", "--base-url", "https://api.openai.com/v1"],
                ["model", "add", "gpt-4o", "--provider", "openai"],
                ["tenant", "create", "one"],
                ["tenant", "create", "two"],
                ["status"],
            ):
                result = CliRunner().invoke(main, command)
                assert result.exit_code == 0, (command, result.stderr)
            listed = printed(CliRunner().invoke(main, ["tenant", "list", "--json"]))
            assert [(tenant["name"], tenant["keys"], tenant["policies"]) for tenant in listed] == [
                ("one", 1, 1),
                ("two", 1, 1),
            ]
        finally:
            execute_on(dsn, f"drop owned by {name} cascade")
            databases.execute(f"alter database {path} owner to current_user")
            databases.execute(f"drop role {name}")


def execute_on(dsn: str, statement: str) -> None:
    asyncio.run(with_database(dsn, lambda db: db.fetch(statement)))
