"""The database that the commands use, and `pgrouter dsn` and `pgrouter psql`."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import main
from app.embedded import EmbeddedPostgres
from tests.support.commands import Command, complaint, program


def test_a_database_without_the_schema_names_the_command(empty_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_database)
    result = CliRunner().invoke(main, ["tenant", "list"])
    assert result.exit_code == 1
    assert "pgrouter migrate" in complaint(result)


def test_a_server_that_is_away_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nowhere")
    for command in (["tenant", "list"], ["migrate"]):
        result = CliRunner().invoke(main, command)
        assert result.exit_code == 1
        assert "cannot be used" in complaint(result)


@pytest.mark.parametrize("command", [["tenant", "list"], ["dsn"], ["psql"], ["migrate"]])
def test_without_a_database_every_command_prints_how_to_get_one(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("PGROUTER_HOME", str(tmp_path / "home"))
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 1
    assert "pgrouter serve" in complaint(result)
    assert not (tmp_path / "home").exists()


def test_dsn_prints_database_url(run: Command, database: str) -> None:
    assert run("dsn").stdout == f"{database}\n"


def test_psql_gets_its_arguments_as_they_are(database: str) -> None:
    result = program("psql", "-At", "-c", "select 1 + 1", "--no-psqlrc", DATABASE_URL=database)
    assert (result.returncode, result.stdout) == (0, "2\n"), result.stderr


def test_the_embedded_database_is_reached_while_it_runs_and_not_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    with tempfile.TemporaryDirectory(prefix="pgrouter-test-") as name:
        Path(name).chmod(0o755)  # Postgres's account has to get there
        home = Path(name) / "home"
        with EmbeddedPostgres(home, settings={"fsync": "off", "shared_buffers": "16MB"}) as postgres:
            assert program("dsn", PGROUTER_HOME=str(home)).stdout == f"{postgres.dsn}\n"
            asked = program("psql", "-At", "-c", "select current_database()", PGROUTER_HOME=str(home))
            assert (asked.returncode, asked.stdout) == (0, "pgrouter\n"), asked.stderr
        stopped = program("psql", "-At", "-c", "select 1", PGROUTER_HOME=str(home))
        assert (stopped.returncode, stopped.stdout) == (1, "")
        assert "pgrouter serve" in stopped.stderr


def test_psql_hands_on_its_exit_code_and_help(database: str) -> None:
    assert program("psql", "-c", "select nonsense", DATABASE_URL=database).returncode == 1
    assert "psql is the PostgreSQL interactive terminal" in program("psql", "--help", DATABASE_URL=database).stdout


def test_the_password_is_not_in_psqls_arguments(tmp_path: Path) -> None:
    told = tmp_path / "told"
    fake = tmp_path / "psql"
    fake.write_text(f'#!/bin/sh\necho "$@" > {told}\necho "$PGPASSWORD" >> {told}\n')
    fake.chmod(0o755)
    code = (
        "from pathlib import Path; from app import embedded; from app.cli import main; "
        f"embedded.psql = lambda: Path({str(fake)!r}); main(['psql', '-l'])"
    )
    environment = {**os.environ, "DATABASE_URL": "postgresql://me:p%40ss@127.0.0.1:1/x?sslmode=disable"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=60)
    arguments, password = told.read_text().splitlines()
    assert arguments.startswith("--dbname=postgresql://me@127.0.0.1:1/x?sslmode=disable ")
    assert arguments.endswith(" -l")
    assert password == "p@ss"
