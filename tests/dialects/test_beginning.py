"""Which event begins a stream in each API, and which answers are none."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from app.dialects import CHAT, MESSAGES, RESPONSES, Dialect
from app.dialects.beginning import StreamBeginning, error_body, error_status, has_content, whole_answer


def delta(**members: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": members, "finish_reason": None}]}


PREAMBLES: list[tuple[Dialect, dict[str, Any]]] = [
    (CHAT, delta(role="assistant", content="")),
    (CHAT, delta(role="assistant", content=None, tool_calls=[])),
    (CHAT, {"choices": [], "prompt_filter_results": [{"prompt_index": 0}]}),
    (CHAT, {"choices": [], "usage": {"prompt_tokens": 1}}),
    (MESSAGES, {"type": "message_start", "message": {"content": []}}),
    (MESSAGES, {"type": "ping"}),
    (MESSAGES, {"type": "content_block_start", "content_block": {"type": "text", "text": ""}}),
    (MESSAGES, {"type": "content_block_delta", "delta": {"type": "text_delta", "text": ""}}),
    (RESPONSES, {"type": "response.created", "response": {"status": "in_progress", "error": None}}),
    (RESPONSES, {"type": "response.in_progress", "response": {"status": "in_progress"}}),
    (RESPONSES, {"type": "response.output_item.added", "item": {"type": "message", "content": []}}),
    (RESPONSES, {"type": "response.content_part.added", "part": {"text": ""}}),
    (RESPONSES, {"type": "response.output_text.delta", "delta": ""}),
    (RESPONSES, {"type": "keepalive"}),
]
CONTENT: list[tuple[Dialect, dict[str, Any]]] = [
    (CHAT, delta(content="a")),
    (CHAT, delta(reasoning_content="a")),
    (CHAT, delta(reasoning="a")),
    (CHAT, delta(refusal="No.")),
    (CHAT, delta(tool_calls=[{"index": 0}])),
    (CHAT, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
    (MESSAGES, {"type": "content_block_start", "content_block": {"type": "tool_use", "name": "f", "input": {}}}),
    (MESSAGES, {"type": "content_block_start", "content_block": {"type": "thinking", "thinking": ""}}),
    (MESSAGES, {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "a"}}),
    (MESSAGES, {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}),
    (RESPONSES, {"type": "response.output_text.delta", "delta": "a"}),
    (RESPONSES, {"type": "response.refusal.delta", "delta": "No."}),
    (RESPONSES, {"type": "response.output_item.added", "item": {"type": "function_call", "name": "f"}}),
    (RESPONSES, {"type": "response.completed", "response": {"status": "completed"}}),
]


@pytest.mark.parametrize(("dialect", "event"), PREAMBLES)
def test_an_envelope_does_not_begin_an_answer(dialect: Dialect, event: dict[str, Any]) -> None:
    assert not has_content(dialect, event)


@pytest.mark.parametrize(("dialect", "event"), CONTENT)
def test_content_begins_an_answer(dialect: Dialect, event: dict[str, Any]) -> None:
    assert has_content(dialect, event)


def outcome(dialect: Dialect, *chunks: bytes) -> tuple[bool, bool, Any]:
    """Return whether the outcome is known, whether the stream has begun, and its error."""
    beginning = StreamBeginning(dialect)
    known = any(list(map(beginning.feed, chunks)))
    return known, beginning.begun, beginning.error


def test_half_an_event_decides_nothing() -> None:
    event = b"data: " + orjson.dumps(delta(content="a")) + b"\r\n\r\n"
    for at in range(1, len(event) - 1):
        assert outcome(CHAT, event[:at]) == (False, False, None)
        assert outcome(CHAT, event[:at], event[at:]) == (True, True, None)
    assert outcome(CHAT, b"\xef\xbb\xbf" + event)[1], "a byte order mark may come first"


def test_comments_and_the_end_alone_begin_nothing() -> None:
    assert outcome(CHAT, b": wait\n\n", b"event: x\nid: 1\n\n", b"data: junk\n\n") == (False, False, None)
    assert outcome(CHAT, b": wait\n\n", b"data: [DONE]\n\n") == (True, False, None)


@pytest.mark.parametrize(
    ("dialect", "event", "status"),
    [
        (CHAT, b'data: {"error":{"message":"m","code":429}}', 429),
        (CHAT, b'data: {"error":{"message":"m","type":"server_error"}}', 502),
        (CHAT, b'data: {"error":"out of memory"}', 502),
        (CHAT, b'data: {"object":"error","message":"m","code":400}', 400),
        (CHAT, b'event: error\ndata: {"message":"m"}', 502),
        (CHAT, b'data: {"choices":[{"delta":{},"finish_reason":"error"}]}', 502),
        (MESSAGES, b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"m"}}', 503),
        (RESPONSES, b'event: error\ndata: {"type":"error","code":"rate_limit_exceeded","message":"m"}', 429),
        (RESPONSES, b'data: {"type":"response.failed","response":{"status":"failed","error":{"message":"m"}}}', 502),
    ],
)
def test_an_error_that_comes_first_is_the_answer(dialect: Dialect, event: bytes, status: int) -> None:
    known, begun, error = outcome(dialect, event + b"\n\n")
    assert (known, begun, error_status(error)) == (True, False, status)
    body = orjson.loads(error_body(dialect, error))
    assert isinstance(body["error"], dict)
    assert body["error"]["message"]
    assert body.get("type") == ("error" if dialect is MESSAGES else None)


@pytest.mark.parametrize(
    ("dialect", "body", "valid"),
    [
        (CHAT, {"choices": [{"message": {"content": ""}}]}, True),
        (CHAT, {"choices": []}, False),
        (CHAT, {"detail": "Not found"}, False),
        (CHAT, {"error": {"message": "m"}}, True),
        (MESSAGES, {"type": "message", "content": []}, True),
        (MESSAGES, {"choices": [{}]}, False),
        (RESPONSES, {"object": "response", "output": []}, True),
        (RESPONSES, {"object": "response", "status": "failed", "error": None}, True),
        (RESPONSES, [], False),
    ],
)
def test_a_whole_answer_has_what_its_api_requires(dialect: Dialect, body: Any, valid: bool) -> None:
    assert (whole_answer(dialect, orjson.dumps(body)) is not None) is valid
    assert whole_answer(dialect, orjson.dumps(body)[:-1]) is None


@pytest.mark.parametrize("text", [b"\\ud83d", b"\xff"])
def test_text_that_is_no_valid_unicode_is_content(text: bytes) -> None:
    assert whole_answer(CHAT, b'{"choices":[{"message":{"content":"' + text + b'"}}]}') is not None
    assert outcome(CHAT, b'data: {"choices":[{"delta":{"content":"' + text + b'"}}]}\n\n')[1]
