"""Homes of the embedded Postgres, and processes that own one."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.embedded import EmbeddedPostgres, erase, programs
from tests.support.embedded import OWNER, QUICK, ROOT


@pytest.fixture(scope="module", autouse=True)
def shared() -> Iterator[Path]:
    """A replacement of /var/lib/pgrouter, removed after the tests."""
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
    """A separate home in a folder that only this user may enter, like those of `mktemp -d`."""
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
    """Start another process that owns `home`, in a separate process group, like a terminal's foreground job."""
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
