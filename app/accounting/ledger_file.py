"""Keeps ledger entries in a file from the end of a process whose database is away until the next start."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from ..errors import DatabaseError, DatabaseUnavailable
from ..store.database import REVISION

Row = tuple[Any, ...]
#: Writes entries, and returns how many of them the database refused for what is in them.
Write = Callable[[list[Row]], Awaitable[int]]

#: Entries that are written at once.
BATCH = 500
#: Wait between attempts while the database is unavailable, seconds.
RETRY = 1.0
#: The suffix of files with entries that cannot be written; nothing reads them again.
REFUSED = ".refused"

log = logging.getLogger("pgrouter.ledger")


def save(folder: Path, rows: Sequence[Row]) -> Path:
    """Write entries to a new file in `folder` that only this user can read, whole or not at all. Raises `OSError`.

    Like the ledger they hold no prompt and no answer.
    """
    if not folder.parent.exists():
        folder.parent.mkdir(parents=True)
        # As the home of an embedded Postgres, whose account must pass through it if this process is root.
        folder.parent.chmod(0o711 if os.geteuid() == 0 else 0o700)
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{time.time_ns()}-{os.getpid()}.jsonl"
    partial = path.with_suffix(".partial")
    file = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(file, "w", encoding="utf-8") as text:
            text.write(json.dumps({"revision": REVISION}) + "\n")
            for row in rows:
                text.write(json.dumps(row, default=_encode) + "\n")
            text.flush()
            os.fsync(text.fileno())
        partial.rename(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return path


async def take_up(folder: Path, write: Write) -> None:
    """Write the entries of all files in `folder` with `write`, and delete each file once that is done.

    While the database is unavailable or refuses all entries, it waits. A file with entries that cannot be read or
    written is renamed to end in `REFUSED`. A file that another process takes up, or that cannot be read or deleted, is
    passed over. Entries that were written before are the same rows: `write` must leave those unchanged.
    """
    for path in _files(folder):
        try:
            file = _claim(path)
            if file is None:
                continue
            try:
                await _take_up(path, _lines(file), write)
            finally:
                os.close(file)
        except OSError as error:
            log.error("%s cannot be taken up: %s", path, error.strerror)


async def _take_up(path: Path, lines: Sequence[bytes], write: Write) -> None:
    head, *rest = lines or [b""]
    found = _decoded(head)
    revision = found.get("revision") if isinstance(found, dict) else None
    if revision != REVISION:
        log.error("%s is not of schema revision %s (%s): its ledger entries stay there", path, REVISION, revision)
        return
    rows = [row for line in rest if (row := _row(line)) is not None]
    lost = len(rest) - len(rows)
    for first in range(0, len(rows), BATCH):
        lost += await _written(path, rows[first : first + BATCH], write)
    if len(rest) > lost:
        log.warning("%d ledger entries of an earlier process were written", len(rest) - lost)
    if lost:
        kept = path.with_suffix(REFUSED)
        log.error("%d ledger entries of an earlier process cannot be written; they are kept in %s", lost, kept)
        _set_aside(path, kept)
    else:
        _delete(path)


async def _written(path: Path, rows: list[Row], write: Write) -> int:
    """Write entries as soon as the database takes them; return how many it refused."""
    logged: str | None = None
    while True:
        try:
            return await write(rows)
        except DatabaseUnavailable:
            pass
        except DatabaseError as error:
            if logged != error.sqlstate:
                logged = error.sqlstate
                log.error("the ledger entries of %s cannot be written yet: %s", path, error.message)
        await asyncio.sleep(RETRY)


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(folder.glob("*.jsonl"))
    except OSError as error:
        log.error("%s cannot be read: %s", folder, error.strerror)
        return []


def _claim(path: Path) -> int | None:
    """Open and lock a file; None if another process has it, or has written it meanwhile, or if it cannot be read."""
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError as error:
        log.error("%s cannot be read: %s", path, error.strerror)
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(file).st_nlink:
            return file
    except BlockingIOError:
        pass
    except OSError:
        os.close(file)
        raise
    os.close(file)
    return None


def _lines(file: int) -> list[bytes]:
    with open(file, "rb", closefd=False) as content:
        return content.read().splitlines()


def _delete(path: Path) -> None:
    path.unlink(missing_ok=True)


def _set_aside(path: Path, kept: Path) -> None:
    path.rename(kept)


def _row(line: bytes) -> Row | None:
    found = _decoded(line)
    return tuple(found) if isinstance(found, list) else None


def _decoded(line: bytes) -> Any:
    with contextlib.suppress(ValueError, TypeError):
        return json.loads(line, object_hook=_decode)
    return None


def _encode(value: object) -> dict[str, str]:
    if isinstance(value, UUID):
        return {"uuid": value.hex}
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    raise TypeError(f"{type(value).__name__} in a ledger entry")


def _decode(value: dict[str, Any]) -> object:
    if "uuid" in value:
        return UUID(value["uuid"])
    return bytes.fromhex(value["bytes"]) if "bytes" in value else value
