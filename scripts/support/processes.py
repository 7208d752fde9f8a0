"""Processes of a benchmark: the proxy, started as by users, and the resources used by any process."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from app.demo.tenant import prepare
from app.memory import embedders
from app.settings import Settings
from app.store import providers, spaces
from app.store.database import Database

ROOT = Path(__file__).resolve().parents[2]
PROVIDER = "demo"


def seed(dsn: str, home: Path, upstream_url: str) -> str:
    """Create the demo tenant with its 304 taught prompts, as at a first start, its models served by `upstream_url`.

    Return the tenant's key, which is stored in `home`.
    """

    async def run() -> str:
        db = Database(dsn, size=1, role=None)
        await db.open()
        try:
            embedding = embedders.create(Settings(), await spaces.width(db))
            try:
                key = await prepare(db, embedding, home, "http://127.0.0.1", environ={})
            finally:
                await embedding.close()
            await providers.put_provider(db, PROVIDER, upstream_url, None)
            return key
        finally:
            await db.close()

    return asyncio.run(run())


@contextmanager
def running_proxy(dsn: str, home: Path, **environ: str) -> Iterator[tuple[str, int]]:
    """Run `python -m app serve` on a free port, with the defaults and `environ`; yield base URL and process id."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ROUTER_", "OPENAI_"))}
    own = {"DATABASE_URL": dsn, "PORT": "0", "HOST": "127.0.0.1", "PGROUTER_HOME": str(home), **environ}
    command = [sys.executable, "-m", "app", "serve"]
    with subprocess.Popen(command, cwd=ROOT, env=inherited | own, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("base_url = "):
                    yield line.removeprefix("base_url = ").strip(), process.pid
                    break
            else:
                raise RuntimeError(f"the proxy did not start, exit code {process.wait()}")
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()


async def backends(dsn: str) -> list[int]:
    """Return the backends of Postgres for this database; useful only if the server is on this machine."""
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch(
            "select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        )
    finally:
        await connection.close()
    pids = (int(row["pid"]) for row in rows)
    return [pid for pid in pids if (_read(pid, "comm") or "").startswith("postgres")]


def cpu_seconds(pids: Iterable[int]) -> float | None:
    """Return the processor time of these processes, all threads, user and system; None without /proc."""
    total = 0
    for pid in pids:
        try:
            # In nanoseconds; /proc/PID/stat has only hundredths of a second.
            texts = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/schedstat")]
        except OSError:
            return None
        if not texts:
            return None
        total += sum(int(text.split()[0]) for text in texts)
    return total / 1e9


def resident_mib(pid: int) -> float | None:
    """Return the resident memory of a process, in MiB; None if /proc does not have it."""
    return _status_mib(pid, "VmRSS:")


def peak_mib(pid: int) -> float | None:
    """Return the peak resident memory of a process, in MiB; None if /proc does not have it."""
    return _status_mib(pid, "VmHWM:")


def _status_mib(pid: int, name: str) -> float | None:
    for line in (_read(pid, "status") or "").splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    return None


def _read(pid: int, name: str) -> str | None:
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except OSError:
        return None
