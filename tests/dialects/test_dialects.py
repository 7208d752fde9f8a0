"""Requests in the format of each API: needs, limits, the answer they continue, and errors."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.accounting.reservation import ANSWER, tokens
from app.dialects import CHAT, COMPLETIONS, EMBEDDINGS, MESSAGES, RESPONSES, Dialect, ParsedRequest, prompt
from app.dialects.base import text_of
from app.dialects.conversation import continues, conversation_of
from app.dialects.markers import markers_of
from app.dialects.request_text import request_text
from app.errors import BadRequest, NotFound, RouterError, Unauthorized
from app.routing.candidates import MARGIN, can_serve
from app.routing.plan import Plan
from tests.support.models import model

HI = [{"role": "user", "content": "hi"}]
NEEDS = ("tools", "parallel_tools", "vision", "audio", "json_schema", "reasoning")
ROUTED: dict[str, Dialect] = {"chat": CHAT, "responses": RESPONSES, "messages": MESSAGES}
MINIMAL: dict[str, dict[str, Any]] = {
    "chat": {"messages": HI},
    "responses": {"input": "hi"},
    "messages": {"messages": HI},
}
MARKERS = markers_of()
ALL = [CHAT, RESPONSES, MESSAGES, COMPLETIONS, EMBEDDINGS]
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
FLAT = {"type": "function", "name": "f", "parameters": {"type": "object"}}
SCHEMA = {"name": "s", "schema": {"type": "object"}}


def said(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}, *parts]}]}


def item(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}, *parts]}]}


IMAGE = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}


@pytest.mark.parametrize(
    ("api", "fields", "needs"),
    [
        ("chat", {}, ()),
        ("chat", {"tools": [FUNCTION]}, ("tools",)),
        ("chat", {"tools": []}, ()),
        ("chat", {"functions": [FUNCTION["function"]]}, ("tools",)),
        ("chat", {"tools": [FUNCTION], "parallel_tool_calls": True}, ("tools", "parallel_tools")),
        ("chat", {"tools": [FUNCTION], "parallel_tool_calls": False}, ("tools",)),
        ("chat", {"parallel_tool_calls": True}, ()),
        ("chat", said({"type": "image_url", "image_url": {"url": "data:,"}}), ("vision",)),
        ("chat", said({"type": "input_audio", "input_audio": {}}), ("audio",)),
        ("chat", {"modalities": ["text", "audio"]}, ("audio",)),
        ("chat", {"modalities": ["text"]}, ()),
        ("chat", {"response_format": {"type": "json_schema", "json_schema": SCHEMA}}, ("json_schema",)),
        ("chat", {"response_format": {"type": "json_object"}}, ()),
        ("chat", {"reasoning_effort": "low"}, ("reasoning",)),
        ("chat", {"reasoning_effort": "none"}, ()),
        ("responses", {}, ()),
        ("responses", {"tools": [FLAT]}, ("tools",)),
        ("responses", {"tools": [{"type": "custom", "name": "f"}]}, ("tools",)),
        ("responses", {"tools": [{"type": "web_search"}]}, ()),
        ("responses", {"tools": [FLAT], "parallel_tool_calls": True}, ("tools", "parallel_tools")),
        ("responses", item({"type": "input_image", "image_url": "data:,"}), ("vision",)),
        ("responses", {"input": [*item()["input"], {"type": "function_call_output", "call_id": "c",
         "output": [{"type": "input_image", "image_url": "data:,"}]}]}, ("vision",)),
        ("responses", item({"type": "input_audio"}), ("audio",)),
        ("responses", {"text": {"format": {"type": "json_schema", **SCHEMA}}}, ("json_schema",)),
        ("responses", {"text": {"format": {"type": "text"}}}, ()),
        ("responses", {"reasoning": {"effort": "high"}}, ("reasoning",)),
        ("responses", {"reasoning": {"effort": "none"}}, ()),
        ("responses", {"reasoning": {"summary": "auto"}}, ()),
        ("messages", {}, ()),
        ("messages", {"tools": [{"name": "f", "input_schema": {"type": "object"}}]}, ("tools",)),
        ("messages", said(IMAGE), ("vision",)),
        ("messages", said({"type": "tool_result", "tool_use_id": "t", "content": [IMAGE]}), ("vision",)),
        ("messages", said({"type": "tool_result", "tool_use_id": "t", "content": "text"}), ()),
        ("messages", {"output_config": {"format": {"type": "json_schema", "schema": {}}}}, ("json_schema",)),
        ("messages", {"thinking": {"type": "enabled", "budget_tokens": 1024}}, ("reasoning",)),
        ("messages", {"thinking": {"type": "disabled"}}, ()),
    ],
)  # fmt: skip
def test_what_a_request_needs_is_read_from_it(api: str, fields: dict[str, Any], needs: tuple[str, ...]) -> None:
    reading = ROUTED[api].read({**MINIMAL[api], **fields})
    assert tuple(need for need in NEEDS if getattr(reading, need)) == needs


@pytest.mark.parametrize(
    ("dialect", "body", "limit", "answers"),
    [
        (CHAT, {"messages": HI}, None, 1),
        (CHAT, {"messages": HI, "max_tokens": 5}, 5, 1),
        (CHAT, {"messages": HI, "max_tokens": 5, "max_completion_tokens": 7}, 7, 1),
        (CHAT, {"messages": HI, "max_tokens": 5, "n": 3}, 15, 3),
        (CHAT, {"messages": HI, "n": 3}, None, 3),
        (CHAT, {"messages": HI, "max_tokens": True, "n": -2}, None, 1),
        (CHAT, {"messages": HI, "max_tokens": "5", "n": 2.0}, None, 1),
        (RESPONSES, {"input": "hi", "max_output_tokens": 9}, 9, 1),
        (RESPONSES, {"input": "hi", "max_tokens": 9}, None, 1),
        (MESSAGES, {"messages": HI, "max_tokens": 9}, 9, 1),
        (MESSAGES, {"messages": HI, "max_tokens": 0}, None, 1),
        (COMPLETIONS, {"prompt": "hi"}, 16, 1),
        (COMPLETIONS, {"prompt": "hi", "max_tokens": 5, "n": 2}, 10, 2),
        (COMPLETIONS, {"prompt": ["a", "b", "c"], "max_tokens": 5, "n": 2, "best_of": 4}, 60, 12),
        (COMPLETIONS, {"prompt": [1, 2, 3], "max_tokens": 5}, 5, 1),
        (COMPLETIONS, {"prompt": [[1, 2], [3]], "max_tokens": 5}, 10, 2),
        (EMBEDDINGS, {"input": "hi", "max_tokens": 5}, 0, 1),
    ],
)
def test_the_limit_of_output_tokens_is_read_from_it(
    dialect: Dialect, body: dict[str, Any], limit: int | None, answers: int
) -> None:
    reading = dialect.read(body)
    assert (reading.limit, reading.answers) == (limit, answers)


@pytest.mark.parametrize("api", sorted(ROUTED))
def test_a_stream_is_requested_by_true_alone(api: str) -> None:
    for value, streamed in ((True, True), (False, False), (None, False), ("true", False), (1, False)):
        assert ROUTED[api].read({**MINIMAL[api], "stream": value}).streamed is streamed


# ---- which models can serve


@pytest.mark.parametrize("need", NEEDS)
def test_a_model_that_cannot_is_left_out_and_one_of_which_nothing_is_known_is_not(need: str) -> None:
    needs: dict[str, Any] = {need: True}
    reading = ParsedRequest(HI, **needs)
    assert [can_serve(model("m", **{need: can}), CHAT, reading, 5) for can in (True, None, False)] == [
        True,
        True,
        False,
    ]
    assert can_serve(model("m", **{need: False}), CHAT, ParsedRequest(HI), 5)


def test_a_provider_that_does_not_speak_the_api_is_left_out() -> None:
    assert can_serve(model(), CHAT, ParsedRequest(HI), 5)
    assert not can_serve(model(), MESSAGES, ParsedRequest(HI), 5)


def test_a_prompt_has_to_fit_with_a_margin_for_its_estimate_and_none_for_a_given_limit() -> None:
    window = model(context_window=1000)
    assert can_serve(window, CHAT, ParsedRequest(HI), int(1000 / MARGIN))
    assert not can_serve(window, CHAT, ParsedRequest(HI), int(1000 / MARGIN) + 1)
    assert can_serve(window, CHAT, ParsedRequest(HI, limit=980), 10), "980 are 980"
    assert not can_serve(window, CHAT, ParsedRequest(HI, limit=995), 10)


def test_each_of_several_answers_has_the_window_and_the_limit_to_itself() -> None:
    reading = CHAT.read({"messages": HI, "max_tokens": 300, "n": 5})
    assert can_serve(model(context_window=1000, max_output=300), CHAT, reading, 10)
    assert not can_serve(model(max_output=299), CHAT, reading, 10)


def test_money_is_reserved_for_each_of_several_answers() -> None:
    for fields, allowed in (({}, ANSWER), ({"n": 5}, 5 * ANSWER), ({"n": 5, "max_tokens": 7}, 35)):
        reading = CHAT.read({"messages": HI, **fields})
        assert tokens(Plan((model(),), "off"), reading, 10) == 10 + allowed
    assert tokens(Plan((model(max_output=100),), "off"), CHAT.read({"messages": HI, "n": 2}), 10) == 210


# ---- invalid requests


@pytest.mark.parametrize(
    ("dialect", "body", "param"),
    [
        (CHAT, {}, "messages"),
        (CHAT, {"messages": []}, "messages"),
        (CHAT, {"messages": "hi"}, "messages"),
        (CHAT, {"messages": [*HI, "hi"]}, "messages[1]"),
        (CHAT, {"messages": [{"content": "hi"}]}, "messages[0].role"),
        (CHAT, {"messages": [{"role": ["user"], "content": "hi"}]}, "messages[0].role"),
        (CHAT, {"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        (MESSAGES, {"messages": None}, "messages"),
        (MESSAGES, {"messages": [{"role": "user", "content": {}}]}, "messages[0].content"),
        (RESPONSES, {"input": []}, "input"),
        (RESPONSES, {"input": 5}, "input"),
        (RESPONSES, {"input": ["hi"]}, "input[0]"),
        (RESPONSES, {"input": [{"content": "hi"}]}, "input[0].role"),
        (RESPONSES, {"input": [{"type": "message", "id": "m", "content": "hi"}]}, "input[0].role"),
        (RESPONSES, {"input": [{"role": "user"}]}, "input[0].content"),
        (RESPONSES, {"input": "hi", "previous_response_id": 5}, "previous_response_id"),
    ],
)
def test_a_request_that_cannot_be_read_gets_an_error_naming_the_field(
    dialect: Dialect, body: dict[str, Any], param: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        dialect.read(body)
    assert refused.value.param == param


def key_of(request: ParsedRequest) -> bytes:
    return conversation_of(request, MARKERS, None, None, None).key


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    | st.sampled_from(["user", "assistant", "function", "message", "image_url", "tool_use", "json_schema", "x_output"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(["type", "role", "content", "text", "tool_calls", "image_url", "output", "id", "effort",
                         "format", "function", "input"]), inner, max_size=5),
    max_leaves=20,
)  # fmt: skip
FIELDS = (
    "messages", "input", "prompt", "tools", "functions", "response_format", "modalities", "n", "max_tokens", "text",
    "max_output_tokens", "reasoning", "reasoning_effort", "thinking", "output_config", "system", "instructions",
    "previous_response_id", "conversation", "metadata", "user", "stream", "parallel_tool_calls",
    "max_completion_tokens",
)  # fmt: skip


@given(body=st.dictionaries(st.sampled_from(FIELDS), json))
@pytest.mark.parametrize("dialect", ALL)
def test_no_body_is_too_odd_to_be_read_or_refused(dialect: Dialect, body: dict[str, Any]) -> None:
    with suppress(BadRequest):
        reading = dialect.read(body)
        assert prompt.prompt_tokens(reading) > 0
        assert isinstance(request_text(reading.messages, "conversation", MARKERS), str)
        assert isinstance(request_text(reading.messages, "step", MARKERS), str)
        assert len(key_of(reading)) == 16
        assert isinstance(can_serve(model(context_window=10, tools=False), dialect, reading, 5), bool)


messages = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "tool"])},
                          optional={"content": json, "tool_calls": json, "type": json}), min_size=1, max_size=4,
)  # fmt: skip


@given(told=messages, tools=json, kind=json)
@pytest.mark.parametrize("dialect", [CHAT, MESSAGES, RESPONSES])
def test_no_message_is_too_odd_either(dialect: Dialect, told: list[Any], tools: Any, kind: Any) -> None:
    test_no_body_is_too_odd_to_be_read_or_refused.hypothesis.inner_test(  # type: ignore[attr-defined]
        dialect, {"messages": told, "input": told, "tools": [{"type": kind}, tools]}
    )


# ---- input items of the Responses API


def test_instructions_are_the_system_prompt_and_items_become_messages() -> None:
    reading = RESPONSES.read({"instructions": "Be brief.", "input": "hi", "previous_response_id": "resp_1"})
    assert list(reading.messages) == [{"role": "system", "content": "Be brief."}, *HI]
    assert reading.previous == "resp_1"
    system = MESSAGES.read({"system": [{"type": "text", "text": "Be brief."}], "messages": HI}).messages
    assert [text_of(message) for message in system] == ["Be brief.", "hi"]


@pytest.mark.parametrize(
    "done",
    [
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        {"type": "item_reference", "id": "msg_1"},
        {"id": "msg_1"},
        {"role": "assistant", "content": "Hello"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello"}]},
    ],
)
def test_what_the_model_did_before_is_an_answer_to_go_on_from(done: dict[str, Any]) -> None:
    question = {"role": "user", "content": "What is the weather in Lyon?"}
    first = RESPONSES.read({"input": [question]})
    later = RESPONSES.read({"input": [question, done, {"type": "message", "role": "user", "content": "Go on"}]})
    assert not continues(first)
    assert continues(later)
    assert key_of(later) == key_of(first)
    assert request_text(later.messages, "conversation", MARKERS) == question["content"]
    assert request_text(later.messages, "step", MARKERS) == f"Go on\n{question['content']}"


def test_a_tools_output_is_no_question_and_counts_as_tokens() -> None:
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "c", "output": "sunny and warm " * 20}
    reading = RESPONSES.read({"input": [*HI, call, output]})
    assert request_text(reading.messages, "step", MARKERS) == "hi"
    assert prompt.prompt_tokens(reading) > prompt.prompt_tokens(RESPONSES.read({"input": [*HI, call]})) + 40
    screenshot = {"type": "computer_call_output", "call_id": "c", "output": {"type": "computer_screenshot"}}
    assert RESPONSES.read({"input": [*HI, call, screenshot]}).messages[-1]["role"] == "tool"


@pytest.mark.parametrize("kept", [{"conversation": "conv_1"}, {"conversation": {"id": "conv_1"}}])
def test_a_conversation_that_the_provider_keeps_is_gone_on_from_too(kept: dict[str, Any]) -> None:
    assert RESPONSES.read({"input": "hi", **kept}).previous == "conv_1"
    assert RESPONSES.read({"input": "hi", "previous_response_id": "resp_1", **kept}).previous == "resp_1"
    assert RESPONSES.read({**kept}).messages == []


def test_the_same_question_is_the_same_conversation_in_every_api() -> None:
    readings = [ROUTED[api].read(MINIMAL[api]) for api in ROUTED]
    assert len({key_of(reading) for reading in readings}) == 1


# ---- errors


@pytest.mark.parametrize("error", [BadRequest("bad", param="messages"), Unauthorized("no"), NotFound("none")])
def test_an_error_has_the_shape_that_the_apis_clients_know(error: RouterError) -> None:
    for dialect in (CHAT, RESPONSES, COMPLETIONS, EMBEDDINGS):
        assert dialect.error(error) == error.body()
    kinds = {400: "invalid_request_error", 401: "authentication_error", 404: "not_found_error"}
    body = MESSAGES.error(error)
    assert (body["type"], body["error"]["type"]) == ("error", kinds[error.status])
    assert error.message in body["error"]["message"]
    if error.param:
        assert error.param in body["error"]["message"]
