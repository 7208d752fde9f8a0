"""Brings a database to this version's schema, by the migrations that come with the package."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy.exc import SQLAlchemyError

from app.errors import ConfigurationError
from app.store import servers


def migrate(url: str, revision: str = "head") -> tuple[str | None, str | None]:
    """Migrate the database of `url` up, or down for an earlier `revision`; returns its revision before and after.

    All of it happens in one transaction, on the primary where `url` names several servers. Raises `ConfigurationError`
    when the database cannot be reached or its login may not do what is needed. Not to be called inside a running
    event loop.
    """
    url = _primary_of(url)
    before = _revision_of(url)
    config = configuration(url)
    try:
        if revision == "base" or (revision != "head" and before is not None and revision < before):
            command.downgrade(config, revision)
        else:
            command.upgrade(config, revision)
    except (OSError, asyncpg.PostgresError, asyncpg.InternalClientError, SQLAlchemyError, CommandError) as error:
        raise ConfigurationError(f"The database could not be migrated: {error}") from error
    return before, _revision_of(url)


def configuration(url: str | None = None) -> Config:
    """Alembic's configuration: the checkout's `migrations/`, or those inside an installed package."""
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
    return config


def _primary_of(url: str) -> str:
    try:
        return asyncio.run(servers.primary_of(url))
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise ConfigurationError(f"The database of DATABASE_URL has no primary to migrate: {error}") from error


def _revision_of(url: str) -> str | None:
    async def read() -> str | None:
        connection = await asyncpg.connect(url, timeout=10)
        try:
            if await connection.fetchval("select to_regclass('router.alembic_version')") is None:
                return None
            found: str | None = await connection.fetchval("select version_num from router.alembic_version")
            return found
        finally:
            await connection.close()

    try:
        return asyncio.run(read())
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise ConfigurationError(f"The database of DATABASE_URL cannot be used: {error}") from error
