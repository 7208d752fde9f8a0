"""The capture of an answer: its usage in every API, streamed, compressed or cut off, and its id."""

from __future__ import annotations

import gzip
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dialects import CHAT, COMPLETIONS, EMBEDDINGS, MESSAGES, RESPONSES, Dialect
from app.dialects.answer_capture import HEAD, TAIL, WHOLE, AnswerCapture
from app.dialects.usage import UNKNOWN, TokenUsage
from scripts.fake_provider.chat import chat, text_completion
from scripts.fake_provider.media import embeddings
from scripts.fake_provider.messages import message
from scripts.fake_provider.plan import parse_plan
from scripts.fake_provider.responses import Responses
from scripts.fake_provider.wire import Pieces

cuts = st.lists(st.integers(0, 20_000), max_size=20)
text = st.text(st.characters(exclude_categories=["Cs"]))

ASKED: dict[str, tuple[Dialect, dict[str, Any]]] = {
    "chat": (CHAT, {"messages": [], "stream_options": {"include_usage": True}}),
    "completions": (COMPLETIONS, {"prompt": "a", "stream_options": {"include_usage": True}}),
    "responses": (RESPONSES, {"input": "a"}),
    "messages": (MESSAGES, {"model": "m", "max_tokens": 9, "messages": []}),
}
STREAMED = sorted(ASKED)


def body_of(pieces: Pieces) -> bytes:
    """Return the body of an answer of the fake provider."""
    head, *rest = pieces
    if b"transfer-encoding: chunked" not in head:
        return b"".join(rest)
    return b"".join(piece.partition(b"\r\n")[2].removesuffix(b"\r\n") for piece in rest[:-1])


def said(api: str, *, stream: bool, plan: str = "") -> bytes:
    """Return the fake provider's answer in an API."""
    makers = {"chat": chat, "completions": text_completion, "responses": Responses("r").create, "messages": message}
    return body_of(makers[api]({**ASKED[api][1], "stream": stream}, "m", parse_plan(plan)))


def passed(
    dialect: Dialect, body: bytes, where: list[int] | None = None, *, streamed: bool, encoding: str | None = None
) -> AnswerCapture:
    passing = AnswerCapture(streamed=streamed, encoding=encoding, dialect=dialect)
    for start, end in pairwise([0, *sorted(cut % (len(body) + 1) for cut in where or []), len(body)]):
        passing.feed(body[start:end])
    return passing


#: The fake provider's usage, of which 5 tokens are reasoning.
REPORTED = TokenUsage(11, 3, 12, 5)


@pytest.mark.parametrize("api", STREAMED)
@pytest.mark.parametrize("stream", [False, True])
@given(where=cuts, crlf=st.booleans(), packed=st.booleans())
def test_tokens_are_read_in_every_api_however_the_answer_came(
    api: str, stream: bool, where: list[int], crlf: bool, packed: bool
) -> None:
    body = said(api, stream=stream, plan="reasoning=5")
    body = body.replace(b"\n", b"\r\n") if crlf else body
    body = gzip.compress(body, 1) if packed else body
    passing = passed(ASKED[api][0], body, where, streamed=stream, encoding="gzip" if packed else None)
    assert passing.usage() == REPORTED


def test_embeddings_have_a_prompt_and_say_nothing() -> None:
    passing = passed(EMBEDDINGS, body_of(embeddings({"input": "a word or two"}, "m", parse_plan(""))), streamed=False)
    assert passing.usage() == TokenUsage(3, None, 0)
    assert passing.estimated_output_tokens() is None


def test_the_tokens_of_an_answer_longer_than_what_is_kept_are_read() -> None:
    """An answer with a thousand vectors is."""
    body = body_of(embeddings({"input": "a word or two"}, "m", parse_plan("")))
    long = body.replace(b'"data":[', b'"data":[' + b'"",' * (WHOLE // 3))
    assert len(long) > WHOLE
    passing = passed(EMBEDDINGS, long, list(range(0, len(long), 65536)), streamed=False)
    assert passing.usage() == TokenUsage(3, None, 0)


@pytest.mark.parametrize("dialect", [CHAT, MESSAGES])
def test_more_tokens_than_the_ledger_can_add_up_are_unknown(dialect: Dialect) -> None:
    names = ("prompt_tokens", "completion_tokens", "input_tokens", "output_tokens", "cache_read_input_tokens")
    for number in (2**31 - 1, 2**28 + 1):
        passing = passed(dialect, orjson.dumps({"usage": dict.fromkeys(names, number)}), streamed=False)
        assert passing.usage() == TokenUsage(unexplained="invalid")
    most = passed(dialect, orjson.dumps({"usage": dict.fromkeys(names, 2**28)}), streamed=False).usage()
    assert (most.prompt_tokens or 0) + (most.completion_tokens or 0) < 2**31


@pytest.mark.parametrize("api", STREAMED)
def test_the_tokens_of_a_stream_longer_than_what_is_kept_are_read(api: str) -> None:
    body = said(api, stream=True, plan="reasoning=5")
    first = body.index(b"\n\n") + 2
    long = body[:first] + b": filled\n\n" * (2 * TAIL // 10) + body[first:]
    passing = passed(ASKED[api][0], long, list(range(0, len(long), 1000)), streamed=True)
    assert passing.usage() == REPORTED
    assert sum(map(len, passing._chunks)) <= TAIL + 1000


def test_the_usage_of_an_event_longer_than_what_is_kept_is_read() -> None:
    """The last event of a response repeats the whole answer."""
    body = said("responses", stream=True, plan="reasoning=5").replace(b'"text" : "', b'"text" : "' + b"x" * 2 * TAIL)
    passing = passed(RESPONSES, body, list(range(0, len(body), 4096)), streamed=True)
    assert passing.usage() == REPORTED


def events(*said: dict[str, Any]) -> bytes:
    return b"".join(b"event: %b\ndata: %b\n\n" % (each["type"].encode(), orjson.dumps(each)) for each in said)


BEGINS = {"type": "message_start", "message": {"id": "msg_1", "usage": {
    "input_tokens": 10, "cache_read_input_tokens": 200, "cache_creation_input_tokens": 3000, "output_tokens": 1,
}}}  # fmt: skip
DELTA = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "five words and some more"}}
ENDS = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 42}}


def test_a_messages_prompt_is_counted_where_it_begins_and_its_answer_where_it_ends() -> None:
    assert passed(MESSAGES, events(BEGINS, DELTA, ENDS), streamed=True).usage() == TokenUsage(3210, 200, 42)
    long = events(BEGINS, *[DELTA] * 3000, ENDS)
    assert len(long) > TAIL + HEAD
    assert passed(MESSAGES, long, list(range(0, len(long), 999)), streamed=True).usage() == TokenUsage(3210, 200, 42)


def test_what_a_message_counts_as_it_begins_is_no_count_of_an_answer_that_breaks_off() -> None:
    passing = passed(MESSAGES, events(BEGINS, *[DELTA] * 20), streamed=True)
    assert passing.usage() == TokenUsage(3210, 200, None)
    produced = passing.estimated_output_tokens()
    assert produced is not None
    assert 80 <= produced <= 160


def test_of_two_reports_the_last_one_counts() -> None:
    told = [{"usage": {"prompt_tokens": 1, "completion_tokens": n}, "choices": []} for n in (1, 2, 3)]
    body = b"".join(b"data: " + orjson.dumps(each) + b"\n\n" for each in told)
    assert passed(CHAT, body, streamed=True).usage() == TokenUsage(1, None, 3)


@pytest.mark.parametrize("api", STREAMED)
def test_what_a_stream_has_brought_is_estimated_wherever_it_breaks_off(api: str) -> None:
    body = said(api, stream=True, plan="chunks=200")
    dialect = ASKED[api][0]
    whole = body[: body.rindex(b"data: {")]
    counts = [
        passed(dialect, whole[:cut], streamed=True).estimated_output_tokens() for cut in range(0, len(whole), 1500)
    ]
    assert counts[0] is None, "no bytes were received"
    later = [each for each in counts if each is not None]
    assert len(later) == len(counts) - 1
    assert all(now >= 0.98 * before for before, now in pairwise(later)), (
        "increasing, except for bytes that are not read"
    )
    assert 400 <= later[-1] <= 1000, "200 times an accent, a number and a blank"


def test_of_a_long_stream_the_kept_end_stands_for_all_of_it() -> None:
    event = b"data: " + orjson.dumps({"choices": [{"delta": {"content": "word "}}]}) + b"\n\n"
    short = passed(CHAT, event * 1000, streamed=True).estimated_output_tokens()
    passing = AnswerCapture(streamed=True, encoding=None)
    for _ in range(20_000):
        passing.feed(event)
    assert short is not None
    assert passing.estimated_output_tokens() == pytest.approx(20 * short, rel=0.02)


def test_thoughts_and_calls_of_tools_are_produced_too() -> None:
    call = {"index": 0, "function": {"name": "look_up", "arguments": '{"city": "Lyon"}'}}
    for delta in (
        {"tool_calls": [call]},
        {"reasoning_content": "Let me think of that."},
        {"refusal": "No, I will not."},
    ):
        body = b"data: " + orjson.dumps({"choices": [{"delta": delta}]}) + b"\n\n"
        assert (passed(CHAT, body, streamed=True).estimated_output_tokens() or 0) >= 4, delta


def test_a_stream_of_comments_has_produced_nothing() -> None:
    assert passed(CHAT, b": waiting\n\n" * 3, streamed=True).estimated_output_tokens() == 0


def test_an_answer_that_is_no_stream_is_never_estimated() -> None:
    assert (
        passed(CHAT, b'{"choices":[{"message":{"content":"a word"}}]}', streamed=False).estimated_output_tokens()
        is None
    )


@given(body=st.binary(max_size=300), where=cuts, encoding=st.sampled_from([None, "gzip", "br"]), streamed=st.booleans())
@pytest.mark.parametrize("dialect", [CHAT, COMPLETIONS, EMBEDDINGS, MESSAGES, RESPONSES])
def test_bytes_without_sense_are_unknown(
    dialect: Dialect, body: bytes, where: list[int], encoding: str | None, streamed: bool
) -> None:
    passing = passed(dialect, body, where, streamed=streamed, encoding=encoding)
    assert passing.usage() == UNKNOWN
    assert passing.response_id() is None
    assert not passing.estimated_output_tokens()


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["usage", "choices", "delta", "message", "response", "output", "content", "tool_calls",
                         "function", "input_tokens", "output_tokens_details", "prompt_tokens_details", "type"]),
        inner, max_size=5),
    max_leaves=20,
)  # fmt: skip


@given(told=st.lists(json, max_size=3))
@pytest.mark.parametrize("dialect", [CHAT, COMPLETIONS, EMBEDDINGS, MESSAGES, RESPONSES])
def test_no_answer_is_too_odd_to_be_looked_at(dialect: Dialect, told: list[Any]) -> None:
    try:
        bodies = [orjson.dumps(each) for each in told]
    except orjson.JSONEncodeError:
        return
    passing = passed(dialect, b"".join(b"data: " + each + b"\n\n" for each in bodies), streamed=True)
    for each in (passing, passed(dialect, bodies[0] if bodies else b"", streamed=False)):
        each.usage()
        each.response_id()
        each.estimated_output_tokens()


# ---- the id of an answer


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("encoding", [None, "gzip"])
@given(where=cuts)
def test_an_answers_id_is_read(stream: bool, encoding: str | None, where: list[int]) -> None:
    body = said("responses", stream=stream)
    name = "resp_r" + "1".rjust(31, "0")
    assert name.encode() in body
    body = gzip.compress(body, 1) if encoding else body
    assert passed(RESPONSES, body, where, streamed=stream, encoding=encoding).response_id() == name


def test_long_instructions_do_not_hide_an_answers_name() -> None:
    begun = {"id": "resp_1", "object": "response", "instructions": "x" * 3 * HEAD, "tools": [{"id": "resp_2"}]}
    body = events({"type": "response.created", "sequence_number": 0, "response": begun})
    assert passed(RESPONSES, body, [100, 5000], streamed=True).response_id() == "resp_1"
    spaced = body.replace(b'"response":{"id":', b'"response" : { "id" : ')
    assert passed(RESPONSES, spaced, streamed=True).response_id() == "resp_1"
