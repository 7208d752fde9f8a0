"""The revision of a database's schema, read before the schema can be relied on."""

from __future__ import annotations

from ..errors import ConfigurationError
from . import servers
from .dsn import connect
from .errors import configuration_errors

#: Timeout of a connection attempt, seconds.
CONNECT_TIMEOUT = 10.0


async def primary_of(url: str) -> str:
    """Return the DSN of the primary among the servers of `url`. Raises `ConfigurationError` if there is none."""
    problem = "The database of DATABASE_URL has no primary to migrate"
    try:
        with configuration_errors(problem):
            return await servers.primary_of(url)
    except ValueError as error:
        raise ConfigurationError(f"{problem}: {error}") from error


async def revision_of(url: str) -> str | None:
    """Return the schema revision of a database; None: it has no schema `router`. Raises `ConfigurationError`."""
    problem = "The database of DATABASE_URL cannot be used"
    try:
        with configuration_errors(problem):
            connection = await connect(url, timeout=CONNECT_TIMEOUT)
            try:
                if await connection.fetchval("select to_regclass('router.alembic_version')") is None:
                    return None
                found: str | None = await connection.fetchval("select version_num from router.alembic_version")
                return found
            finally:
                await connection.close()
    except ValueError as error:
        raise ConfigurationError(f"{problem}: {error}") from error
