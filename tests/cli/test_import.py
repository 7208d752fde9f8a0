"""The command `pgrouter import`."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.errors import BadRequest, ConfigurationError
from app.operations.example_file import ExampleFile
from app.store.database import Database
from tests.support.commands import GOOD, Command, complaint, lines, printed, with_database


def test_importing_again_overwrites(acme: Command, tmp_path: Path) -> None:
    file = lines(tmp_path / "a.jsonl", [GOOD, {**GOOD, "prompt": "Another"}])
    acme("import", file, "--tenant", "acme")
    again = printed(acme("import", file, "--tenant", "acme", "--json"))
    assert (again["examples"], again["created"], again["overwritten"], again["memories"]) == (2, 0, 2, 2)


def test_messages_are_taught_as_the_prompt_that_routing_sees(acme: Command, tmp_path: Path) -> None:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello there"}]
    acme("import", lines(tmp_path / "a.jsonl", [{"messages": messages, "scores": {"gpt-4o": 1}}]), "--tenant", "acme")
    assert json.loads(acme("export", "--tenant", "acme").stdout)["prompt"] == "Hello there"


def test_a_file_of_more_than_one_batch_is_taught_whole(acme: Command, tmp_path: Path) -> None:
    rows = [{**GOOD, "prompt": f"Prompt {i}"} for i in range(1001)]
    result = printed(acme("import", lines(tmp_path / "a.jsonl", rows), "--tenant", "acme", "--json"))
    assert (result["created"], result["memories"]) == (1001, 1001)
    assert len(acme("export", "--tenant", "acme").stdout.splitlines()) == 1001


@pytest.mark.parametrize("zipped", [False, True])
def test_csv_is_taught_with_empty_scores_left_unknown(acme: Command, tmp_path: Path, zipped: bool) -> None:
    text = '\ufeffprompt,note,task,q:gpt-4o,q:gpt-4o-mini\n"two\nlines, quoted",x,t,1,\n' + "b" * 200_000 + ",,,0.5,0\n"
    file = tmp_path / ("a.csv.gz" if zipped else "a.csv")
    file.write_bytes(gzip.compress(text.encode()) if zipped else text.encode())
    acme("import", file, "--tenant", "acme", "--source", "judge")
    exported = [json.loads(line) for line in acme("export", "--tenant", "acme").stdout.splitlines()]
    assert sorted(exported, key=lambda row: str(row["prompt"]), reverse=True) == [
        {"prompt": "two\nlines, quoted", "task": "t", "scores": {"gpt-4o": 1}, "source": "judge"},
        {"prompt": "b" * 200_000, "scores": {"gpt-4o": 0.5, "gpt-4o-mini": 0}, "source": "judge"},
    ]


FINE = json.dumps(GOOD)


@pytest.mark.parametrize(
    ("name", "rows", "line", "what"),
    [
        ("a.jsonl", [FINE, "{"], 2, "not JSON"),
        ("a.jsonl", [FINE, "", "[1]"], 3, "not a JSON object"),
        ("a.jsonl", [FINE, '{"prompt": "x", "scores": {"gpt-4o": 1.5}}'], 2, "scores.gpt-4o"),
        ("a.jsonl", [FINE, '{"prompt": "x", "scores": {"gpt-4o": NaN}}'], 2, "not JSON"),
        ("a.jsonl", [FINE, '{"prompt": " ", "scores": {"gpt-4o": 1}}'], 2, "prompt"),
        ("a.jsonl", [FINE, '{"prompt": "\\u0000", "scores": {"gpt-4o": 1}}'], 2, "NUL"),
        ("a.jsonl", [FINE, '{"prompt": "x", "scores": {"gpt-4o": 1}, "score": 1}'], 2, "score"),
        ("a.csv", ["prompt,gpt-4o", "x,1"], 1, "q:MODEL"),
        ("a.csv", ["prompt,q:gpt-4o", '"x\ny",1', "z,high"], 4, "q:gpt-4o: 'high'"),
        ("a.csv", ["prompt,q:gpt-4o", "x,nan"], 2, "finite"),
        ("a.csv", ["prompt,q:gpt-4o", "x,1,2"], 2, "3 columns"),
        ("a.csv", ["prompt,q:gpt-4o", "x,"], 2, "no score"),
    ],
)
def test_a_mistake_is_named_by_its_line(tmp_path: Path, name: str, rows: list[str], line: int, what: str) -> None:
    with pytest.raises(BadRequest) as refused:
        list(ExampleFile(lines(tmp_path / name, rows), "import"))
    assert f"{name} line {line}: " in refused.value.message
    assert what in refused.value.message


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ({"prompt": "x", "scores": {"gpt-4o": 1.5}}, "scores.gpt-4o"),
        ({"prompt": "x", "scores": {"gpt-5o": 1}}, "'gpt-5o'"),
        ({"prompt": "x", "scores": {"gpt-4o": 1}, "completion_tokens": {"gpt-5o": 1}}, "'gpt-5o'"),
        ({"messages": [{"role": "system"}], "scores": {"gpt-4o": 1}}, "no text of a user"),
    ],
)
def test_of_a_file_with_a_mistake_nothing_is_stored(
    acme: Command, tmp_path: Path, wrong: dict[str, Any], what: str
) -> None:
    said = complaint(acme("import", lines(tmp_path / "a.jsonl", [GOOD, wrong]), "--tenant", "acme", code=1))
    assert "line 2: " in said
    assert what in said
    assert printed(acme("tenant", "list", "--json"))[0]["memories"] == 0


def test_a_mistake_after_the_first_batch_stores_nothing_either(acme: Command, tmp_path: Path) -> None:
    rows = [{**GOOD, "prompt": f"Prompt {i}"} for i in range(1001)]
    file = lines(tmp_path / "a.jsonl", [*rows, {"prompt": "x", "scores": {}}])
    assert "line 1002: scores" in complaint(acme("import", file, "--tenant", "acme", code=1))
    assert printed(acme("tenant", "list", "--json"))[0]["memories"] == 0


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b"prompt,q:gpt-4o\na\xff,1\n"),
        ("a.csv", b'prompt,q:gpt-4o\n"a,1\n'),
        ("a.jsonl.gz", gzip.compress(b"x" * 1000, mtime=0)[:20]),
        ("a.jsonl.gz", b"not gzip"),
        ("a.txt", b"x"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises((BadRequest, ConfigurationError), match=re.escape(str(tmp_path / name))) as refused:
        list(ExampleFile(tmp_path / name, "import"))
    assert "\n" not in str(refused.value)


def test_an_empty_file_is_refused(acme: Command, tmp_path: Path) -> None:
    assert "no examples" in complaint(acme("import", lines(tmp_path / "a.jsonl", []), "--tenant", "acme", code=1))


def test_a_file_of_more_than_the_tenant_keeps_is_refused_with_the_command_that_helps(
    acme: Command, tmp_path: Path
) -> None:
    acme("tenant", "create", "small", "--memory-cap", "10")
    rows = [{**GOOD, "prompt": f"Prompt {i}"} for i in range(30)]
    file = lines(tmp_path / "a.jsonl", [*rows, rows[0]])
    said = complaint(acme("import", file, "--tenant", "small", code=1))
    assert "makes 30 memories, but small keeps 10" in said
    assert acme("export", "--tenant", "small").stdout == ""
    _, help_given, _ = said.split("`")
    acme(*help_given.removeprefix("pgrouter ").split())
    acme("import", file, "--tenant", "small")
    assert len(acme("export", "--tenant", "small").stdout.splitlines()) == 30


def test_trimmed_to_what_the_tenant_keeps_a_files_last_memories_are_taught(acme: Command, tmp_path: Path) -> None:
    acme("tenant", "create", "small", "--memory-cap", "10")
    rows = [{**GOOD, "prompt": f"Prompt {i % 25}"} for i in range(30)]
    file = lines(tmp_path / "a.jsonl", rows)
    result = printed(acme("import", file, "--tenant", "small", "--trim", "--json"))
    assert (result["examples"], result["trimmed"], result["memories"]) == (10, 20, 10)
    exported = [json.loads(line)["prompt"] for line in acme("export", "--tenant", "small").stdout.splitlines()]
    assert exported == [row["prompt"] for row in rows[20:]]


def test_memories_that_make_room_for_a_file_are_counted(acme: Command, tmp_path: Path) -> None:
    acme("tenant", "create", "small", "--memory-cap", "10")
    for name in ("a", "b"):
        rows = [{**GOOD, "prompt": f"{name} {i}"} for i in range(8)]
        said = acme("import", lines(tmp_path / f"{name}.jsonl", rows), "--tenant", "small").stdout
    assert "6 older ones were evicted" in said


def test_columns_of_costs_are_passed_over_and_named(acme: Command, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("prompt,task,bench,q:gpt-4o,c:gpt-4o\nHello,t,b,1,0.002\n", encoding="utf-8")
    assert "Ignored columns: bench, c:gpt-4o." in acme("import", file, "--tenant", "acme").stderr
    assert json.loads(acme("export", "--tenant", "acme").stdout) == {
        "prompt": "Hello", "task": "t", "scores": {"gpt-4o": 1}, "source": "import",
    }  # fmt: skip


@pytest.mark.server
def test_an_interrupted_import_stores_nothing_and_reports_that(acme: Command, database: str, tmp_path: Path) -> None:
    file = lines(tmp_path / "a.jsonl", [{**GOOD, "prompt": f"Prompt {i} " + "word " * 100} for i in range(30_000)])
    acme("tenant", "set", "acme", "--memory-cap", "30000")
    command = [sys.executable, "-m", "app", "import", str(file), "--tenant", "acme"]
    process = subprocess.Popen(
        command, env={**os.environ, "DATABASE_URL": database}, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    asyncio.run(with_database(database, until_staged))
    process.send_signal(signal.SIGINT)
    said, complaints = process.communicate(timeout=30)
    assert (process.returncode, said) == (130, "")
    assert f"Interrupted: no example of {file} was stored." in complaints
    assert printed(acme("tenant", "list", "--json"))[0]["memories"] == 0


async def until_staged(db: Database) -> None:
    query = "select 1 from pg_class where relname = 'staged_examples' and pg_relation_size(oid) > 0"
    async with asyncio.timeout(20):
        while not await db.fetch(query):
            await asyncio.sleep(0.01)
