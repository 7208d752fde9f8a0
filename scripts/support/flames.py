"""Profiles of a process, recorded from outside by py-spy."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

INSTALL = "pip install py-spy"
RATE = 200
FORMATS = {".svg": "flamegraph", ".txt": "raw", ".json": "speedscope"}


def recorder(file: Path) -> list[str]:
    """Return the command that records into `file`, without the process. Raises `FileNotFoundError` or `ValueError`."""
    if file.suffix not in FORMATS:
        raise ValueError(
            f"{file} must end with one of {', '.join(FORMATS)} (a flame graph, collapsed stacks, speedscope)"
        )
    program = shutil.which("py-spy") or shutil.which("py-spy", path=str(Path(sys.executable).parent))
    if program is None:
        raise FileNotFoundError(f"py-spy is not installed: {INSTALL}; elsewhere than as root it needs ptrace allowed")
    return [program, "record", "--rate", str(RATE), "--format", FORMATS[file.suffix], "--output", str(file)]


@contextmanager
def recording(command: list[str], pid: int, seconds: float) -> Iterator[None]:
    """Record process `pid` for `seconds`, the approximate duration of the context. Raises `RuntimeError`."""
    whole = [*command, "--duration", str(max(1, round(seconds))), "--pid", str(pid)]
    with subprocess.Popen(whole, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield
            _, errors = process.communicate(timeout=seconds + 30)
        finally:
            if process.poll() is None:
                process.kill()
    if process.returncode:
        raise RuntimeError(f"py-spy could not record: {errors.strip()[-500:]}")
