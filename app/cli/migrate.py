"""`pgrouter migrate`: bring the database to this version's schema."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from app.cli.common import dsn
from app.errors import ConfigurationError


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
