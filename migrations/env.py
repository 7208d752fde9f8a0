"""Run the revisions against DATABASE_URL in one transaction, one migrator at a time."""

from __future__ import annotations

import asyncio
import os

import asyncpg
from alembic import context
from alembic.util import CommandError
from sqlalchemy import Connection, pool, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from migrations.install import RECORD, execute_on
from migrations.repair import repair

SCHEMA = "router"
REVISION = f"select version_num from {SCHEMA}.alembic_version"
#: Attempts to create the schema, while other migrators create it too.
ATTEMPTS = 5
# SQLSTATEs of two migrators that create the same schema or table at once; the second waits for the first one's commit.
_RACES = ("23505", "42P06", "42P07")
# As Alembic creates it; here because it is also the lock.
VERSION_TABLE = f"""
create table {SCHEMA}.alembic_version (
    version_num varchar(32) not null constraint alembic_version_pkc primary key
)
"""
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


def _refuse_encoding(connection: Connection) -> None:
    """Raise `CommandError` for a database that cannot hold every text."""
    encoding = connection.scalar(text("show server_encoding"))
    if encoding != "UTF8":
        raise CommandError(
            f"its encoding is {encoding}, which cannot store every prompt and name: create a database with"
            " `create database NAME encoding 'UTF8' template template0`, and set DATABASE_URL to it"
        )


def _lock(connection: Connection) -> None:
    """Exclude other migrators until the transaction ends, with a lock that roles with fewer rights cannot take."""
    if connection.scalar(text(f"select to_regnamespace('{SCHEMA}')")) is None:
        connection.execute(text(f"create schema {SCHEMA}"))
    if connection.scalar(text(f"select to_regclass('{SCHEMA}.alembic_version')")) is None:
        connection.execute(text(VERSION_TABLE))
    connection.execute(text(f"lock table {SCHEMA}.alembic_version in share row exclusive mode"))


def _run(connection: Connection) -> None:
    connection.execute(text("set local lock_timeout = '5s'"))
    _refuse_encoding(connection)
    _lock(connection)
    _refuse_pre_release(connection)
    context.configure(connection=connection, version_table_schema=SCHEMA)
    before = connection.scalar(text(REVISION))
    if before is not None:
        # Before it is changed: what a migration leaves is recorded as right.
        repair(connection, execute_on(connection), context.config.attributes.get("report", print))
    context.run_migrations()
    if connection.scalar(text(REVISION)) != before:
        execute_on(connection)(RECORD)


async def _online() -> None:
    url = _url()
    connect = context.config.attributes.get("connect", asyncpg.connect)
    # The driver reads the URL, as in the proxy: SQLAlchemy would not pass on parameters such as `sslmode`. Of several
    # servers in the URL, only the primary can be migrated.
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=lambda: connect(url, target_session_attrs="read-write"),
        poolclass=pool.NullPool,
    )
    try:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with engine.begin() as connection:
                    await connection.run_sync(_run)
                break
            except DBAPIError as error:
                if attempt == ATTEMPTS or getattr(error.orig, "sqlstate", None) not in _RACES:
                    raise
    finally:
        await engine.dispose()


if context.is_offline_mode():
    context.configure(dialect_name="postgresql", version_table_schema=SCHEMA)
    with context.begin_transaction():
        context.execute(f"create schema if not exists {SCHEMA}")
        context.run_migrations()
        context.execute(RECORD)
else:
    asyncio.run(_online())
