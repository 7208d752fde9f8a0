"""Processes of the embedded Postgres."""

from __future__ import annotations

import subprocess
from pathlib import Path

from app.embedded import psql

ROOT = Path(__file__).parents[2]
QUICK = {"fsync": "off", "shared_buffers": "16MB"}
# The steps of a proxy: own the cluster, write something, and on a signal use it once more before stopping it.
OWNER = """
import signal, subprocess, sys, threading
from pathlib import Path
from app.embedded import EmbeddedPostgres, programs, psql
programs.SHARED = Path(sys.argv[2])
QUICK = {"fsync": "off", "shared_buffers": "16MB"}
ended = threading.Event()
signal.signal(signal.SIGINT, lambda *_: ended.set())
signal.signal(signal.SIGTERM, lambda *_: ended.set())
with EmbeddedPostgres(Path(sys.argv[1]), settings=QUICK) as postgres:
    def run(sql):
        subprocess.run([psql(), "-X", "-q", postgres.dsn, "-v", "ON_ERROR_STOP=1", "-c", sql], check=True)
    run("create table if not exists owned (word text)")
    run("insert into owned values ('acknowledged')")
    print("ready", flush=True)
    ended.wait()
    run("insert into owned values ('flushed')")
print("stopped", flush=True)
"""


def sql(dsn: str | None, text: str) -> str:
    assert dsn is not None
    command: list[str | Path] = [psql(), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", dsn, "-c", text]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
