"""A running Postgres server process: finds it by its pid file, checks whether it is ready, stops it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .account import Account

_POLL = 0.02


@dataclass(frozen=True, slots=True)
class PidFile:
    """The content of `postmaster.pid`; the status is `starting`, `ready`, `stopping`, or "" if unknown."""

    pid: int
    port: int | None
    status: str

    @classmethod
    def read(cls, data: Path) -> PidFile | None:
        """Read the pid file of `data`; None if there is none, or an incomplete one after a crash."""
        try:
            lines = (data / "postmaster.pid").read_text(errors="replace").splitlines()
            pid = int(lines[0])
        except (FileNotFoundError, NotADirectoryError, IndexError, ValueError):
            return None
        # Postgres adds line by line: pid, folder, start, port, socket folder, address, memory, status.
        port = int(lines[3]) if len(lines) > 3 and lines[3].strip().isdigit() else None
        return cls(pid, port, lines[7].strip() if len(lines) > 7 else "")


class Postmaster:
    """The server process `pid` on the data folder `data`: a child, or left behind by a process that was killed."""

    def __init__(self, data: Path, pid: int, child: subprocess.Popen[bytes] | None = None) -> None:
        self.data = data
        self.pid = pid
        self._child = child

    @classmethod
    def find(cls, data: Path) -> Postmaster | None:
        """Return the running server of `data`, or None."""
        file = PidFile.read(data)
        return cls(data, file.pid) if file and _serves(file.pid, data) else None

    @classmethod
    def launch(cls, program: Path, data: Path, options: Sequence[str], account: Account, log: Path) -> Postmaster:
        """Start a server; its output is appended to `log` (mode 0600)."""
        _remove_stale_pid_file(data)
        output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            child = account.spawn([program, *_arguments(data, options)], output)
        finally:
            os.close(output)
        return cls(data, child.pid, child)

    @property
    def alive(self) -> bool:
        if self._child is not None:
            return self._child.poll() is None
        return _serves(self.pid, self.data)

    @property
    def ready(self) -> bool:
        """Whether it accepts connections, after crash recovery if necessary."""
        file = PidFile.read(self.data)
        return file is not None and file.pid == self.pid and file.status == "ready"

    @property
    def port(self) -> int | None:
        file = PidFile.read(self.data)
        return file.port if file is not None and file.pid == self.pid else None

    def was_started_as(self, program: Path, options: Sequence[str]) -> bool:
        """Whether it was started by `launch` with the same program and options."""
        try:
            line = (self.data / "postmaster.opts").read_text(errors="replace").rstrip("\n")
        except FileNotFoundError:
            return False
        return line == " ".join([str(program), *(f'"{argument}"' for argument in _arguments(self.data, options))])

    def stop(self, timeout: float) -> None:
        """Stop it and wait: a fast shutdown for `timeout` seconds, then an immediate one, then a kill.

        No commit is lost in any case. After an immediate shutdown or a kill, the next start replays the log.
        """
        for number, seconds in ((signal.SIGINT, timeout), (signal.SIGQUIT, 2.0), (signal.SIGKILL, 2.0)):
            if not self.alive:
                return
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)
            deadline = time.monotonic() + seconds
            while self.alive and time.monotonic() < deadline:
                time.sleep(_POLL)


def _arguments(data: Path, options: Sequence[str]) -> list[str]:
    return ["-D", str(data), *(part for option in options for part in ("-c", option))]


def _remove_stale_pid_file(data: Path) -> None:
    """Remove a pid file whose process id now belongs to another program, which Postgres would mistake for a server.

    Safe even in case of an error: a second server on the folder fails on the shared memory of the first one.
    """
    file = PidFile.read(data)
    if file is not None:
        try:
            os.kill(file.pid, 0)
        except ProcessLookupError:
            return  # Postgres detects this case itself, and checks for orphaned backends.
        except PermissionError:
            pass
    if file is None or not _serves(file.pid, data):
        (data / "postmaster.pid").unlink(missing_ok=True)


def _serves(pid: int, data: Path) -> bool:
    """Whether process `pid` is a server on `data`: not a zombie, and not another process with a reused id."""
    program, found, _ = f"{_command_line(pid)} ".partition(f" -D {data} ")
    return bool(found) and program.endswith("postgres")


def _command_line(pid: int) -> str:
    """Return the command line of a process, separated by spaces; empty if it is dead or not accessible."""
    if os.path.exists("/proc/self/cmdline"):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                return os.fsdecode(file.read().replace(b"\0", b" ").strip())
        except OSError:
            return ""
    ps = subprocess.run(
        ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return ps.stdout.strip()
