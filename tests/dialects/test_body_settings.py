"""Settings of a model in the bodies of each API: which members are set, and that all other bytes are left alone."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dialects import CHAT, COMPACT, COMPLETIONS, COUNT_TOKENS, EMBEDDINGS, MESSAGES, RESPONSES, Dialect
from app.dialects.body_settings import in_body, limit_in, tree_of
from app.dialects.json_splice import LARGE, with_members
from tests.support.json_text import spelled

ASKED = {"role": "user", "content": "Hello"}
BUDGET = {"thinking.budget_tokens": 1024}
ENABLED = {"thinking.type": "enabled", "thinking.budget_tokens": 1024}


def added(dialect: Dialect, settings: dict[str, Any], **body: Any) -> dict[str, Any]:
    return in_body(settings, dialect.path, dialect.name, {"model": "auto", "messages": [ASKED], **body})


@pytest.mark.parametrize(
    ("setting", "chat", "responses", "messages", "completions"),
    [
        ({"reasoning_effort": "low"}, "reasoning_effort", "reasoning.effort", "output_config.effort", None),
        ({"reasoning.effort": "low"}, "reasoning_effort", "reasoning.effort", "output_config.effort", None),
        ({"output_config.effort": "low"}, "reasoning_effort", "reasoning.effort", "output_config.effort", None),
        ({"reasoning_effort": "minimal"}, "reasoning_effort", "reasoning.effort", None, None),
        ({"output_config.effort": "max"}, None, None, "output_config.effort", None),
        ({"max_output_tokens": 9}, "max_completion_tokens", "max_output_tokens", "max_tokens", "max_tokens"),
        ({"max_completion_tokens": 9}, "max_completion_tokens", "max_output_tokens", "max_tokens", "max_tokens"),
        ({"max_tokens": 9}, "max_tokens", "max_output_tokens", "max_tokens", "max_tokens"),
        ({"verbosity": "low"}, "verbosity", "text.verbosity", None, None),
        ({"text.verbosity": "low"}, "verbosity", "text.verbosity", None, None),
        ({"reasoning.max_tokens": 9}, "reasoning.max_tokens", "reasoning.max_tokens", None, None),
        ({"thinking.type": "disabled"}, "thinking.type", None, "thinking.type", None),
        ({"temperature": 0.5}, "temperature", "temperature", "temperature", "temperature"),
        ({"provider.order": ["a"]}, "provider.order", "provider.order", "provider.order", "provider.order"),
    ],
)
def test_a_setting_is_spelled_as_each_api_spells_it_or_left_out(
    setting: dict[str, Any], chat: str | None, responses: str | None, messages: str | None, completions: str | None
) -> None:
    (value,) = setting.values()
    for dialect, name in ((CHAT, chat), (RESPONSES, responses), (MESSAGES, messages), (COMPLETIONS, completions)):
        assert added(dialect, setting) == ({} if name is None else {name: value}), dialect.name


@pytest.mark.parametrize("dialect", [EMBEDDINGS, COUNT_TOKENS, COMPACT])
def test_requests_without_an_answer_get_no_settings(dialect: Dialect) -> None:
    assert added(dialect, {"reasoning_effort": "low", "max_tokens": 9, "temperature": 1}) == {}


@pytest.mark.parametrize(
    ("dialect", "setting", "body"),
    [
        (CHAT, {"reasoning_effort": "low"}, {"reasoning_effort": "high"}),
        (CHAT, {"reasoning_effort": "low"}, {"reasoning": {"effort": "high"}}),
        (CHAT, {"reasoning_effort": "low"}, {"reasoning": {"enabled": False}}),
        (CHAT, {"reasoning_effort": "low"}, {"thinking": {"type": "disabled"}}),
        (CHAT, BUDGET, {"reasoning_effort": "high"}),
        (CHAT, {"max_output_tokens": 9}, {"max_tokens": 5}),
        (CHAT, {"max_output_tokens": 9}, {"max_completion_tokens": 5}),
        (CHAT, {"max_tokens": 9}, {"max_completion_tokens": 5}),
        (CHAT, {"temperature": 1}, {"temperature": 0}),
        (RESPONSES, {"reasoning_effort": "low"}, {"reasoning": {"effort": "high"}}),
        (RESPONSES, {"reasoning_effort": "low"}, {"reasoning": "odd"}),
        (RESPONSES, {"max_tokens": 9}, {"max_output_tokens": 5}),
        (MESSAGES, {"max_output_tokens": 9}, {"max_tokens": 5}),
        (MESSAGES, {"reasoning_effort": "low"}, {"output_config": {"effort": "high"}}),
        (MESSAGES, BUDGET, {"thinking": {"type": "disabled"}}),
        (MESSAGES, BUDGET, {"thinking": {"type": "adaptive"}}),
        (COMPLETIONS, {"max_output_tokens": 9}, {"max_tokens": 5}),
    ],
)
def test_any_spelling_of_the_client_wins(dialect: Dialect, setting: dict[str, Any], body: dict[str, Any]) -> None:
    assert added(dialect, setting) != {}
    assert added(dialect, setting, **body) == {}


def test_null_is_no_value_of_the_client() -> None:
    assert added(CHAT, {"max_output_tokens": 9}, max_tokens=None) == {"max_completion_tokens": 9}
    assert added(RESPONSES, {"reasoning_effort": "low"}, reasoning=None) == {"reasoning.effort": "low"}
    assert added(RESPONSES, {"reasoning_effort": "low"}, reasoning={"effort": None, "summary": "auto"}) == {
        "reasoning.effort": "low"
    }


def tool_loop(first: dict[str, Any]) -> list[dict[str, Any]]:
    call, result = {"type": "tool_use", "id": "a"}, {"type": "tool_result", "tool_use_id": "a"}
    return [ASKED, {"role": "assistant", "content": [first, call]}, {"role": "user", "content": [result]}]


@pytest.mark.parametrize(
    "body",
    [
        {"temperature": 0},
        {"top_k": 5},
        {"top_p": 0.5},
        {"tool_choice": {"type": "any"}},
        {"tool_choice": {"type": "tool", "name": "f"}},
        {"max_tokens": 1024},
        {"messages": [ASKED, {"role": "assistant", "content": "The answer is"}]},
        {"messages": tool_loop({"type": "text", "text": "I look."})},
    ],
)
def test_thinking_is_not_added_to_what_the_provider_refuses_beside_it(body: dict[str, Any]) -> None:
    assert added(MESSAGES, BUDGET, **body) == {}
    assert added(MESSAGES, {"thinking.type": "adaptive"}, **{**body, "max_tokens": 5000}) == (
        {"thinking.type": "adaptive"} if "max_tokens" in body else {}
    )
    assert added(MESSAGES, {"thinking.type": "disabled"}, **body) == {"thinking.type": "disabled"}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"temperature": 1.0, "top_p": 0.95, "max_tokens": 1025, "tool_choice": {"type": "auto"}},
        {"messages": tool_loop({"type": "thinking", "thinking": "Hm."})},
        {"messages": [ASKED, {"role": "assistant", "content": "Yes."}, ASKED]},
    ],
)
def test_a_budget_enables_thinking(body: dict[str, Any]) -> None:
    assert added(MESSAGES, BUDGET, **body) == ENABLED


def test_in_chat_a_forced_tool_and_a_loop_without_reasoning_exclude_thinking() -> None:
    loop: list[dict[str, Any]] = [
        ASKED,
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "tool", "content": "9"},
    ]
    assert added(CHAT, BUDGET, tool_choice="required") == {}
    assert added(CHAT, BUDGET, messages=loop) == {}
    loop[1]["reasoning_content"] = "Hm."
    assert added(CHAT, BUDGET, messages=loop) == ENABLED


def test_the_limit_of_settings_is_found_in_any_spelling() -> None:
    assert limit_in({"max_output_tokens": 9}) == limit_in({"max_tokens": 9}) == 9
    assert limit_in({"temperature": 1}) is None


# Bytes


def test_members_are_added_and_every_other_byte_stays() -> None:
    raw = b'\n{ "seed":1.50,\n"messages":[{"content":"\\u00e9"}], "reasoning" : { "summary":"auto" } , "top_p": null }'
    settings = {"reasoning.effort": "low", "top_p": 0.9, "a.b": [1]}
    assert with_members(raw, orjson.loads(raw), tree_of(settings)) == (
        b'\n{"a":{"b":[1]}, "seed":1.50,\n"messages":[{"content":"\\u00e9"}], '
        b'"reasoning" : {"effort":"low", "summary":"auto" } , "top_p": 0.9 }'
    )


def test_of_two_members_the_last_is_the_one_that_counts() -> None:
    raw = b'{"reasoning":{"effort":"high"},"reasoning":{}}'
    assert with_members(raw, orjson.loads(raw), {"reasoning": {"effort": "low"}}) == (
        b'{"reasoning":{"effort":"high"},"reasoning":{"effort":"low"}}'
    )


names = st.sampled_from(["a", "b", "é", "model"])
values = st.recursive(
    st.none() | st.integers(-9, 9) | names,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(names, values, max_size=4)
trees = st.recursive(st.integers(-9, 9), lambda inner: st.dictionaries(names, inner, min_size=1, max_size=3))


def merged(body: dict[str, Any], members: dict[str, Any]) -> dict[str, Any]:
    result = dict(body)
    for name, value in members.items():
        known = body.get(name)
        if isinstance(known, dict) and isinstance(value, dict):
            result[name] = merged(known, value)
        elif known is None:
            result[name] = value
    return result


@pytest.mark.parametrize("filler", ["", "x" * LARGE])
@given(body=objects, members=st.dictionaries(names, trees, max_size=3), chance=st.randoms())
def test_members_are_merged_as_objects_are(
    filler: str, body: dict[str, Any], members: dict[str, Any], chance: Any
) -> None:
    text = spelled({**body, "last": 1}, chance)
    raw = f'{{"filler":"{filler}",{text[text.index("{") + 1 :]}'.encode()
    assert orjson.loads(with_members(raw, orjson.loads(raw), members)) == {
        **merged(body, members), "last": 1, "filler": filler,
    }  # fmt: skip
