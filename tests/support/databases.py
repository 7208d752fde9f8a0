"""Postgres servers for the tests, and databases on them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

from app.operations.migrate import migrate

T = TypeVar("T")
IMAGE = "pgvector/pgvector:pg18"


def blocking(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine from synchronous code, whether or not a loop is running in this thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(work())).result()


def docker_answers() -> bool:
    # By the command line: the SDK does not close its socket without a Docker daemon, which is an error here.
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        return subprocess.run(["docker", "info"], capture_output=True, timeout=10, check=False).returncode == 0
    return False


@contextmanager
def embedded_server() -> Iterator[str]:
    from app.embedded import EmbeddedPostgres, erase

    with tempfile.TemporaryDirectory(prefix="pgrouter-test-") as folder:
        # The data need not survive a crash of the machine.
        settings = {"fsync": "off", "full_page_writes": "off", "wal_init_zero": "off", "max_connections": "200"}
        home = Path(folder) / "home"
        with EmbeddedPostgres(home, settings=settings) as postgres:
            yield postgres.dsn
        # As root the cluster may be in another folder than its home.
        erase(home)


@contextmanager
def container() -> Iterator[str]:
    from testcontainers.community.postgres import PostgresContainer

    with PostgresContainer(IMAGE, driver=None) as container:
        yield container.get_connection_url()


class Databases:
    """Databases made from a migrated template, dropped when done."""

    def __init__(self, server_dsn: str) -> None:
        self.server_dsn = server_dsn
        self._prefix = f"pgrouter_test_{os.getpid()}"
        self._made = 0
        self.template = f"{self._prefix}_template"
        self.execute(f"create database {self.template}")
        self._migrate_template()
        # Copying files writes no WAL, but needs checkpoints: quick where the server does not flush to the disk.
        self._strategy = "file_copy" if self.value("show fsync") == "off" else "wal_log"

    def _migrate_template(self) -> None:
        """Migrate the template, one process after the other: the first one creates the roles of the whole server."""

        async def run() -> None:
            connection = await asyncpg.connect(self.server_dsn)
            try:
                await connection.execute("select pg_advisory_lock(hashtext('pgrouter_test'))")
                await asyncio.to_thread(migrate, self.dsn(self.template))
            finally:
                await connection.close()

        blocking(run)

    def dsn(self, name: str) -> str:
        """Return the DSN of a database on the test server."""
        head, _, _ = self.server_dsn.partition("?")[0].rpartition("/")
        return f"{head}/{name}"

    def execute(self, statement: str) -> None:
        """Run one statement on the server's own database."""
        self.value(statement)

    def value(self, statement: str) -> Any:
        """Run one statement on the server's own database, and return the first value of its first row, if any."""

        async def run() -> Any:
            connection = await asyncpg.connect(self.server_dsn)
            try:
                return await connection.fetchval(statement)
            finally:
                await connection.close()

        return blocking(run)

    @contextmanager
    def fresh(self, *, migrated: bool = True) -> Iterator[str]:
        """Create a database, with the schema or empty; yields its DSN and drops it."""
        self._made += 1
        name = f"{self._prefix}_{self._made}"
        template = f"template {self.template}" if migrated else ""
        self.execute(f"create database {name} {template} strategy {self._strategy}")
        try:
            yield self.dsn(name)
        finally:
            self.execute(f"drop database {name} with (force)")
