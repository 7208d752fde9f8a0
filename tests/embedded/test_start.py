"""The embedded Postgres starts, keeps its data, recovers from a kill, and leaves no process behind."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from app.embedded import EmbeddedPostgres, dsn_of
from app.embedded.account import account_for
from app.embedded.postmaster import PidFile
from tests.support.embedded import QUICK, sql


def server_pid(home: Path) -> int:
    file = PidFile.read(home / "postgres")
    assert file is not None
    return file.pid


def family(pid: int) -> set[int]:
    """Return the process and its children."""
    table = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    return {pid} | {int(child) for child, parent in map(str.split, table.splitlines()) if int(parent) == pid}


def alive(pids: set[int]) -> set[int]:
    table = subprocess.run(["ps", "-A", "-o", "pid=,stat="], capture_output=True, text=True, check=True).stdout
    running = {int(pid) for pid, state in map(str.split, table.splitlines()) if not state.startswith("Z")}
    return pids & running


async def test_a_first_start_makes_a_database_that_the_dsn_opens(postgres: EmbeddedPostgres) -> None:
    connection = await asyncpg.connect(postgres.dsn)
    try:
        await connection.execute("create extension if not exists vector")
        assert await connection.fetchval("select current_database()") == "pgrouter"
        assert await connection.fetchval("select '[1,0]'::vector <=> '[0,1]'::vector") == 1.0
    finally:
        await connection.close()


async def test_a_wrong_password_is_refused(postgres: EmbeddedPostgres) -> None:
    user, _, address = postgres.dsn.partition("@")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(f"{user}x@{address}")


def test_only_the_owner_can_read_the_password(postgres: EmbeddedPostgres, home: Path) -> None:
    assert stat.S_IMODE((home / "postgres-password").stat().st_mode) == 0o600
    assert (home / "postgres-password").read_text().strip() in postgres.dsn


def test_data_and_port_survive_a_stop_and_a_start(postgres: EmbeddedPostgres) -> None:
    sql(postgres.dsn, "drop table if exists kept; create table kept as select 7 as n")
    before = postgres.dsn
    postgres.stop()
    postgres.start()
    assert postgres.dsn == before
    assert sql(postgres.dsn, "select n from kept") == "7"


def test_no_process_is_left_after_a_stop(postgres: EmbeddedPostgres, home: Path) -> None:
    processes = family(server_pid(home))
    assert len(processes) > 3
    postgres.stop()
    assert not alive(processes)


def test_stop_may_be_called_again(postgres: EmbeddedPostgres) -> None:
    postgres.stop()
    postgres.stop()
    assert not postgres.running


def test_settings_of_the_caller_win(postgres: EmbeddedPostgres) -> None:
    assert sql(postgres.dsn, "show shared_buffers") == "16MB"
    assert sql(postgres.dsn, "show jit") == "off"


def test_a_killed_server_is_started_again_with_all_that_was_committed(postgres: EmbeddedPostgres, home: Path) -> None:
    sql(postgres.dsn, "drop table if exists crashed; create table crashed as select 7 as n")
    os.kill(server_pid(home), signal.SIGKILL)
    while postgres.running:
        time.sleep(0.01)
    postgres.start()
    assert sql(postgres.dsn, "select n from crashed") == "7"


def test_the_server_of_a_killed_owner_is_adopted(owner: Callable[[], subprocess.Popen[str]], home: Path) -> None:
    process = owner()
    pid, dsn = server_pid(home), dsn_of(home)
    process.kill()
    process.wait()
    began = time.monotonic()
    with EmbeddedPostgres(home, settings=QUICK) as postgres:
        assert time.monotonic() - began < 2.0
        assert (server_pid(home), postgres.dsn) == (pid, dsn)
        assert "acknowledged" in sql(postgres.dsn, "select word from owned")
    assert not alive({pid})


def test_the_server_of_a_killed_owner_is_restarted_for_other_settings(
    owner: Callable[[], subprocess.Popen[str]], home: Path
) -> None:
    process = owner()
    process.kill()
    process.wait()
    with EmbeddedPostgres(home, settings=QUICK | {"work_mem": "5MB"}) as postgres:
        assert sql(postgres.dsn, "show work_mem") == "5MB"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_a_signal_to_the_group_leaves_postgres_to_its_owner(
    owner: Callable[[], subprocess.Popen[str]], home: Path, number: signal.Signals
) -> None:
    process = owner()
    processes = family(server_pid(home))
    os.killpg(process.pid, number)
    output, _ = process.communicate(timeout=10)
    assert (output, process.returncode) == ("stopped\n", 0)
    assert not alive(processes)


def test_a_stale_pid_file_does_not_stop_a_start(postgres: EmbeddedPostgres, home: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    text = (home / "postgres" / "postmaster.pid").read_text()
    postgres.stop()
    _write_pid_file(home, text, ended.pid)
    postgres.start()
    assert sql(postgres.dsn, "select 1") == "1"


def test_a_pid_file_whose_number_went_to_another_program_does_not_stop_a_start(
    postgres: EmbeddedPostgres, home: Path
) -> None:
    text = (home / "postgres" / "postmaster.pid").read_text()
    postgres.stop()
    other = account_for(home / "postgres").spawn(["sleep", "60"], subprocess.DEVNULL)
    try:
        _write_pid_file(home, text, other.pid)
        postgres.start()
        assert sql(postgres.dsn, "select 1") == "1"
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_an_empty_pid_file_does_not_stop_a_start(postgres: EmbeddedPostgres, home: Path) -> None:
    postgres.stop()
    _write_pid_file(home, "", 0)
    postgres.start()
    assert sql(postgres.dsn, "select 1") == "1"


def _write_pid_file(home: Path, text: str, pid: int) -> None:
    data = home / "postgres"
    file = data / "postmaster.pid"
    file.write_text(text and "\n".join([str(pid), *text.splitlines()[1:]]) + "\n")
    account_for(data).chown(file)
