"""Answers of providers that cost much more than their bytes are read in bounded time."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from app.dialects import CHAT, RESPONSES
from app.dialects.answer_capture import AnswerCapture

SIZE = 7 * 1024 * 1024
USAGE = b'"usage":{"prompt_tokens":11,"completion_tokens":22}'
#: As `STOP` of the tests of hostile requests.
STOP = 0.25


def around(filling: bytes, usage: bytes = USAGE) -> bytes:
    return b'{"id":"resp_1","choices":[' + filling + b"1]," + usage + b"}"


WHOLE = {
    "a long text": around(b'"' + b"x" * SIZE + b'",'),
    "lists": around(b"[]," * (SIZE // 3)),
    "objects": around(b'{"a":1},' * (SIZE // 8)),
    "numbers": around(b"0.123," * (SIZE // 6)),
    "line ends": around(b"1,\n" * (SIZE // 3)),
}


def captured(body: bytes, *, streamed: bool = False) -> AnswerCapture:
    capture = AnswerCapture(streamed=streamed, encoding=None, dialect=CHAT)
    for start in range(0, len(body), 65536):
        capture.feed(body[start : start + 65536])
    return capture


def timed(call: Callable[[], object]) -> float:
    began = time.thread_time()
    call()
    return time.thread_time() - began


@pytest.mark.parametrize("name", WHOLE)
def test_usage_and_id_of_a_large_answer_are_found_in_time(name: str) -> None:
    capture = captured(WHOLE[name])
    assert timed(capture.usage) < STOP
    assert timed(capture.response_id) < STOP
    usage = capture.usage()
    assert (usage.prompt_tokens, usage.completion_tokens) == (11, 22)
    assert capture.response_id() == "resp_1"


@pytest.mark.parametrize("opening", [b'{"a":', b"[", b'{"usage":'])
@pytest.mark.parametrize("before", [b"", b"x" * 9 * 1024 * 1024])
def test_a_usage_without_end_is_none(opening: bytes, before: bytes) -> None:
    capture = captured(b'{"id":"' + before + b'","usage":' + opening * (SIZE // len(opening)))
    assert timed(capture.usage) < STOP
    assert capture.usage().prompt_tokens is None
    assert timed(capture.response_id) < STOP


@pytest.mark.parametrize("event", [b"\n\n", b":\n\n", b'data: "usage"\n\n', b'data: {"usage":{}}\n\n', b"data:\n"])
def test_streams_of_tiny_events_are_read_in_time(event: bytes) -> None:
    capture = captured(event * (SIZE // len(event)), streamed=True)
    for call in (capture.usage, capture.response_id, capture.begun, capture.estimated_output_tokens):
        assert timed(call) < STOP


def test_responses_api_too() -> None:
    body = b'{"id":"resp_2","output":[' + b"[]," * (SIZE // 3) + b'1],"usage":{"input_tokens":3,"output_tokens":4}}'
    capture = AnswerCapture(streamed=False, encoding=None, dialect=RESPONSES)
    capture.feed(body)
    assert (capture.usage().prompt_tokens, capture.response_id()) == (3, "resp_2")
