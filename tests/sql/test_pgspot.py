"""pgspot reports no vulnerability in the SQL except those that sql/README.md explains."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(importlib.util.find_spec("pgspot") is None, reason="pgspot is not installed")

#: Names looked up along the search path, in functions with their caller's rights and by the migrating login.
ARGUED = ("PS001", "PS005", "PS016", "PS017")


@pytest.fixture(scope="module")
def script() -> str:
    """Return the SQL of all migrations, as pgspot can parse it: bodies in `begin atomic` as text, no comment lines."""
    done = subprocess.run(
        [sys.executable, "-m", "app", "migrate", "--sql"], capture_output=True, text=True, check=True, timeout=60
    )
    text = re.sub(r"^ *--.*\n", "", done.stdout, flags=re.MULTILINE)
    text, bodies = re.subn(r"\nbegin atomic\n(.*?)\nend;\n", r"\nas $body$\n\1\n$body$;\n", text, flags=re.DOTALL)
    assert bodies >= 10
    return text


def findings(tmp_path: Path, script: str, *ignored: str) -> list[str]:
    """Return the findings of pgspot, without line numbers."""
    file = tmp_path / "script.sql"
    file.write_text(script, encoding="utf-8")
    options = [f"--ignore={code}" for code in ignored]
    done = subprocess.run(
        [sys.executable, "-m", "pgspot", *options, file], capture_output=True, text=True, check=False, timeout=120
    )
    lines = done.stdout.splitlines()
    # Printed only if pgspot read the whole script; otherwise the line has the error.
    assert lines[-1].strip() == "", done.stdout
    assert re.fullmatch(r" Errors: \d+ Warnings: \d+ Unknown: 0 ", lines[-2]), done.stdout
    return [re.sub(r" at line \d+$", "", line) for line in lines if re.match(r"PS\d+", line)]


def test_pgspot_finds_what_is_argued_and_nothing_else(tmp_path: Path, script: str) -> None:
    assert findings(tmp_path, script, *ARGUED) == ["PS010: Unsafe schema creation: router"]


def test_no_function_that_runs_as_its_owner_is_among_the_argued(tmp_path: Path, script: str) -> None:
    definers = set(re.findall(r"create function router(?:_internal)?\.(\w+)\([^$]*?security definer", script))
    assert {"authenticate", "_open_day"} <= definers
    lines = [line for line in findings(tmp_path, script) if "PS005" in line]
    argued = set(re.findall(r"router(?:_internal)?\.(\w+)\(", "\n".join(lines)))
    assert argued
    assert argued & definers == set()


def test_pgspot_would_find_a_function_that_can_be_hijacked(tmp_path: Path, script: str) -> None:
    planted = "\ncreate function router.planted() returns int language sql security definer as $$select 1$$;\n"
    assert "PS003" in " ".join(findings(tmp_path, script + planted, *ARGUED))
