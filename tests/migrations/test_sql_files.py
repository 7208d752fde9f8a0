"""The files of sql/: installed once, described, and in the contract table."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.support.schema import ROOT, fetch


def test_every_file_is_installed_by_exactly_one_revision() -> None:
    files = {path.name for path in (ROOT / "sql").glob("*.sql")}
    installed = Counter(
        f"{name}.v{version}.sql"
        for path in (ROOT / "migrations" / "versions").glob("*.py")
        # Going back to an earlier version is no installation of it.
        for upgrade in [path.read_text(encoding="utf-8").partition("def downgrade")[0]]
        for name, version in re.findall(r'install(?:_view)?\(\s*"(\w+)", (\d+)', upgrade)
    )
    assert set(installed) == files
    assert set(installed.values()) == {1}


@pytest.mark.parametrize("path", sorted((ROOT / "sql").glob("*.sql")), ids=lambda path: path.stem)
def test_a_file_defines_and_describes_what_its_name_says(path: Path) -> None:
    found = re.fullmatch(r"(_?[a-z][a-z_]*)\.v[1-9]\d*\.sql", path.name)
    assert found
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"^create (?:or replace )?(?:function|view) router\.(\w+)", text, re.MULTILINE) == [found[1]]
    described = re.findall(r"^comment on (?:function|view) router\.(\w+) is", text, re.MULTILINE)
    assert described == [found[1]]


def test_every_function_is_in_the_contract_table(database: str) -> None:
    rows = fetch(database, "select proname from pg_proc where pronamespace = 'router'::regnamespace")
    contract = (ROOT / "sql" / "README.md").read_text(encoding="utf-8").partition("\n## The decision")[0]
    named = set(re.findall(r"^\| `(\w+)", contract, re.MULTILINE))
    assert named == {row["proname"] for row in rows}
