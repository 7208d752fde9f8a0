"""The command line, run in this process or in one of its own."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

from typer.testing import Result

from app import entities
from app.api_keys import hash_of
from app.store import keys
from app.store.database import Database

T = TypeVar("T")
Command = Callable[..., Result]


async def with_database(dsn: str, work: Callable[[Database], Coroutine[Any, Any, T]]) -> T:
    db = Database(dsn, size=1, role=None)
    await db.open()
    try:
        return await work(db)
    finally:
        await db.close()


def printed(result: Result) -> Any:
    return json.loads(result.stdout)


def complaint(result: Result) -> str:
    """Return the message of an expected error: one line on stderr, with nothing on stdout."""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, lines
    assert not result.stdout
    return str(lines[0])


def program(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a process of its own."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "app", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def caller_of(dsn: str, key: str) -> entities.Caller | None:
    """Return the caller as whom the proxy authenticates `key`."""

    return asyncio.run(with_database(dsn, lambda db: keys.authenticate(db, hash_of(key))))


def lines(path: Path, rows: Sequence[object]) -> Path:
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


GOOD = {"prompt": "What is 2+2?", "scores": {"gpt-4o": 1, "gpt-4o-mini": 0.1}}
