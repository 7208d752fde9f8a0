"""Migrates a database to the schema of this version, with the migrations in the package."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy.exc import SQLAlchemyError

from ..errors import ConfigurationError
from ..store import schema
from ..store.dsn import connect
from ..store.errors import configuration_errors

log = logging.getLogger("pgrouter.migrate")


def migrate(
    url: str, revision: str = "head", *, report: Callable[[str], None] = log.warning
) -> tuple[str | None, str | None]:
    """Migrate the database of `url` up, or down for an earlier `revision`; return its revision before and after.

    The migration is one transaction, on the primary if `url` names several servers. If the schema was changed since the
    last one, by a restore for example, it is repaired first, and `report` is called with each repair. Raises
    `ConfigurationError` if the
    database cannot be reached or its login lacks a privilege. Must not be called in a running event loop.
    """
    url = asyncio.run(schema.primary_of(url))
    before = asyncio.run(schema.revision_of(url))
    config = configuration(url)
    config.attributes["report"] = report
    try:
        with configuration_errors("The database could not be migrated"):
            _run(config, revision, before)
    except (SQLAlchemyError, CommandError) as error:
        raise ConfigurationError(f"The database could not be migrated: {error}") from error
    return before, asyncio.run(schema.revision_of(url))


def configuration(url: str | None = None) -> Config:
    """Alembic's configuration, for the `migrations/` of the checkout or of the installed package."""
    package = Path(__file__).parents[1]
    root = package / "deploy" if (package / "deploy").exists() else package.parent
    config = Config()
    for option, value in (
        ("script_location", str(root / "migrations")),
        ("prepend_sys_path", str(root)),
        ("path_separator", "newline"),
    ):
        config.set_main_option(option, value.replace("%", "%%"))
    config.attributes["url"] = url
    config.attributes["connect"] = connect
    return config


def _run(config: Config, revision: str, before: str | None) -> None:
    if revision == "base" or (revision != "head" and before is not None and revision < before):
        command.downgrade(config, revision)
    else:
        command.upgrade(config, revision)
