"""A running Postgres server as seen from outside: found by its pid file, asked whether it is ready, stopped."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.embedded.account import Account

_POLL = 0.02


@dataclass(frozen=True, slots=True)
class PidFile:
    """What `postmaster.pid` says: process id, TCP port, status (`starting`, `ready`, `stopping`; "" if unknown)."""

    pid: int
    port: int | None
    status: str

    @classmethod
    def read(cls, data: Path) -> PidFile | None:
        """The pid file of `data`; None when there is none, or one that a crash left half-written."""
        try:
            lines = (data / "postmaster.pid").read_text(errors="replace").splitlines()
            pid = int(lines[0])
        except (FileNotFoundError, NotADirectoryError, IndexError, ValueError):
            return None
        # Postgres writes the lines as it learns them: pid, folder, start, port, socket folder, address, memory, status.
        port = int(lines[3]) if len(lines) > 3 and lines[3].strip().isdigit() else None
        return cls(pid, port, lines[7].strip() if len(lines) > 7 else "")


class Postmaster:
    """The server process `pid` on the data folder `data`; our own child, or one left by a process that was killed."""

    def __init__(self, data: Path, pid: int, child: subprocess.Popen[bytes] | None = None) -> None:
        self.data = data
        self.pid = pid
        self._child = child

    @classmethod
    def find(cls, data: Path) -> Postmaster | None:
        """The live server of `data`, if there is one."""
        file = PidFile.read(data)
        return cls(data, file.pid) if file and _serves(file.pid, data) else None

    @classmethod
    def launch(cls, program: Path, data: Path, options: Sequence[str], account: Account, log: Path) -> Postmaster:
        """Start a server; its output is appended to `log`, a file of ours (mode 0600)."""
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
        """Whether it accepts connections: crash recovery, if any, is over."""
        file = PidFile.read(self.data)
        return file is not None and file.pid == self.pid and file.status == "ready"

    @property
    def port(self) -> int | None:
        file = PidFile.read(self.data)
        return file.port if file is not None and file.pid == self.pid else None

    def was_started_as(self, program: Path, options: Sequence[str]) -> bool:
        """Whether `launch` with the same program and options made it."""
        try:
            line = (self.data / "postmaster.opts").read_text(errors="replace").rstrip("\n")
        except FileNotFoundError:
            return False
        return line == " ".join([str(program), *(f'"{argument}"' for argument in _arguments(self.data, options))])

    def stop(self, patience: float) -> None:
        """Stop it and wait: a fast shutdown for `patience` seconds, then an immediate one, then a kill.

        Nothing committed is lost either way; after anything but a fast shutdown the next start replays the log.
        """
        for number, seconds in ((signal.SIGINT, patience), (signal.SIGQUIT, 2.0), (signal.SIGKILL, 2.0)):
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
    """Remove a pid file whose process id now belongs to some other program, which Postgres would take for a server.

    Safe even if it misjudges: a second server on the folder fails on the shared memory that the first one still holds.
    """
    file = PidFile.read(data)
    if file is not None:
        try:
            os.kill(file.pid, 0)
        except ProcessLookupError:
            return  # Postgres itself sees that this one is dead, and checks for its orphaned backends.
        except PermissionError:
            pass
    if file is None or not _serves(file.pid, data):
        (data / "postmaster.pid").unlink(missing_ok=True)


def _serves(pid: int, data: Path) -> bool:
    """Whether process `pid` is a server on `data`; not so for a zombie, nor for whoever got its number afterwards."""
    program, found, _ = f"{_command_line(pid)} ".partition(f" -D {data} ")
    return bool(found) and program.endswith("postgres")


def _command_line(pid: int) -> str:
    """The command line of a process, words separated by spaces; empty when it is dead or not ours to see."""
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
