"""`pgrouter import` of files as people have them: names of models, dry runs, formats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.commands import GOOD, Command, complaint, lines, printed

FILES = Path(__file__).parents[1] / "operations" / "example_formats" / "files"
OTHER = {"prompt": "q", "scores": {"their-4o": 1, "gpt-4o-mini": 0, "lama": 0.5}}


def memories(acme: Command) -> list[dict[str, Any]]:
    return [json.loads(line) for line in acme("export", "--tenant", "acme").stdout.splitlines()]


def test_an_exported_memory_can_be_imported_once_a_model_is_disabled(acme: Command, tmp_path: Path) -> None:
    acme("import", lines(tmp_path / "a.jsonl", [GOOD]), "--tenant", "acme")
    acme("tenant", "create", "beta")
    acme("model", "disable", "gpt-4o-mini")
    acme("export", "--tenant", "acme", "--output", tmp_path / "b.jsonl")
    acme("import", tmp_path / "b.jsonl", "--tenant", "beta")
    assert acme("export", "--tenant", "beta").stdout == acme("export", "--tenant", "acme").stdout


def test_a_label_of_a_disabled_model_counts_once_it_is_enabled_again(acme: Command, tmp_path: Path) -> None:
    acme("model", "disable", "gpt-4o-mini")
    acme("import", lines(tmp_path / "a.jsonl", [GOOD]), "--tenant", "acme")
    acme("model", "enable", "gpt-4o-mini")
    assert memories(acme)[0]["scores"] == GOOD["scores"]


def test_all_unknown_models_are_named_with_what_to_do(acme: Command, tmp_path: Path) -> None:
    file = lines(tmp_path / "a.jsonl", [GOOD, OTHER, {**OTHER, "prompt": "r"}])
    said = complaint(acme("import", file, "--tenant", "acme", code=1))
    assert "a.jsonl line 2: there is no model 'lama' (2 labels), 'their-4o' (2 labels)." in said
    assert all(part in said for part in ("`pgrouter model add`", "--model THEIRS=OURS", "--skip-unknown-models"))
    assert memories(acme) == []


def test_names_of_models_can_be_mapped_and_unknown_ones_left_out(acme: Command, tmp_path: Path) -> None:
    file = lines(tmp_path / "a.jsonl", [OTHER, {"prompt": "only lama", "scores": {"lama": 1}}])
    result = acme("import", file, "--tenant", "acme", "--model", "their-4o=gpt-4o", "--skip-unknown-models")
    assert "2 labels of the unknown model 'lama' were left out." in result.stderr
    assert "1 records without a label: all its models are unknown." in result.stderr
    assert [row["scores"] for row in memories(acme)] == [{"gpt-4o": 1, "gpt-4o-mini": 0}]


def test_a_name_that_is_mapped_to_no_model_or_to_one_that_is_there_is_refused(acme: Command, tmp_path: Path) -> None:
    file = lines(tmp_path / "a.jsonl", [OTHER])
    said = complaint(acme("import", file, "--tenant", "acme", "--model", "their-4o=gpt-5o", code=1))
    assert "there is no model 'gpt-5o'" in said
    twice = ("--model", "their-4o=gpt-4o", "--model", "lama=gpt-4o")
    said = complaint(acme("import", file, "--tenant", "acme", *twice, code=1))
    assert "line 1: scores.lama: another name here is also of the model 'gpt-4o'" in said
    acme("import", file, "--tenant", "acme", "--model", "their-4o", code=2)


def test_null_scores_are_no_labels(acme: Command, tmp_path: Path) -> None:
    acme("import", lines(tmp_path / "a.jsonl", [{"prompt": "p", "scores": {"gpt-4o": None, "gpt-4o-mini": 1}}]),
         "--tenant", "acme")  # fmt: skip
    assert memories(acme)[0]["scores"] == {"gpt-4o-mini": 1}


def test_copies_within_a_file_are_counted_apart_from_new_memories(acme: Command, tmp_path: Path) -> None:
    rows = [{**GOOD, "prompt": f"Prompt {i % 600}"} for i in range(1300)]
    result = printed(acme("import", lines(tmp_path / "a.jsonl", rows), "--tenant", "acme", "--json"))
    assert {name: result[name] for name in ("examples", "created", "overwritten", "copies", "memories")} == {
        "examples": 1300, "created": 600, "overwritten": 0, "copies": 700, "memories": 600,
    }  # fmt: skip
    again = printed(acme("import", tmp_path / "a.jsonl", "--tenant", "acme", "--json"))
    assert (again["created"], again["overwritten"], again["copies"]) == (0, 600, 700)


def test_a_dry_run_prints_what_would_be_taught_and_writes_nothing(acme: Command, tmp_path: Path) -> None:
    rows = [{**GOOD, "task": "sums"}, {**GOOD, "prompt": "Another"}, GOOD]
    file = lines(tmp_path / "a.jsonl", rows)
    found = printed(acme("import", file, "--tenant", "acme", "--dry-run", "--json"))
    assert (found["format"], found["examples"], found["prompts"], found["copies"]) == ("jsonl", 3, 2, 1)
    assert found["labels"] == {"gpt-4o": {"labels": 3, "mean": 1}, "gpt-4o-mini": {"labels": 3, "mean": 0.1}}
    assert found["tasks"] == {"": 2, "sums": 1}
    shown = acme("import", file, "--tenant", "acme", "--dry-run").stdout
    assert "3 examples of 2 prompts would be taught to acme" in shown
    assert "No errors. Nothing was written." in shown
    assert memories(acme) == []


def test_a_dry_run_prints_all_errors_by_line_and_fails(acme: Command, tmp_path: Path) -> None:
    rows = [GOOD, "{", {**GOOD, "scores": {"gpt-4o": 2}}, {**GOOD, "scores": {"lama": 1}}]
    result = acme("import", lines(tmp_path / "a.jsonl", rows), "--tenant", "acme", "--dry-run", "--json", code=1)
    found = json.loads(result.stdout)
    assert found["failed"] == 3
    assert [error.partition("a.jsonl ")[2].partition(":")[0] for error in found["errors"]] == [
        "line 2",
        "line 3",
        "line 4",
    ]
    assert memories(acme) == []


def test_an_import_says_what_was_recognised_and_how_labels_were_made(acme: Command) -> None:
    result = acme("import", FILES / "promptfoo.json", "--tenant", "acme")
    assert "Format promptfoo: " in result.stderr
    assert "Labels: score from 0 to 1" in result.stderr
    assert "1 records without a label: the provider could not be asked." in result.stderr
    assert [(row["prompt"], row["scores"]) for row in memories(acme)] == [
        ("When does the library open on Sundays?", {"gpt-4o": 1, "gpt-4o-mini": 0.4}),
        ("How do I renew a passport?", {"gpt-4o": 1}),
    ]


def test_scores_are_joined_with_their_traces_and_chosen_by_name(acme: Command) -> None:
    acme(
        "import", FILES / "langfuse_scores.json", "--traces", FILES / "langfuse_observations.jsonl", "--score",
        "correctness", "--tenant", "acme", "--source", "human",
    )  # fmt: skip
    assert [(row["source"], row["scores"]) for row in memories(acme)] == [
        ("human", {"gpt-4o": 1}),
        ("human", {"gpt-4o-mini": 0}),
    ]
    said = complaint(acme("import", FILES / "rated_messages.jsonl", "--tenant", "acme", "--scale", "stars", code=1))
    assert "--scale: 'stars' is not a scale" in said


def test_names_of_a_battle_can_be_mapped(acme: Command, tmp_path: Path) -> None:
    text = "model_a,model_b,winner,prompt\nvicuna-13b,koala-13b,tie,Hello there\n"
    (tmp_path / "battles.csv").write_text(text, encoding="utf-8")
    names = ("--model", "vicuna-13b=gpt-4o", "--model", "koala-13b=gpt-4o-mini")
    acme("import", tmp_path / "battles.csv", "--tenant", "acme", *names)
    assert memories(acme)[0]["scores"] == {"gpt-4o": 1, "gpt-4o-mini": 1}
