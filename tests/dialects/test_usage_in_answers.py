"""Where usage is found in the bytes of answers: spellings, duplicates, nesting, missing starts, invalid Unicode."""

from __future__ import annotations

import time
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dialects import CHAT, MESSAGES, RESPONSES, Dialect
from app.dialects.answer_capture import TAIL, WHOLE, AnswerCapture
from app.dialects.json_tail import last_member
from app.dialects.usage import UNKNOWN, TokenUsage

COUNTS = b'{"prompt_tokens":11,"completion_tokens":7,"total_tokens":18}'
READ = TokenUsage(11, None, 7)
PARTS = b'{"input_tokens":11,"output_tokens":7,"total_tokens":18}'


def captured(body: bytes, dialect: Dialect = CHAT, *, streamed: bool = False) -> TokenUsage:
    """Return the usage of a body that comes in chunks."""
    capture = AnswerCapture(streamed=streamed, encoding=None, dialect=dialect)
    for start in range(0, len(body), 65_536):
        capture.feed(body[start : start + 65_536])
    return capture.usage()


SPELLINGS = [
    b'"usage":%b',
    b'"usage" : \t %b',
    b'"\\u0075sage":%b',
    b'"u\\u0073\\u0061\\u0067\\u0065":%b',
    b'"\\u0075\\u0073\\u0061\\u0067\\u0065" : %b',
    b'"usage":null,"usage":%b',
    b'"usage":{"prompt_tokens":1,"completion_tokens":1},"usage":%b',
    b'"usage":{"prompt_tokens":1,"completion_tokens":1},"\\u0075sage":%b',
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_any_spelling_of_the_member_is_read(spelling: bytes) -> None:
    member = spelling % COUNTS
    assert captured(b'{"choices":[],' + member + b"}") == READ
    assert captured(b'data: {"choices":[]}\n\ndata: {"choices":[],' + member + b"}\n\n", streamed=True) == READ
    assert captured(b'{"choices":["' + b"x" * WHOLE + b'"],' + member + b',"z":"\\""}') == READ, "its start is missing"
    long = b'data: {"choices":["' + b"x" * 2 * TAIL + b'"],' + member + b"}\n\ndata: [DONE]\n\n"
    assert captured(long, streamed=True) == READ, "the start of the event is missing"


def test_an_escaped_member_within_the_usage_is_read() -> None:
    assert captured(b'{"usage":{"\\u0070rompt_tokens":11,"completion\\u005ftokens":7}}') == READ


NESTED = b'{"prompt_tokens":999,"completion_tokens":999}'


@pytest.mark.parametrize(
    "other",
    [
        b'"metadata":{"usage":%b}',
        b'"metadata":{"usage":%b,"x":{"y":[1,{}]}}',
        b'"choices":[{"message":{"usage":%b}}]',
        b'"choices":[{"message":{"content":"\\"usage\\":{\\"prompt_tokens\\":999}"},"x":%b}]',
        b'"tools":[{"parameters":{"properties":{"usage":%b}}}]',
        b'"response":{"usage":%b}',
        b'"usages":%b',
        b'"kind":"usage","x":%b',
        b'"a":["usage",%b]',
    ],
)
def test_members_of_other_objects_are_not_taken(other: bytes) -> None:
    nested = other % NESTED
    for body in (b"{%b}", b'{"id":"x",%b,"z":1}'):
        assert captured(body % nested) == UNKNOWN
        assert captured(b"data: " + body % nested + b"\n\n", streamed=True) == UNKNOWN
    for body in (b'{"usage":' + COUNTS + b",%b}", b'{%b,"usage":' + COUNTS + b"}"):
        assert captured(body % nested) == READ
        assert captured(b'{"long":"' + b"x" * WHOLE + b'",' + (body % nested)[1:]) == READ
        long = b'data: {"long":"' + b"x" * 2 * TAIL + b'",' + (body % nested)[1:] + b"\n\n"
        assert captured(long, streamed=True) == READ


def test_a_response_that_is_longer_than_what_is_kept() -> None:
    inner = b'"usage":' + PARTS + b',"tools":[{"parameters":{"usage":{"input_tokens":999}}}],"metadata":{"usage":{}}'
    event = b'data: {"type":"response.completed","response":{"text":"%b",%b}%b}\n\n'
    for more in (b"", b',"sequence_number":9'):
        assert captured(event % (b"x" * 2 * TAIL, inner, more), RESPONSES, streamed=True) == READ
    other = b'"usage":{"input_tokens":999,"output_tokens":9}'
    assert captured(b'data: {"response":{"t":"%b"},"x":{%b}}\n\n' % (b"x" * 2 * TAIL, other), RESPONSES) == UNKNOWN
    assert captured(b'{"output":["%b"],%b}' % (b"x" * WHOLE, inner), RESPONSES) == READ


def test_text_that_is_no_valid_unicode_does_not_hide_usage() -> None:
    for text in (b"\\ud83d", b"\xff\xfe", b"\\udc00\\ud83d"):
        body = b'{"choices":[{"message":{"content":"%b"}}],"usage":%b,"x":"%b"}' % (text, COUNTS, text)
        assert captured(body) == READ
        assert captured(b"data: " + body + b"\n\n", streamed=True) == READ


def test_a_report_without_an_end_is_unknown() -> None:
    assert captured(b'{"choices":[],"usage":{"prompt_tokens":11,') == UNKNOWN
    assert captured(b'data: {"choices":[],"usage":{"prompt_tok', streamed=True) == UNKNOWN


def test_the_start_of_a_long_stream_of_messages_is_read() -> None:
    start = b'event: message_start\ndata: {"type":"message_start","message":{"usage":{"input_tokens":9}}}\n\n'
    text = b'event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"text":"a"}}\n\n'
    end = b'event: message_delta\ndata: {"type":"message_delta","\\u0075sage":{"output_tokens":4}}\n\n'
    assert captured(start + text * 5000 + end, MESSAGES, streamed=True) == TokenUsage(9, None, 4)
    assert captured(start + text * 5000, MESSAGES, streamed=True) == TokenUsage(9, None, None)


KEYS = st.sampled_from(["usage", "response", "a", 'q"\\', "é", "}{"])
JSON = st.recursive(
    st.integers(-9, 9) | st.booleans() | st.none() | st.text(max_size=8) | KEYS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=15,
)


@given(document=st.dictionaries(KEYS, JSON, max_size=5), cut=st.integers(0, 30), indent=st.booleans())
def test_the_member_found_from_the_end_is_that_of_the_document(document: Any, cut: int, indent: bool) -> None:
    body = orjson.dumps(document, option=orjson.OPT_INDENT_2 if indent else None)
    assert last_member(body, "usage") == document.get("usage")
    assert last_member(body + b" \n", "usage") == document.get("usage")
    # With its start missing, nothing else is found.
    found = last_member(body[min(cut, len(body)) :], "usage")
    assert found is None or found == document.get("usage")


@pytest.mark.parametrize(
    "tail",
    [
        b'"usage":' * 100_000,
        b'{"usage":' * 100_000,
        b'\\"' * 400_000,
        b'"' + b"\\" * 800_000 + b'"',
        b"]" * 800_000,
        b'"a":{"usage":1},' * 60_000,
        b"[" * 800_000,
    ],
)
def test_a_hostile_end_is_read_in_bounded_time(tail: bytes) -> None:
    for body in (tail + b"}", b'{"usage":' + tail + b"}"):
        began = time.perf_counter()
        last_member(body, "usage", "response")
        assert time.perf_counter() - began < 0.5
