"""Bytes through the proxy: one model name replaced, usage read, and every other byte unchanged."""

from __future__ import annotations

import gzip
import random
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dialects.answer_capture import TAIL, AnswerCapture
from app.dialects.json_splice import _with_model_by_scan, with_model
from app.dialects.usage import UNKNOWN, TokenUsage
from tests.support.json_text import spelled

USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 3}}
text = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["model", "x", "y"]) | text, inner),
    max_leaves=12,
)


@given(fields=st.dictionaries(text, values, max_size=4), asked=text, name=text)
def test_the_models_name_is_replaced_and_every_other_field_survives(
    fields: dict[str, Any], asked: str, name: str
) -> None:
    body = {**fields, "model": asked}
    raw = orjson.dumps(body, option=orjson.OPT_INDENT_2)
    assert orjson.loads(with_model(raw, name)) == {**body, "model": name}


def test_bytes_around_the_models_name_are_left_alone() -> None:
    raw = b'{ "x":1.50,\n"messages":[{"content":"\\"model\\": \\"auto\\""}], "model" :\t"au\\u0074o" }'
    assert with_model(raw, 'a"b') == raw.replace(b'"au\\u0074o"', b'"a\\"b"')


def test_a_nested_field_of_that_name_is_left_alone() -> None:
    raw = b'{"tools":[{"model":"auto"}],"model":"auto"}'
    assert orjson.loads(with_model(raw, "m")) == {"tools": [{"model": "auto"}], "model": "m"}


def test_an_escaped_key_is_the_models_own_and_of_two_the_last_counts() -> None:
    raw = b'{"mod\\u0065l":"auto","metadata":{"model":"auto"},"seed":123456789012345678901234567890}'
    assert with_model(raw, "m") == raw.replace(b'"mod\\u0065l":"auto"', b'"mod\\u0065l":"m"')
    assert with_model(b'{"model":"a","model":"b"}', "m") == b'{"model":"a","model":"m"}'


modelish = st.sampled_from(["model", '"model', 'model"', '"model"', "\\model", '"model":"x"', "mode", ""]) | text
odd_values = st.recursive(
    st.none() | st.integers(-99, 99) | modelish,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(modelish, inner, max_size=3),
    max_leaves=8,
)


@given(fields=st.dictionaries(modelish, odd_values, max_size=4), asked=modelish, name=text, chance=st.randoms())
def test_the_short_cut_to_the_models_name_finds_what_reading_every_token_does(
    fields: dict[str, Any], asked: str, name: str, chance: random.Random
) -> None:
    raw = spelled({**fields, "model": asked}, chance).encode()
    assert orjson.loads(raw)["model"] == asked
    assert with_model(raw, name) == _with_model_by_scan(raw, name)
    assert orjson.loads(with_model(raw, name)) == {**orjson.loads(raw), "model": name}


def chunked(body: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    return [body[start:end] for start, end in pairwise(edges)]


def passed(body: bytes, cuts: list[int], *, streamed: bool, encoding: str | None = None) -> TokenUsage:
    passing = AnswerCapture(streamed=streamed, encoding=encoding)
    for chunk in chunked(body, cuts):
        passing.feed(chunk)
    return passing.usage()


def stream(answer: str, usage: Any = USAGE, separator: bytes = b"\n\n") -> bytes:
    events: list[Any] = [{"choices": [{"delta": {"content": answer}}], "usage": None}]
    if usage is not None:
        events.append({"choices": [], "usage": usage})
    return separator.join([*(b"data: " + orjson.dumps(event) for event in events), b"data: [DONE]", b""])


@given(answer=text, cuts=st.lists(st.integers(0, 10_000), max_size=20), crlf=st.booleans())
def test_a_streams_usage_is_read_however_it_was_cut(answer: str, cuts: list[int], crlf: bool) -> None:
    body = stream(answer, separator=b"\r\n\r\n" if crlf else b"\n\n")
    assert passed(body, cuts, streamed=True) == TokenUsage(11, 3, 7)


@given(cuts=st.lists(st.integers(0, 10_000), max_size=20), streamed=st.booleans())
def test_compressed_answers_are_read_too(cuts: list[int], streamed: bool) -> None:
    body = gzip.compress(stream("hi") if streamed else orjson.dumps({"usage": USAGE}))
    assert passed(body, cuts, streamed=streamed, encoding="gzip") == TokenUsage(11, 3, 7)


@given(st.binary(max_size=200), st.booleans(), st.sampled_from([None, "gzip", "br"]))
def test_bytes_that_say_nothing_are_unknown_and_not_zero(body: bytes, streamed: bool, encoding: str | None) -> None:
    assert passed(body, [], streamed=streamed, encoding=encoding) == UNKNOWN


def test_a_stream_without_usage_is_unknown() -> None:
    assert passed(stream("hi", usage=None), [], streamed=True) == UNKNOWN


def test_an_answer_that_talks_about_usage_is_not_taken_for_it() -> None:
    assert passed(stream('"usage": {"prompt_tokens": 9}', usage=None), [], streamed=True) == UNKNOWN


def test_a_long_stream_costs_no_more_memory_than_its_tail() -> None:
    passing = AnswerCapture(streamed=True, encoding=None)
    for _ in range(10_000):
        passing.feed(b"data: " + b"x" * 1000 + b"\n\n")
    passing.feed(stream("end"))
    assert sum(len(chunk) for chunk in passing._chunks) < TAIL + 2000
    assert passing.usage() == TokenUsage(11, 3, 7)


def test_counts_that_cannot_be_are_unknown() -> None:
    odd = {"prompt_tokens": -1, "completion_tokens": "7", "prompt_tokens_details": [], "x": 1}
    assert passed(orjson.dumps({"usage": odd}), [], streamed=False) == TokenUsage(
        completion_tokens=7, unexplained="invalid"
    )
    odd = {"prompt_tokens": True, "completion_tokens": 2**40}
    assert passed(orjson.dumps({"usage": odd}), [], streamed=False) == TokenUsage(unexplained="invalid")


@pytest.mark.parametrize(
    "said",
    [
        {"prompt_tokens_details": {"cached_tokens": 5}},
        {"prompt_cache_hit_tokens": 5, "prompt_cache_miss_tokens": 6},
        {"cache_read_input_tokens": 5, "cache_creation_input_tokens": 0},
        {"prompt_tokens_details": {"cached_tokens": None}, "prompt_cache_hit_tokens": 5},
        {"prompt_tokens_details": None, "cache_read_input_tokens": 5},
    ],
)
def test_cached_tokens_are_read_from_each_providers_format(said: dict[str, Any]) -> None:
    body = orjson.dumps({"usage": {"prompt_tokens": 11, "completion_tokens": 7, **said}})
    assert passed(body, [], streamed=False) == TokenUsage(11, 5, 7)


def test_reasoning_tokens_are_read() -> None:
    usage = {"prompt_tokens": 11, "completion_tokens": 700, "completion_tokens_details": {"reasoning_tokens": 640}}
    assert passed(orjson.dumps({"usage": usage}), [], streamed=False) == TokenUsage(11, None, 700, 640)
    chunk = b"data: " + orjson.dumps({"choices": [], "usage": usage}) + b"\n\ndata: [DONE]\n\n"
    assert passed(chunk, [], streamed=True) == TokenUsage(11, None, 700, 640)
