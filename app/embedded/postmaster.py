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
#: Time in which a server begins to shut down, and those for an immediate shutdown and a kill, seconds.
_REACTION, _QUIT_TIMEOUT, _KILL_TIMEOUT = 1.0, 0.5, 1.0


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
        # An adopted server is a child if this process took in orphans, as the first process of a container does.
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)
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

        A server that does not react to the first signal hangs and is killed at once. No commit is lost in any case.
        After an immediate shutdown or a kill, the next start replays the log.
        """
        if self._signal(signal.SIGINT, timeout, reacts=True) or self._signal(signal.SIGQUIT, _QUIT_TIMEOUT):
            return
        # Its processes end with it, except for those that hang: they would keep the memory of the cluster in use.
        children = _children(self.pid)
        self._signal(signal.SIGKILL, _KILL_TIMEOUT)
        for child in children:
            if _name(child) != b"postgres":
                continue  # It has ended.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(child, signal.SIGKILL)

    def _signal(self, number: signal.Signals, timeout: float, *, reacts: bool = False) -> bool:
        """Send a signal and wait; return whether the server has ended. `reacts`: give up early if it hangs."""
        if not self.alive:
            return True
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)
        began = time.monotonic()
        while self.alive and (waited := time.monotonic() - began) < timeout:
            if reacts and waited > _REACTION and not self.stopping:
                return False
            time.sleep(_POLL)
        return not self.alive

    @property
    def stopping(self) -> bool:
        """Whether it has begun to shut down."""
        file = PidFile.read(self.data)
        return file is None or file.pid != self.pid or file.status == "stopping"


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


def _children(pid: int) -> list[int]:
    """Return the children of a process; none if the system does not list them."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]
    return []


def _name(pid: int) -> bytes:
    """Return the name of a process; empty if it has ended."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/comm", "rb") as file:
        return file.read().strip()
    return b""


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
