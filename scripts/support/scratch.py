"""A migrated, empty database for a benchmark, dropped afterwards."""

from __future__ import annotations

import asyncio
import os
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from app.embedded import EmbeddedPostgres, erase
from app.operations.migrate import migrate


@contextmanager
def scratch_database(
    environ: Mapping[str, str] = os.environ, settings: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Yield the DSN of a migrated database, whose login owns it.

    The database is created on the server of TEST_DATABASE_URL or DATABASE_URL, whose login must be allowed to create
    databases, and dropped afterwards. If neither is set, an embedded Postgres is started in a temporary folder with its
    default settings, durable commits included, except for `settings`. Not to be called inside a running event loop.
    """
    url = environ.get("TEST_DATABASE_URL") or environ.get("DATABASE_URL")
    if url:
        name = f"pgrouter_bench_{secrets.token_hex(4)}"
        head, question, tail = url.partition("?")
        _execute(url, f"create database {name}")
        try:
            dsn = f"{head.rpartition('/')[0]}/{name}{question}{tail}"
            migrate(dsn)
            yield dsn
        finally:
            _execute(url, f"drop database {name} with (force)")
        return
    with tempfile.TemporaryDirectory(prefix="pgrouter-bench-") as folder:
        home = Path(folder) / "home"
        try:
            with EmbeddedPostgres(home, settings=settings) as postgres:
                migrate(postgres.dsn)
                yield postgres.dsn
        finally:
            # As root the cluster may be in another folder than its home.
            erase(home)


def _execute(dsn: str, statement: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(dsn)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(run())
