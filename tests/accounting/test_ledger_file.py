"""Ledger entries that could not be written at the end of a process are written by the next one."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.accounting import ledger_file
from app.accounting.ledger import Ledger
from app.errors import DatabaseUnavailable, PermissionDenied
from tests.support.ledger_entries import entry
from tests.support.proxy import Proxy


class Away:
    """A database that cannot be reached."""

    async def fetch(self, *_: Any, **__: Any) -> None:
        raise DatabaseUnavailable("away", cause="unreachable")


async def left_behind(proxy: Proxy, folder: Path, count: int = 3) -> list[Any]:
    """End a ledger with `count` entries while its database is away; return the entries' ids."""
    ledger = Ledger(Away(), size=100, folder=folder)  # type: ignore[arg-type]
    task = asyncio.create_task(ledger.run())
    entries = [entry(proxy) for _ in range(count)]
    for each in entries:
        ledger.add(each)
    await ledger.close(task, 0.2)
    return [each.record.decision_id for each in entries]


async def test_entries_outlive_their_process(proxy: Proxy, tmp_path: Path) -> None:
    folder = tmp_path / "state" / "ledger"
    ids = await left_behind(proxy, folder)
    (file,) = folder.iterdir()
    assert (file.stat().st_mode & 0o777, folder.stat().st_mode & 0o777) == (0o600, 0o700)
    copy = file.read_bytes()
    ledger = Ledger(proxy.services.db, size=100, folder=folder)
    await ledger.take_up()
    assert not list(folder.iterdir())
    assert {row["decision_id"] for row in await proxy.ledger(3)} == set(ids)
    # A process that ended between the commit and the deletion.
    file.write_bytes(copy)
    await ledger.take_up()
    assert not list(folder.iterdir())
    assert len(await proxy.ledger(3)) == 3


@pytest.mark.parametrize(
    ("damage", "written", "kept"),
    [
        (lambda text: text[:-20], 2, 1),
        (lambda text: text.replace(b"[", b"{", 1), 2, 1),
        (lambda text: text + b"\xff\xfe\n[1, 2]\n", 3, 1),
        (lambda _: b"", 0, 1),
        (lambda _: b"garbage\n", 0, 1),
        (lambda text: text.replace(b"0105", b"9999", 1), 0, 1),
    ],
)
async def test_a_damaged_file_loses_what_is_damaged(
    proxy: Proxy, tmp_path: Path, damage: Callable[[bytes], bytes], written: int, kept: int
) -> None:
    await left_behind(proxy, tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(damage(file.read_bytes()))
    await Ledger(proxy.services.db, size=100, folder=tmp_path).take_up()
    assert len(await proxy.ledger(written)) == written
    assert len(list(tmp_path.iterdir())) == kept


async def test_two_processes_do_not_take_up_the_same_file(tmp_path: Path) -> None:
    ledger_file.save(tmp_path, [(1,), (2,)])
    written: list[Any] = []

    async def write(rows: list[Any]) -> int:
        await asyncio.sleep(0.05)
        written.extend(rows)
        return 0

    await asyncio.gather(*(ledger_file.take_up(tmp_path, write) for _ in range(3)))
    assert written == [(1,), (2,)]


async def test_a_file_waits_for_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_file, "RETRY", 0.01)
    ledger_file.save(tmp_path, [(n,) for n in range(1200)])
    calls: list[int] = []

    errors = [DatabaseUnavailable("away", cause="unreachable"), PermissionDenied("no grant", "42501", "no grant")]

    async def write(rows: list[Any]) -> int:
        calls.append(len(rows))
        if errors:
            assert list(tmp_path.iterdir())
            raise errors.pop()
        return 0

    await ledger_file.take_up(tmp_path, write)
    assert calls == [500, 500, 500, 500, 200]
    assert not list(tmp_path.iterdir())


async def test_a_file_with_refused_entries_is_kept_and_not_read_again(tmp_path: Path) -> None:
    file = ledger_file.save(tmp_path, [(1,), (2,)])

    async def write(rows: list[Any]) -> int:
        assert len(rows) == 2
        return 1

    await ledger_file.take_up(tmp_path, write)
    await ledger_file.take_up(tmp_path, fails)
    assert [path.name for path in tmp_path.iterdir()] == [f"{file.stem}.refused"]


async def fails(_: list[Any]) -> int:
    raise AssertionError("nothing is to be written")


async def test_a_file_that_cannot_be_deleted_does_not_hold_up_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ledger_file.save(tmp_path, [(1,)])
    ledger_file.save(tmp_path, [(2,)])
    written: list[Any] = []

    async def write(rows: list[Any]) -> int:
        written.extend(rows)
        return 0

    def unlink(path: Path, **_: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "unlink", unlink)
    await ledger_file.take_up(tmp_path, write)
    assert written == [(1,), (2,)]
    assert caplog.text.count("Read-only file system") == 2


async def test_a_folder_that_cannot_be_written_is_logged(
    proxy: Proxy, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    with caplog.at_level(logging.ERROR):
        await left_behind(proxy, tmp_path / "file" / "ledger", 2)
    assert "2 ledger entries are lost" in caplog.text
