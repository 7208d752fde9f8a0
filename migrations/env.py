"""Run the revisions against DATABASE_URL in one transaction, one migrator at a time."""

from __future__ import annotations

import asyncio
import os

import asyncpg
from alembic import context
from alembic.util import CommandError
from sqlalchemy import Connection, pool, text
from sqlalchemy.ext.asyncio import create_async_engine

SCHEMA = "router"
# The key of the advisory lock that excludes other migrators: "pgrouter" in ASCII.
ADVISORY_LOCK = 0x7067726F75746572
# The first revision; those of pre-releases are 0001 to 0015.
FIRST = "0101"


def _url() -> str:
    url = context.config.attributes.get("url") or os.environ.get("DATABASE_URL")
    if not url:
        raise SystemExit("DATABASE_URL is not set: it names the database to migrate.")
    return url


def _refuse_pre_release(connection: Connection) -> None:
    """Raise `CommandError` for the schema of a version before 0.1.0, whose revisions these do not continue."""
    if connection.scalar(text(f"select to_regclass('{SCHEMA}.alembic_version')")) is None:
        return
    revision = connection.scalar(text(f"select version_num from {SCHEMA}.alembic_version"))
    if revision is not None and revision < FIRST:
        raise CommandError(
            f"its schema (revision {revision}) is of a pre-release and cannot be migrated; export each tenant's memory"
            " with the pgrouter that made it (`pgrouter export`), create a new database, run `pgrouter migrate` there"
            " and import the files (`pgrouter import`)"
        )


def _run(connection: Connection) -> None:
    connection.execute(text("set local lock_timeout = '5s'"))
    connection.execute(text(f"select pg_advisory_xact_lock({ADVISORY_LOCK})"))
    connection.execute(text(f"create schema if not exists {SCHEMA}"))
    _refuse_pre_release(connection)
    context.configure(connection=connection, version_table_schema=SCHEMA)
    context.run_migrations()


async def _online() -> None:
    url = _url()
    # asyncpg reads the URL, as in the proxy: SQLAlchemy would not pass on parameters such as `sslmode`. Of several
    # servers in the URL, only the primary can be migrated.
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=lambda: asyncpg.connect(url, target_session_attrs="read-write"),
        poolclass=pool.NullPool,
    )
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_run)
    finally:
        await engine.dispose()


if context.is_offline_mode():
    context.configure(dialect_name="postgresql", version_table_schema=SCHEMA)
    with context.begin_transaction():
        context.execute(f"create schema if not exists {SCHEMA}")
        context.run_migrations()
else:
    asyncio.run(_online())
