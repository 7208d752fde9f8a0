"""The built package is called pgrouter, is complete, and installs nothing called app."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from scripts.node import find_node

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=120,
    )
    (built,) = folder.glob("pgrouter-*.whl")
    unpacked = folder / "installed"
    with zipfile.ZipFile(built) as archive:
        archive.extractall(unpacked)
    return unpacked


def run(wheel: Path, *arguments: str) -> str:
    """Run `python -m pgrouter` with the wheel's files and without the checkout's."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "pgrouter", *arguments],
        cwd=wheel,
        env={**os.environ, "PYTHONPATH": str(wheel)},
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    ).stdout


def test_the_wheel_installs_the_package_pgrouter_and_no_other(wheel: Path) -> None:
    folders = {path.name for path in wheel.iterdir() if path.suffix != ".dist-info"}
    assert folders == {"pgrouter"}


@pytest.mark.parametrize(
    ("source", "installed"), [("app", "."), ("sql", "deploy/sql"), ("migrations", "deploy/migrations")]
)
def test_the_wheel_has_every_file_of_the_checkout(wheel: Path, source: str, installed: str) -> None:
    tracked = subprocess.check_output(["git", "ls-files", source], cwd=ROOT, text=True).split()
    assert len(tracked) > 5
    missing = [
        name
        for name in tracked
        if not _is_source_of_the_page(name)
        and not (wheel / "pgrouter" / installed / Path(name).relative_to(source)).is_file()
    ]
    assert not missing


def _is_source_of_the_page(name: str) -> bool:
    return name.startswith("app/console/") and not name.endswith(".py")


def test_the_wheel_has_the_built_page_and_not_its_sources(wheel: Path) -> None:
    console = wheel / "pgrouter" / "console"
    if find_node() is None:
        pytest.skip("Node.js, which builds the page, is not installed")
    assert (console / "dist" / "index.html").is_file()
    assert list((console / "dist" / "assets").glob("index-*.js"))
    assert {path.name for path in console.iterdir()} <= {"__init__.py", "page.py", "dist", "__pycache__"}


def test_the_command_of_the_wheel_runs_its_own_files(wheel: Path) -> None:
    where = subprocess.check_output(
        [sys.executable, "-P", "-c", "import pgrouter.cli as c; print(c.__file__)"],
        cwd=wheel,
        env={**os.environ, "PYTHONPATH": str(wheel)},
        text=True,
    )
    assert Path(where.strip()).is_relative_to(wheel)
    assert "Usage: python -m pgrouter" in " ".join(run(wheel, "--help").split())


def test_the_wheel_migrates_with_its_own_sql(wheel: Path) -> None:
    sql = run(wheel, "migrate", "--sql")
    assert "create function router.decide(" in sql
    assert "0105" in sql
