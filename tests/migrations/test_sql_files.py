"""The files of sql/: installed once, described, and in the contract table."""

from __future__ import annotations

import re
from collections import Counter
from hashlib import sha256
from pathlib import Path

import pytest

from migrations.install import qualified
from tests.support.schema import ROOT


def test_every_file_is_installed_by_exactly_one_revision() -> None:
    paths = [path.name for path in (ROOT / "sql").rglob("*.sql")]
    # `install` finds a file by its name, in any folder.
    files = set(paths)
    assert len(paths) == len(files)
    installed = Counter(
        f"{name}.v{version}.sql"
        for path in (ROOT / "migrations" / "versions").glob("*.py")
        # A downgrade to an earlier version does not count as its installation.
        for upgrade in [path.read_text(encoding="utf-8").partition("def downgrade")[0]]
        for name, version in re.findall(r'install(?:_view)?\(\s*"(\w+)", (\d+)', upgrade)
    )
    assert set(installed) == files
    assert set(installed.values()) == {1}


@pytest.mark.parametrize("path", sorted((ROOT / "sql").rglob("*.sql")), ids=lambda path: path.stem)
def test_a_file_defines_and_describes_the_function_of_its_name(path: Path) -> None:
    found = re.fullmatch(r"(_?[a-z][a-z_]*)\.v[1-9]\d*\.sql", path.name)
    assert found
    text = path.read_text(encoding="utf-8")
    name = qualified(found[1])
    assert re.findall(r"^create (?:or replace )?(?:function|view) ([\w.]+)", text, re.MULTILINE) == [name]
    described = re.findall(r"^comment on (?:function|view) ([\w.]+) is", text, re.MULTILINE)
    assert described == [name]


def test_every_insert_names_its_columns() -> None:
    for path in (*(ROOT / "sql").rglob("*.sql"), *(ROOT / "migrations").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        assert re.findall(r"insert into [\w.]+(?: as \w+)?\s+(?!\()(?!as\b)\w+", text) == [], path.name


@pytest.mark.parametrize("module", sorted((ROOT / "app" / "store").glob("*.py")), ids=lambda path: path.stem)
def test_what_a_module_of_the_store_calls_is_in_the_folder_of_its_name(module: Path) -> None:
    files = {path.name.partition(".")[0]: path.parent.name for path in (ROOT / "sql").rglob("*.sql")}
    folder = {
        "admission_batches": "limits",
        "decision_batches": "decisions",
        "warm_up": "decisions",
        "database": "maintenance",
    }.get(module.stem, module.stem)
    called = re.findall(r"(?:select|from) router(?:_internal)?\.(\w+)\(", module.read_text(encoding="utf-8"))
    assert {name: files[name] for name in called} == dict.fromkeys(called, folder)


def changed(sums: str, root: Path) -> list[str]:
    """Return the files of `sums`, the output of sha256sum, that are missing in `root` or have other contents."""
    listed = [line.split(maxsplit=1) for line in sums.splitlines()]
    return [
        name
        for digest, name in listed
        if not (root / name).is_file() or sha256((root / name).read_bytes()).hexdigest() != digest
    ]


def test_released_files_are_as_they_were_released() -> None:
    sums = ROOT / "sql" / "SHA256SUMS"
    if not sums.exists():
        pytest.skip("nothing is released yet; sql/README.md says when sql/SHA256SUMS is written")
    text = sums.read_text(encoding="utf-8")
    assert {"sql/decisions/decide.v1.sql", "migrations/versions/0101_directory.py"} <= set(text.split())
    assert changed(text, ROOT) == []


def test_a_released_file_that_is_edited_or_gone_is_found(tmp_path: Path) -> None:
    names = ("kept.sql", "edited.sql", "gone.sql")
    for name in names:
        (tmp_path / name).write_text(name, encoding="utf-8")
    sums = "".join(f"{sha256(name.encode()).hexdigest()}  {name}\n" for name in names)
    assert changed(sums, tmp_path) == []
    (tmp_path / "edited.sql").write_text("else", encoding="utf-8")
    (tmp_path / "gone.sql").unlink()
    assert changed(sums, tmp_path) == ["edited.sql", "gone.sql"]
