"""Two Postgres servers: a primary and a hot standby that streams from it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from app.embedded import EmbeddedPostgres, erase, psql
from app.embedded.account import account_for
from app.embedded.postmaster import Postmaster
from app.embedded.programs import reachable_binaries

SETTINGS = {"shared_buffers": "16MB", "max_connections": "60"}


class Server:
    """A server in a home of its own, which can be killed and started again; `settings` are Postgres's."""

    def __init__(self, home: Path, **settings: str) -> None:
        self.home = home
        self.data = home / "postgres"
        self._settings = settings
        self._postgres = EmbeddedPostgres(home, settings={**SETTINGS, **settings})

    @property
    def dsn(self) -> str:
        return self._postgres.dsn

    @property
    def address(self) -> str:
        """host:port"""
        return self.dsn.rpartition("@")[2].partition("/")[0]

    def start(self) -> None:
        """Start the server, which recovers from a crash if there was one."""
        self._postgres.start()

    def stop(self) -> None:
        """Stop the server as an operator would."""
        self._postgres.stop()

    def kill(self) -> None:
        """Send SIGKILL to all of the server's processes at once."""
        postmaster = Postmaster.find(self.data)
        assert postmaster is not None
        # Stopped first, so that it starts no further process while they are counted.
        os.kill(postmaster.pid, signal.SIGSTOP)
        self._signal(postmaster.pid, signal.SIGKILL)
        while self._postgres.running:
            time.sleep(0.005)

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Stop the server's processes: connections stay open and are accepted, and get no answer."""
        postmaster = Postmaster.find(self.data)
        assert postmaster is not None
        os.kill(postmaster.pid, signal.SIGSTOP)
        self._signal(postmaster.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(postmaster.pid, signal.SIGCONT)

    def sql(self, statement: str) -> str:
        """Return the output of psql for one statement."""
        command: list[str | Path] = [psql(), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", self.dsn, "-c", statement]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def promote(self) -> None:
        """Promote a standby to the primary."""
        self._run("pg_ctl", "promote", "-w", "-D", self.data)

    def standby(self, home: Path) -> Server:
        """Make a hot standby of this running server in another home, and start it."""
        home.mkdir()
        home.chmod(0o711)
        (home / "postgres-password").write_bytes((self.home / "postgres-password").read_bytes())
        (home / "postgres").mkdir(mode=0o700)
        account_for(self.data).chown(home / "postgres")
        self._run(
            "pg_basebackup", "-R", "-X", "stream", "--no-sync", "-c", "fast", "-d", self.dsn, "-D", home / "postgres"
        )
        server = Server(home, **self._settings)
        server.start()
        return server

    def _signal(self, pid: int, number: signal.Signals) -> None:
        for each in [pid, *_children(pid)]:
            # A process of its may have ended since it was counted.
            with suppress(ProcessLookupError):
                os.kill(each, number)

    def _run(self, program: str, *arguments: str | Path) -> None:
        account = account_for(self.data)
        done = account.run([reachable_binaries(account, lambda _: None) / program, *arguments])
        assert done.returncode == 0, done.stderr


def _children(pid: int) -> list[int]:
    table = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    return [int(child) for child, parent in map(str.split, table.splitlines()) if int(parent) == pid]


@contextmanager
def folder() -> Iterator[Path]:
    """Make a folder for homes that Postgres's account may enter; servers in it are stopped and erased at the end."""
    with TemporaryDirectory(prefix="pgrouter-test-") as name:
        path = Path(name)
        path.chmod(0o755)
        try:
            yield path
        finally:
            for home in path.iterdir():
                erase(home)
