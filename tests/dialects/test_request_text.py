"""The text of a request: what a person asked, without what agents add to it."""

from __future__ import annotations

import time
from typing import Any

import pytest

from app.demo.dataset import examples
from app.dialects import CHAT, COMPLETIONS, MESSAGES, RESPONSES
from app.dialects.markers import ELEMENTS, markers_of
from app.dialects.request_text import request_text
from tests.support.agents import AGENTS, sessions

MARKERS = markers_of()
ANSWER = {"role": "assistant", "content": "Yes."}
SYSTEM = {"role": "system", "content": "Be brief."}
REMINDER = "<system-reminder>\nIt is 10:31.\n</system-reminder>"
AGENTS_MD = "# AGENTS.md instructions for /home/kim/shop\n\n<INSTRUCTIONS>\nUse tabs.\n</INSTRUCTIONS>"
ENVIRONMENT = "<environment_context>\n  <cwd>/home/kim</cwd>\n</environment_context>"


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def text(*messages: dict[str, Any], granularity: str = "conversation", markers: tuple[str, ...] = ()) -> str:
    return request_text(messages, granularity, markers_of(markers))


def parts(*texts: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": each} for each in texts]


@pytest.mark.parametrize("agent", AGENTS)
def test_the_sessions_of_an_agent_are_told_apart(agent: str) -> None:
    for session in sessions(agent):
        first, after_tool, later = (request_text(each.messages, "conversation", MARKERS) for each in session.requests())
        assert first == after_tool == later == session.asked


@pytest.mark.parametrize("agent", AGENTS)
def test_a_step_has_the_text_of_the_latest_message_of_a_person(agent: str) -> None:
    for session in sessions(agent):
        first, after_tool, later = (request_text(each.messages, "step", MARKERS) for each in session.requests())
        assert first == after_tool == session.asked
        assert later == f"{session.asked_next}\n{session.asked}"


def test_an_ordinary_prompt_keeps_its_bytes() -> None:
    for example in examples():
        for granularity in ("conversation", "step"):
            assert text(SYSTEM, user(example.prompt), granularity=granularity) == example.prompt.strip()


ORDINARY = [
    "What does <div class='a'>b</div> do?",
    "# Plan\n\n1. <b>bold</b>",
    "Write a parser of <task>…</task> elements.",
    "<task>\nSummarise the text.\n</task>\n<context>\nA report.\n</context>",
    "<instructions>Translate.</instructions>\n<INSTRUCTIONS>Be brief.</INSTRUCTIONS>",
    "<user_info>Kim</user_info>\n<permissions>all</permissions>\nGreet her.",
    "<context>\nA report.\n</context>\n<question>Why?</question>",
    "<rules>a</rules>\n<answer>b</answer>\n<feedback>c</feedback>\n<git_status>d</git_status>",
    "Why does my log say <system-reminder>x</system-reminder> in every line?",
    "What is <system-reminder>?",
    "<system-reminder> is never closed\nhere",
    "</system-reminder> is closed only",
    "<SYSTEM-REMINDER>\nx\n</SYSTEM-REMINDER>\nother case",
    "<system-reminders>\nx\n</system-reminders>\nother name",
    "# Context from my IDE setup:\nnothing else",
    "<html>\n<body>\n<template><rules>x</rules></template>\n</body>\n</html>",
    "# AGENTS.md instructions are ignored by my agent. Why?",
    "  \n spaced \n\n lines \n ",
    "[foo] Result:\n\nexplain this line",
    "This is the Gemini CLI. We are setting up the context for our chat. What does that mean?",
]


@pytest.mark.parametrize("prompt", ORDINARY)
def test_markup_that_a_person_wrote_stays(prompt: str) -> None:
    assert text(user(prompt)) == prompt.strip()
    assert text(user(prompt), granularity="step") == prompt.strip()
    assert text(user(parts(prompt, "And this?"))) == f"{prompt}\nAnd this?".strip() or prompt.startswith(
        ("[", "#", "This")
    )


WRAPPED = [
    (f"{REMINDER}\n\nFix it.", "Fix it."),
    (f"Fix it.\n\n{REMINDER}", "Fix it."),
    (f"Fix it.\n{REMINDER}\nAnd test it.", "Fix it.\nAnd test it."),
    ("Fix it.<system-reminder>x</system-reminder>", "Fix it."),
    ("<system-reminder>x</system-reminder>Fix it.", "Fix it."),
    (f"{AGENTS_MD}\n\n{ENVIRONMENT}\n\nFix it.", "Fix it."),
    ("<user_instructions>\nUse tabs.\n</user_instructions>\n\n" + ENVIRONMENT + "\nFix it.", "Fix it."),
    ("<task>Fix <b>it</b>.</task> <environment_details>9:00</environment_details>", "Fix <b>it</b>."),
    ("<ide_opened_file>a.py</ide_opened_file><ide_selection>x < 3</ide_selection>Fix it.", "Fix it."),
    ("<command-message>review</command-message>\n<command-args>Fix it.</command-args>", "Fix it."),
    ("<local-command-caveat>x</local-command-caveat>\n<bash-stdout>y</bash-stdout>\nFix it.", "Fix it."),
    ("<attached_files>\na.py\n</attached_files>\n<user_query>\nFix it.\n</user_query>", "Fix it."),
    ("<attachments>a</attachments>\n<context>b</context>\n<reminderInstructions>c</reminderInstructions>\n"
     "<userRequest>\nFix it.\n</userRequest>", "Fix it."),
    ("# Context from my IDE setup:\n\n## Active file: a.py\n\n## My request for Codex:\nFix it.", "Fix it."),
    ('<codex_internal_context source="goal">\nx\n</codex_internal_context>\nFix it.', "Fix it."),
    ("<system-reminder>a <system-reminder>b</system-reminder> c</system-reminder>\nFix it.", "Fix it."),
    ("<info-msg>\nIt is 10:31\n</info-msg>\nFix it.", "Fix it."),
]  # fmt: skip


@pytest.mark.parametrize(("wrapped", "asked"), WRAPPED)
def test_wrappers_are_taken_out(wrapped: str, asked: str) -> None:
    assert text(user(wrapped)) == asked
    assert text(user(wrapped), granularity="step") == asked
    assert text(user(asked)) == asked
    assert text(user(text(user(wrapped)))) == asked
    for request in (
        CHAT.read({"messages": [user(wrapped)]}),
        RESPONSES.read({"input": wrapped}),
        RESPONSES.read({"input": [user([{"type": "input_text", "text": wrapped}])]}),
        MESSAGES.read({"system": "Be brief.", "messages": [user(parts(wrapped))]}),
        COMPLETIONS.read({"prompt": wrapped}),
    ):
        assert request_text(request.messages, "conversation", MARKERS) == asked


def test_messages_before_the_first_answer_belong_together() -> None:
    opening = [user(AGENTS_MD), user("The shop is slow."), user(ENVIRONMENT), user("Find out why.")]
    assert text(SYSTEM, *opening, ANSWER, user("Go on.")) == "The shop is slow.\nFind out why."


def test_instructions_without_an_element_are_a_part_of_their_own() -> None:
    plain = "# AGENTS.md instructions for /home/kim\n\nUse tabs."
    assert text(user(parts(plain, "Fix it."))) == "Fix it."
    assert text(user(plain), user("Fix it.")) == "Fix it."
    assert text(user(plain), ANSWER, user("Thanks.")) == plain
    assert text(user("<user_instructions>\nUse tabs.\n</user_instructions>"), user("Fix it.")) == "Fix it."


@pytest.mark.parametrize("granularity", ["conversation", "step"])
def test_a_message_of_nothing_but_wrappers_is_better_than_no_text(granularity: str) -> None:
    assert text(user(REMINDER), granularity=granularity) == REMINDER
    assert text(user(AGENTS_MD), user(ENVIRONMENT), granularity=granularity) == ENVIRONMENT
    assert (
        text(user("<command-name>/init</command-name>"), granularity=granularity)
        == "<command-name>/init</command-name>"
    )


def test_the_first_message_with_words_counts_if_a_conversation_opens_without() -> None:
    assert text(user(REMINDER), ANSWER, user("Fix it."), ANSWER, user("Go on.")) == "Fix it."
    assert text(user("I have *added these files to the chat*: a.py"), ANSWER, user("Fix it.")) == "Fix it."
    assert text(ANSWER, user("Fix it.")) == "Fix it."
    image = {"type": "image_url", "image_url": {"url": "data:"}}
    assert text(user([image]), ANSWER, user("What is it?")) == "What is it?"


def test_results_of_tools_are_nobodys_words() -> None:
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "t"}]}
    result = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "secret"}]}
    for ran in (
        {"role": "tool", "tool_call_id": "t", "content": "secret"},
        {"role": "function", "name": "f", "content": "secret"},
        user([result]),
        user([result, *parts(REMINDER)]),
        user("[read_file for 'a.py'] Result:\nsecret"),
    ):
        assert text(user("Fix it."), call, ran, granularity="step") == "Fix it."
    assert text(user("Fix it."), call, user([result, *parts("Stop!")]), granularity="step") == "Stop!\nFix it."


def test_a_step_blends_earlier_messages_into_a_short_one_and_few_into_a_long_one() -> None:
    first, long = "a" * 900, "b" * 600
    assert text(user(first), ANSWER, user("go on"), granularity="step") == "go on\n" + "a" * 200
    assert text(user(first), ANSWER, user(long), granularity="step") == long + "\n" + "a" * 600
    many = [user("one"), ANSWER, user("two"), ANSWER, user("two"), ANSWER, user("three")]
    assert text(*many, granularity="step") == "three\ntwo\none"


def test_the_operator_changes_the_wrappers() -> None:
    own = "<ticket>\n17\n</ticket>\n<question>\nFix it.\n</question>"
    assert text(user(own)) == own
    assert text(user(own), markers=("ticket", "+question")) == "Fix it."
    assert text(user(f"{REMINDER}\nFix it."), markers=("-system-reminder",)) == f"{REMINDER}\nFix it."
    assert text(user(f"{REMINDER}\nFix it."), markers=("-*",)) == f"{REMINDER}\nFix it."
    assert text(user(f"{REMINDER}\n{own}"), markers=("-*", "+question", "ticket")) == f"{REMINDER}\nFix it."


HOSTILE = {
    "never closed": "<system-reminder>",
    "closed at once": "<system-reminder></system-reminder>",
    "less than": "<",
    "attributes": "<task ",
    "lines": "\n<task>a</task>",
    "closing": "</system-reminder>",
    "crossed": "<task><rules></task></rules>",
}


@pytest.mark.parametrize("piece", HOSTILE.values(), ids=HOSTILE)
def test_hostile_texts_take_linear_time(piece: str) -> None:
    size = 20 * 1024 * 1024
    hostile = piece * (size // len(piece))
    for message in (user(hostile), user("<task>" * 1000 + hostile), user(parts(*[piece * 8] * 100_000))):
        began = time.process_time()
        assert isinstance(text(message), str)
        assert time.process_time() - began < 3


def test_every_element_can_be_found() -> None:
    for name in ELEMENTS:
        assert MARKERS.tags.fullmatch(f"<{name}>")
        assert MARKERS.tags.fullmatch(f"</{name}>")
