"""The command `pgrouter export`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.support.commands import GOOD, Command, lines


def test_what_is_exported_can_be_imported_elsewhere(acme: Command, tmp_path: Path) -> None:
    taught = [
        {**GOOD, "task": "math", "completion_tokens": {"gpt-4o": 12}},
        {"prompt": "Zwei\nZeilen „ä“", "scores": {"gpt-4o": 0.3}, "source": "human"},
    ]
    acme("import", lines(tmp_path / "a.jsonl", taught), "--tenant", "acme")
    acme("export", "--tenant", "acme", "--output", tmp_path / "b.jsonl.gz")
    acme("tenant", "create", "beta")
    acme("import", tmp_path / "b.jsonl.gz", "--tenant", "beta")
    exported = [json.loads(line) for line in acme("export", "--tenant", "beta").stdout.splitlines()]
    assert exported == [{**taught[0], "source": "import"}, taught[1]]


def test_the_length_of_an_answer_without_a_score_survives_export_and_import(acme: Command, tmp_path: Path) -> None:
    taught = {"prompt": "p", "scores": {"gpt-4o": 1}, "completion_tokens": {"gpt-4o-mini": 7}, "source": "judge"}
    acme("import", lines(tmp_path / "a.jsonl", [taught]), "--tenant", "acme")
    assert json.loads(acme("export", "--tenant", "acme").stdout) == taught


def test_memories_without_their_prompts_are_left_out_of_an_export_and_counted(acme: Command, tmp_path: Path) -> None:
    acme("tenant", "create", "private", "--no-store-prompts")
    acme("import", lines(tmp_path / "a.jsonl", [GOOD]), "--tenant", "private")
    exported = acme("export", "--tenant", "private")
    assert exported.stdout == ""
    assert "1 memories were left out" in exported.stderr


def test_an_export_that_fails_leaves_no_half_a_file(acme: Command, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    acme("export", "--tenant", "acme", "--output", tmp_path / "folder", code=1)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_an_export_to_a_pipe_or_a_device_leaves_it_one(acme: Command, tmp_path: Path) -> None:
    acme("import", lines(tmp_path / "a.jsonl", [GOOD]), "--tenant", "acme")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        acme("export", "--tenant", "acme", "--output", pipe)
        assert pipe.is_fifo()
        assert json.loads(os.read(reader, 65536))["prompt"] == GOOD["prompt"]
    finally:
        os.close(reader)


@pytest.mark.parametrize("there", [True, False])
def test_an_export_to_a_link_writes_the_file_it_leads_to(acme: Command, tmp_path: Path, there: bool) -> None:
    acme("import", lines(tmp_path / "a.jsonl", [GOOD]), "--tenant", "acme")
    (tmp_path / "elsewhere").mkdir()
    file, link = tmp_path / "elsewhere" / "b.jsonl", tmp_path / "link.jsonl"
    link.symlink_to(file)
    if there:
        file.write_text("old")
    acme("export", "--tenant", "acme", "--output", link)
    assert link.is_symlink()
    assert json.loads(file.read_text())["prompt"] == GOOD["prompt"]
    assert [path.name for path in file.parent.iterdir()] == ["b.jsonl"]
