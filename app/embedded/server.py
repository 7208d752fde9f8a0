"""The Postgres server of a home: starts it, adopts it from a killed process, and stops it with its owner."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

from ..errors import ConfigurationError
from . import cluster, place, ports, programs
from .account import Account, account_for, environment
from .home import DATABASE, SUPERUSER, Home
from .postmaster import PidFile, Postmaster

_POLL = 0.02
_PROGRESS = 5.0  # seconds between two messages during a long start
_START_TIMEOUT = 1800.0  # seconds; crash recovery replays the log of a few checkpoints, but disks differ
_ORPHANS_TIMEOUT = 60.0  # seconds until the backends of a killed server have ended


class EmbeddedPostgres:
    """A Postgres cluster in `home/postgres`, owned by this process while it runs.

    `port` is used if given, else any free one, which is kept for later starts. `settings` are server settings that
    override those of the cluster. `report` is called with progress messages. All methods block, and only one thread at
    a time may call them. As a context manager it starts and stops.
    """

    def __init__(
        self,
        home: Path,
        *,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._home = Home(home)
        self._fixed_port = port
        self._settings = dict(settings or {})
        self._report = report
        self._postmaster: Postmaster | None = None
        self._port: int | None = None
        self._abandoned = threading.Event()

    @property
    def dsn(self) -> str:
        """postgresql://postgres:PASSWORD@127.0.0.1:PORT/pgrouter; available after `start`."""
        if self._port is None:
            raise RuntimeError("EmbeddedPostgres.dsn is available after start()")
        return self._home.dsn(self._port)

    @property
    def running(self) -> bool:
        """Whether the server process is alive; False after a crash, from which `start` recovers."""
        return self._postmaster is not None and self._postmaster.alive

    def start(self) -> None:
        """Create the cluster if it is absent, start the server, wait until it is ready, create the database.

        Raises `ConfigurationError` if that fails. After an error, or a signal, no server is left running.
        """
        if self.running:
            return
        try:
            self._home.own()
            data, account = cluster.open_or_create(
                self._home, sync=self._settings.get("fsync", "on") != "off", report=self._report
            )
            program = programs.reachable_binaries(account, self._report) / "postgres"
            cluster.check(data, program, account)
            if not self._adopt(data, program):
                self._launch(data, program, account, self._fixed_port)
            self._create_database()
        except OSError as error:
            self.stop()
            raise ConfigurationError(
                f"The embedded Postgres cannot use {self._home.path}: {error}. "
                "Correct this, or set PGROUTER_HOME to another folder."
            ) from error
        except BaseException:
            self.stop()
            raise

    def restart(self) -> None:
        """Start the server again on its port, after it ended; the home stays locked.

        Raises `ConfigurationError` or `OSError` if that fails; it may be called again.
        """
        if self._port is None:
            raise RuntimeError("EmbeddedPostgres.restart comes after start()")
        data = place.data_of(self._home.path)
        account = account_for(data)
        found = Postmaster.find(data)
        if found is not None and found.port == self._port:
            # Started by hand meanwhile.
            self._postmaster = found
            self._wait_until_ready()
            return
        program = programs.reachable_binaries(account, self._report) / "postgres"
        cluster.check(data, program, account)
        self._launch(data, program, account, self._port)

    def abandon_start(self) -> None:
        """Make a `restart` that another thread waits for fail; `start` and `restart` cannot be used afterwards."""
        self._abandoned.set()

    @property
    def last_message(self) -> str:
        """The last line of the server's log."""
        return self._home.log_tail(lines=1)

    def stop(self, timeout: float = 3.0) -> None:
        """Stop the server, wait until it has ended, and unlock the home. May be called at any time, also repeatedly.

        After `timeout` seconds, or one if it hangs, the server is stopped immediately; no commit is lost.
        """
        if self._postmaster is not None:
            self._postmaster.stop(timeout)
            self._postmaster = None
        self._port = None
        self._home.lock.release()

    def __enter__(self) -> EmbeddedPostgres:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _adopt(self, data: Path, program: Path) -> bool:
        """Adopt the server of a killed process, or stop it if its program or options differ. Return whether adopted."""
        orphan = Postmaster.find(data)
        if orphan is None:
            return False
        port = orphan.port
        if (
            port is None
            or self._fixed_port not in (None, port)
            or not orphan.was_started_as(program, self._options(port))
        ):
            orphan.stop(timeout=30.0)
            return False
        self._postmaster, self._port = orphan, port
        return self._wait_until_ready()

    def _launch(self, data: Path, program: Path, account: Account, fixed: int | None) -> None:
        deadline = time.monotonic() + _ORPHANS_TIMEOUT
        waiting = False
        for port in ports.choices(self._home, fixed, self._report):
            while True:
                offset = self._home.log_size()
                options = self._options(port)
                self._postmaster = Postmaster.launch(program, data, options, account, self._home.log)
                if self._wait_until_ready():
                    self._port = self._home.port = port
                    return
                output = self._home.log_tail(offset)
                if "is still in use" not in output or time.monotonic() > deadline:
                    break
                if not waiting:
                    self._report("Waiting for the last queries of a Postgres that was killed.")
                waiting = True
                time.sleep(0.2)
            # If another program took the port after the check, try the next one.
            if fixed is not None or ports.is_free(port):
                raise ConfigurationError(f"Postgres does not start. The end of {self._home.log}:\n{output}")

    def _wait_until_ready(self) -> bool:
        """Wait until the server accepts connections; return False if it ends instead."""
        assert self._postmaster is not None
        began = reported = time.monotonic()
        while not self._postmaster.ready:
            if not self._postmaster.alive:
                return False
            if self._abandoned.is_set():
                raise ConfigurationError("The start of Postgres was abandoned.")
            now = time.monotonic()
            if now - reported >= _PROGRESS:
                reported = now
                last = self._home.log_tail(lines=1)
                self._report(
                    f"Postgres is starting, {now - began:.0f} s so far; it may be recovering from a crash: {last}"
                )
            if now - began > _START_TIMEOUT:
                raise ConfigurationError(
                    f"Postgres was not ready after {_START_TIMEOUT:.0f} s. "
                    f"The end of {self._home.log}:\n{self._home.log_tail()}"
                )
            time.sleep(_POLL)
        return True

    def _create_database(self) -> None:
        absent = f"not exists (select from pg_catalog.pg_database where datname = '{DATABASE}')"
        done = subprocess.run(
            [programs.psql(), "-X", "-q", "-v", "ON_ERROR_STOP=1", f"--port={self._port}"],
            input=f"select 'create database {DATABASE}' where {absent} \\gexec\n",
            env=environment(
                {
                    "PGHOST": "127.0.0.1",
                    "PGUSER": SUPERUSER,
                    "PGDATABASE": "postgres",
                    "PGPASSWORD": self._home.password,
                }
            ),
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode != 0:
            raise ConfigurationError(
                f"Postgres runs, but its database {DATABASE} cannot be opened: {done.stderr.strip()}\n"
                f"The end of {self._home.log}:\n{self._home.log_tail()}"
            )

    def _options(self, port: int) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": "",
            "logging_collector": "off",
            "log_destination": "stderr",
            "lc_messages": "C",
        }
        return [f"{name}={value}" for name, value in (settings | self._settings).items()]


def dsn_of(home: Path) -> str | None:
    """Return the DSN of the server that runs on `home`, started by any process; None if none runs."""
    state = Home(home)
    try:
        data = place.data_of(state.path)
        file = PidFile.read(data)
        if file is None or file.port is None or Postmaster.find(data) is None:
            return None
        return state.dsn(file.port)
    except PermissionError as error:
        raise ConfigurationError(
            f"{error.filename} belongs to another user: run this command as that user, or as root."
        ) from error


def erase(home: Path) -> None:
    """Stop the server of `home` and delete its cluster and password; the rest of the home stays."""
    state = Home(home)
    if state.path.exists():
        state.own()
        try:
            cluster.erase(state)
        finally:
            state.lock.release()
