"""`pgrouter migrate`: migrates the database to the schema of this version."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ..errors import ConfigurationError
from .common import dsn


def migrate(
    sql: Annotated[bool, typer.Option("--sql", help="Print the SQL for review, without connecting.")] = False,
    revision: Annotated[str, typer.Option(help="Target revision; with --sql also FROM:TO.")] = "head",
) -> None:
    """Migrate the database to the schema of this version, in one transaction."""
    # Importing Alembic and SQLAlchemy takes longer than other commands run.
    from alembic import command
    from alembic.util import CommandError
    from sqlalchemy.exc import SQLAlchemyError

    from ..operations import migrate as migrations

    try:
        if sql:
            config = migrations.configuration()
            config.output_buffer = sys.stdout
            command.upgrade(config, revision, sql=True)
            return
        before, after = migrations.migrate(dsn(), revision, report=typer.echo)
    except CommandError as error:
        raise ConfigurationError(f"{error}.") from None
    except SQLAlchemyError as error:
        raise ConfigurationError(f"The database could not be migrated: {str(error).splitlines()[0]}") from None
    if before == after:
        typer.echo(f"The schema is already at revision {after}.")
    else:
        typer.echo(f"Migrated the schema from revision {before or 'none'} to revision {after or 'none'}.")
