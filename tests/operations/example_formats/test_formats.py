"""Files of other programs: each format is recognised by its content and taught with its labels."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.errors import BadRequest
from app.operations.example_file import ExampleFile, records_of
from app.operations.example_formats.base import Options
from app.operations.example_formats.formats import BY_NAME
from app.operations.example_formats.scales import scale_of
from app.operations.example_formats.traces import traces_by_id
from tests.support.commands import lines
from tests.support.text_rules import RULES

FILES = Path(__file__).parent / "files"
STARS = Options(scale=scale_of("1..5"))


def traced(name: str, **more: Any) -> Options:
    return Options(traces=traces_by_id(records_of(FILES / name)), **more)


def taught(path: Path, options: Options | None = None) -> list[tuple[str, dict[str, float]]]:
    return [(example.text(RULES), example.scores) for _, example in ExampleFile(path, "import", options)]


A, B = "gpt-4o", "gpt-4o-mini"
CASES: list[tuple[str, str, Options, list[tuple[str, dict[str, float]]]]] = [
    ("lmsys_arena.csv", "arena", Options(), [
        # The fourth battle is about the first prompt again, and the other model won: labels are averaged.
        ("How deep is a garden pond for goldfish?", {A: 0.5, B: 0.5}),
        ('Name a rhyme for "lantern".', {A: 1, B: 0}),
        ("Write the date of today in ISO form.", {A: 1, B: 1}),
    ]),
    ("chatbot_arena_conversations.json", "arena", Options(), [
        ("Sort these four towns by height: Ulm, Bern, Lyon, Graz.", {A: 1, B: 0}),
        ("Turn 'ship' into a verb and use it twice.", {A: 0, B: 1}),
        ("Which key opens a new tab?", {A: 1, B: 1}),
        ("Prove that every even number is a sum of two primes.", {A: 0, B: 0}),
    ]),
    ("routerbench.csv", "routerbench", Options(), [
        ("A baker sells 12 rolls an hour. How many in 3 hours?", {A: 1, B: 0.25}),
        ("Which planet has the shortest year? A) Venus B) Mercury", {A: 1, B: 1}),
        ("She picks up the brush and", {A: 0}),
    ]),
    ("routellm_judged.csv", "routellm", STARS, [
        ("Explain a heat pump to a child.", {"mixtral": 1}),
        ("Draft a complaint about a late train.", {"mixtral": 0.25}),
    ]),
    ("routellm_gsm8k.csv", "routellm", Options(), [
        ("Nina has 7 jars with 9 beads each. How many beads?", {A: 1, B: 1}),
        ("A tank leaks 2 litres an hour. What is left of 50 after a day?", {A: 1, B: 0}),
    ]),
    ("promptfoo.json", "promptfoo", Options(), [
        ("When does the library open on Sundays?", {A: 1, B: 0.4}),
        ("How do I renew a passport?", {A: 1}),
    ]),
    ("langfuse_scores.json", "langfuse", traced("langfuse_observations.jsonl", score="correctness"), [
        ("Which bin do batteries go in?", {A: 1}),
        ("Is a tomato a berry?", {B: 0}),
    ]),
    ("langsmith_feedback.jsonl", "langsmith", traced("langsmith_runs.jsonl"), [
        ("Plan a walk of two hours around a lake.", {A: 1}),
        ("Translate 'Feierabend' into English.", {B: 0}),
    ]),
    ("langsmith_scored_runs.jsonl", "langsmith", Options(), [
        ("Plan a walk of two hours around a lake.", {A: 0.5}),
        ("Translate 'Feierabend' into English.", {B: 1}),
    ]),
    ("langsmith_runs.csv", "langsmith", Options(), [("What floats on oil?", {A: 1})]),
    ("rated_messages.jsonl", "answers", STARS, [("Give three words for rain.", {A: 1, B: 0.25})]),
    ("openai_evals_log.jsonl", "openai-evals", Options(), [
        ("Capital of Chile?", {A: 1}),
        ("Capital of Kenya?", {A: 0}),
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "format_name", "options", "expected"), CASES, ids=[case[0] for case in CASES])
def test_a_file_is_recognised_and_its_labels_are_taught(
    name: str, format_name: str, options: Options, expected: list[tuple[str, dict[str, float]]], tmp_path: Path
) -> None:
    file = ExampleFile(FILES / name, "import", options)
    found = [(example.text(RULES), example.scores) for _, example in file]
    assert file.format is BY_NAME[format_name]
    assert found == expected
    # The name of a file says nothing, and a second reading finds the same.
    other = tmp_path / "labels"
    other.write_bytes((FILES / name).read_bytes())
    again = ExampleFile(other, "import", replace(options, format=format_name))
    assert [(e.text(RULES), e.scores) for _, e in again] == [(e.text(RULES), e.scores) for _, e in again] == expected


def test_tasks_and_answer_lengths_are_taught_where_a_format_has_them() -> None:
    tasks = [example.task for _, example in ExampleFile(FILES / "routerbench.csv", "import")]
    assert tasks == ["grade-school-math", "mmlu-astronomy", "hellaswag"]
    first = next(iter(ExampleFile(FILES / "promptfoo.json", "import")))[1]
    assert (first.task, first.completion_tokens) == ("faq", {A: 12, B: 12})


def test_records_without_a_label_are_counted_by_reason() -> None:
    file = ExampleFile(FILES / "promptfoo.json", "import")
    list(file)
    assert file.left_out == {"the provider could not be asked": 1}


@pytest.mark.parametrize("winner", ["model_a", "gpt-4o", "A"])
def test_the_winner_may_be_a_side_or_a_name(tmp_path: Path, winner: str) -> None:
    battle = {"model_a": A, "model_b": B, "winner": winner, "prompt": "Which?"}
    assert taught(lines(tmp_path / "a.jsonl", [battle])) == [("Which?", {A: 1, B: 0})]


@pytest.mark.parametrize("winner", ["bothbad", "tie (bothbad)", "both_bad"])
def test_two_bad_answers_are_no_tie_of_good_ones(tmp_path: Path, winner: str) -> None:
    battle = {"model_a": A, "model_b": B, "winner": winner, "prompt": "Which?"}
    assert taught(lines(tmp_path / "a.jsonl", [battle])) == [("Which?", {A: 0, B: 0})]


def test_a_battle_with_two_results_is_refused_by_its_field(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("model_a,model_b,prompt,winner_model_a,winner_model_b,winner_tie\nx,y,p,1,0,1\n", encoding="utf-8")
    with pytest.raises(BadRequest, match=r"line 2 \(format arena\): winner_tie: winner_model_a is set, too"):
        taught(file)


@pytest.mark.parametrize(
    ("name", "options", "what"),
    [
        ("routellm_judged.csv", Options(), "--scale 1..5"),
        ("rated_messages.jsonl", Options(), "rating: 5 is not from 0 to 1"),
        ("langfuse_scores.json", Options(), "--traces FILE"),
        ("langfuse_scores.json", traced("langfuse_observations.jsonl", scale=scale_of("0..5")), "--score NAME"),
        ("langsmith_feedback.jsonl", Options(), "--traces FILE"),
        ("langfuse_observations.jsonl", Options(), "no format is recognised"),
    ],
)
def test_what_only_the_operator_knows_is_asked_for(name: str, options: Options, what: str) -> None:
    with pytest.raises(BadRequest) as refused:
        taught(FILES / name, options)
    assert what in refused.value.message
    assert name in refused.value.message


def test_an_unknown_shape_is_answered_with_the_list_of_formats(tmp_path: Path) -> None:
    with pytest.raises(BadRequest) as refused:
        taught(lines(tmp_path / "a.jsonl", [{"text": "p", "label": "good"}]))
    assert all(f"{name}: " in refused.value.message for name in BY_NAME)


def test_a_shape_of_two_formats_is_refused_and_can_be_chosen(tmp_path: Path) -> None:
    row = {"prompt": "p", "scores": {A: 1}, "model_a": A, "model_b": B, "winner": "tie"}
    file = lines(tmp_path / "a.jsonl", [row])
    with pytest.raises(BadRequest, match="could be jsonl and arena: choose with --format NAME"):
        taught(file)
    assert taught(file, Options(format="arena")) == [("p", {A: 1, B: 1})]


def test_an_error_in_a_document_names_the_element(tmp_path: Path) -> None:
    document = json.loads((FILES / "promptfoo.json").read_text(encoding="utf-8"))
    document["results"]["results"][1]["score"] = 7
    file = tmp_path / "a.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(
        BadRequest, match=r"line 1 results\.results\[1\] \(format promptfoo\): score: 7 is not from 0 to 1"
    ):
        taught(file)


def test_a_list_of_examples_and_a_request_body_are_read_as_lines_are(tmp_path: Path) -> None:
    examples = [{"prompt": "p", "scores": {A: 1}}, {"prompt": "q", "scores": {A: None, B: 0}}]
    expected = [("p", {A: 1}), ("q", {B: 0})]
    for number, document in enumerate((examples, {"examples": examples})):
        for indent in (None, 2):
            file = tmp_path / f"{number}{indent}.json"
            file.write_text(json.dumps(document, indent=indent), encoding="utf-8")
            assert taught(file) == expected


@pytest.mark.parametrize(
    ("scale", "value", "score"),
    [
        ("1..5", 5, 1), ("1..5", "3", 0.5), ("1-5", 1, 0), ("0..10", 7.5, 0.75), ("percent", "85%", 0.85),
        ("percent", 40, 0.4), ("6..1", 1, 1), ("-1..1", 0, 0.5), ("boolean", True, 1), ("boolean", "no", 0),
        ("boolean", 1, 1), ("thumbs", "👍", 1), ("thumbs", "thumbs_down", 0), ("thumbs", -1, 0), ("thumbs", "+1", 1),
        ("thumbs", "Up", 1),
    ],
)  # fmt: skip
def test_scores_of_a_named_scale_become_0_to_1(tmp_path: Path, scale: str, value: Any, score: float) -> None:
    file = lines(tmp_path / "a.jsonl", [{"prompt": "p", "scores": {A: value}}])
    ((_, scores),) = taught(file, Options(scale=scale_of(scale)))
    assert scores == pytest.approx({A: score})


OFF = [("1..5", 0), ("1..5", 6), ("1..5", True), ("percent", 101), ("boolean", "maybe")]


@pytest.mark.parametrize(("scale", "value"), OFF)
def test_a_score_that_is_not_on_the_scale_is_refused(tmp_path: Path, scale: str, value: Any) -> None:
    file = lines(tmp_path / "a.jsonl", [{"prompt": "p", "scores": {A: value}}])
    with pytest.raises(BadRequest, match=r"line 1: scores\.gpt-4o: .*on the scale"):
        taught(file, Options(scale=scale_of(scale)))


def test_a_scale_is_never_guessed(tmp_path: Path) -> None:
    file = lines(tmp_path / "a.jsonl", [{"prompt": "p", "scores": {A: 4}}])
    with pytest.raises(BadRequest, match=r"--scale 1\.\.5"):
        taught(file)
    with pytest.raises(BadRequest, match="is not a scale"):
        scale_of("stars")
