"""`pgrouter explain --messages FILE`: the text, the conversation and the decision of a request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.agents import AGENTS
from tests.support.commands import Command, complaint, printed

REMINDER = "<system-reminder>\nIt is 10:31.\n</system-reminder>"
USER = {"role": "user", "content": f"Fix it.\n{REMINDER}"}


def written(folder: Path, content: Any) -> Path:
    file = folder / "request.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def explained(run: Command, file: Path, *options: str) -> Any:
    return printed(run("explain", "--messages", file, "--tenant", "acme", "--json", *options))


@pytest.mark.parametrize("agent", AGENTS)
def test_the_body_of_each_api_is_recognised(acme: Command, tmp_path: Path, agent: str) -> None:
    session = AGENTS[agent](0)
    found = [explained(acme, written(tmp_path, body)) for body in session.bodies]
    assert [each["text"] for each in found] == [session.asked] * 3
    assert len({each["conversation"]["key"] for each in found}) == 1
    assert [each["conversation"]["continues"] for each in found] == [False, True, True]


@pytest.mark.parametrize(
    "content",
    [
        [USER],
        [{"role": "system", "content": "Be brief."}, USER],
        [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": USER["content"]}]}],
        {"messages": [USER]},
        {"system": "Be brief.", "messages": [USER], "max_tokens": 9},
        {"input": USER["content"]},
        {"model": "x", "prompt": USER["content"]},
    ],
)
def test_a_list_of_messages_or_a_body_is_explained(acme: Command, tmp_path: Path, content: Any) -> None:
    assert explained(acme, written(tmp_path, content))["text"] == "Fix it."


def test_the_text_and_the_parts_of_the_conversation_are_shown(acme: Command, tmp_path: Path) -> None:
    file = written(tmp_path, {"messages": [USER], "prompt_cache_key": "s-1"})
    shown = acme("explain", "--messages", file, "--tenant", "acme", "--task", "code").stdout
    for line in ("text: Fix it.", "  session: s-1", "  task: code", "  opening: Fix it.", "  name: -", "gpt-4o (cold)"):
        assert line in shown.splitlines()
    shown = acme("explain", USER["content"], "--tenant", "acme").stdout
    assert shown.startswith("text: Fix it.\n\ngpt-4o (cold)")
    assert acme("explain", "Fix it.", "--tenant", "acme").stdout.startswith("gpt-4o (cold)")


def test_the_policys_granularity_picks_the_text(acme: Command, tmp_path: Path) -> None:
    acme("policy", "put", "acme", "steps", "--granularity", "step")
    file = written(tmp_path, [USER, {"role": "assistant", "content": "Done."}, {"role": "user", "content": "Test it."}])
    assert explained(acme, file)["text"] == "Fix it."
    assert explained(acme, file, "--policy", "steps")["text"] == "Test it.\nFix it."


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "is not JSON"),
        ("3", "neither a list of messages nor a body"),
        ({"model": "x"}, "neither a list of messages nor a body"),
        ([], "messages"),
        ([{"role": 1}], "messages[0].role"),
        ({"input": []}, "input"),
        ([3], "messages[0]"),
    ],
)
def test_what_is_no_request_is_refused(acme: Command, tmp_path: Path, content: Any, reason: str) -> None:
    file = written(tmp_path, content)
    assert reason in complaint(acme("explain", "--messages", file, "--tenant", "acme", code=1))


def test_either_a_prompt_or_a_file_is_explained(acme: Command, tmp_path: Path) -> None:
    acme("explain", "--tenant", "acme", code=2)
    acme("explain", "x", "--messages", written(tmp_path, [USER]), "--tenant", "acme", code=2)
    assert "cannot be read" in complaint(acme("explain", "--messages", tmp_path / "no", "--tenant", "acme", code=1))


def test_imported_messages_have_the_text_of_a_request(acme: Command, tmp_path: Path) -> None:
    lines = tmp_path / "lessons.jsonl"
    answer = {"role": "assistant", "content": "Done."}
    rows = [
        {"messages": [USER, answer, {"role": "user", "content": f"Step {n}"}], "scores": {"gpt-4o": 1.0}}
        for n in range(3)
    ]
    lines.write_text("\n".join(map(json.dumps, rows)))
    assert printed(acme("import", lines, "--tenant", "acme", "--json"))["created"] == 1
    acme("policy", "put", "acme", "auto", "--granularity", "step")
    assert printed(acme("import", lines, "--tenant", "acme", "--json"))["created"] == 3
    lines.write_text(json.dumps({**rows[0], "policy": "none"}))
    assert "line 1" in acme("import", lines, "--tenant", "acme", code=1).stderr
