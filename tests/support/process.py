"""`pgrouter serve` as a process of its own."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]


RUNNING: list[subprocess.Popen[str]] = []


def kill_all() -> None:
    """Kill the processes that are still running."""
    while RUNNING:
        with RUNNING.pop() as process:
            process.kill()


class Serve:
    """A running `pgrouter serve` and its output; `first` is Python code to run in its process before."""

    def __init__(self, *arguments: str, first: str = "", **environ: str) -> None:
        kept = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "OPENAI_API_KEY")}
        program = ["-c", f"{first}\nfrom app.cli import main\nmain()"] if first else ["-m", "app"]
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, *program, "serve", *arguments],
            cwd=ROOT,
            env={**kept, "PORT": "0", **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.output = ""
        RUNNING.append(self.process)

    def until_ready(self) -> dict[str, str]:
        """Wait until it serves, and return the `name = value` lines that it printed."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line
            if line.startswith("console = "):
                self.took = time.monotonic() - self.started
                return dict(re.findall(r"^(\w+) = (\S+)$", self.output, re.MULTILINE))
        raise AssertionError(self.output)

    def fails(self) -> str:
        """Wait for a start that fails with exit code 1, and return its output."""
        self.output, _ = self.process.communicate(timeout=30)
        assert self.process.returncode == 1, self.output
        return self.output

    @property
    def members(self) -> list[int]:
        """Return the live processes of its session, itself included."""
        found = []
        for process in psutil.process_iter(["pid", "status"]):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if os.getsid(process.pid) == self.process.pid and process.info["status"] != psutil.STATUS_ZOMBIE:
                    found.append(process.pid)
        return found

    def stop(self, how: signal.Signals) -> float:
        """Send the signal, and return the seconds until the process ended."""
        before = time.monotonic()
        self.process.send_signal(how)
        rest, _ = self.process.communicate(timeout=15)
        self.output += rest
        return time.monotonic() - before
