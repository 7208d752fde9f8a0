"""Streams as bytes: split into events, with usage requested and removed, and every other byte unchanged."""

from __future__ import annotations

import random
import time
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dialects.json_splice import with_member, without_member
from app.dialects.sse import LONGEST, EventSplitter, data_of, split_events
from app.dialects.stream_options import with_usage, without_usage
from app.errors import BadRequest
from app.http.validation import parse_object
from tests.support.json_text import spelled

ENDS = ["\n", "\r\n", "\r"]
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
line = st.one_of(
    st.just(""), text.map(lambda t: f"data: {t}"), text.map(lambda t: f"data:{t}"), text.map(lambda t: f": {t}"), text
).map(lambda t: t.replace("\r", "").replace("\n", ""))
#: Streams with one kind of line end, with mixed ones, and random bytes of such characters.
streams = st.one_of(
    st.builds(lambda lines, end: "".join(each + end for each in lines).encode(), st.lists(line), st.sampled_from(ENDS)),
    st.lists(st.tuples(line, st.sampled_from(ENDS))).map(lambda some: "".join(a + b for a, b in some).encode()),
    st.lists(st.sampled_from([b"\r", b"\n", b"d", b"data:", b": "])).map(b"".join),
)
cuts = st.lists(st.integers(0, 400), max_size=30)


def chunks(body: bytes, where: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(body) + 1) for cut in where), len(body)]
    return [body[start:end] for start, end in pairwise(edges)]


def cut(pieces: list[bytes]) -> tuple[list[bytes], bytes]:
    events = EventSplitter()
    return [event for piece in pieces for event in events.feed(piece)], events.rest()


@given(stream=streams, where=cuts)
def test_a_stream_is_cut_at_the_same_places_however_it_came(stream: bytes, where: list[int]) -> None:
    found, rest = cut(chunks(stream, where))
    assert b"".join(found) + rest == stream
    assert (found, rest) == cut([stream])
    assert (found, rest) == cut([bytes([byte]) for byte in stream])


@given(datas=st.lists(st.lists(text.map(lambda t: t.replace("\r", "").replace("\n", "")), min_size=1)), where=cuts)
@pytest.mark.parametrize("end", ENDS)
def test_every_event_has_the_data_that_went_into_it(datas: list[list[str]], where: list[int], end: str) -> None:
    lines = (f"event: x{end}: a comment{end}" + "".join(f"data: {each}{end}" for each in data) for data in datas)
    stream = "".join(event + end for event in lines).encode()
    found, rest = cut(chunks(stream, where))
    assert rest == b""
    assert [data_of(event).decode() for event in found] == ["\n".join(data) for data in datas]
    assert [data_of(event) for event in split_events(stream) if event] == [data_of(event) for event in found]


def test_data_is_what_follows_the_colon_and_one_blank() -> None:
    assert data_of(b"data:a\ndata: b\ndata:  c\n\n") == b"a\nb\n c"
    assert data_of(b": data: a\nid: 1\n\n") == b""
    assert data_of("data: a\u2028b\x0b\x85\n\n".encode()) == "a\u2028b\x0b\x85".encode(), (
        "these characters do not end lines"
    )


@given(stream=streams, where=cuts)
def test_between_is_where_an_event_may_be_put_in(stream: bytes, where: list[int]) -> None:
    events, fed = EventSplitter(), b""
    for piece in chunks(stream, where):
        events.feed(piece)
        fed += piece
        if fed and events.between:
            assert fed.endswith((b"\n\n", b"\r\r", b"\r\n\r\n", b"\n\r\n", b"\r\n\n"))


# ---- usage is removed from the client's stream

values = st.recursive(
    st.none() | st.integers(-(2**53), 2**53) | st.sampled_from(["usage", ',"usage":null', '"usage": null}']) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["usage", "choices"]) | text, inner),
    max_leaves=8,
)
usages = st.none() | st.fixed_dictionaries({"prompt_tokens": st.integers(0, 9), "details": values})


@given(fields=st.dictionaries(text, values, max_size=3), used=usages, chance=st.randoms())
def test_exactly_the_usage_goes(fields: dict[str, Any], used: Any, chance: random.Random) -> None:
    fields = {**fields, "choices": [{"index": 0}]}
    fields.pop("usage", None)
    items = [*fields.items(), ("usage", used)]
    chance.shuffle(items)
    written = spelled(dict(items), chance).replace("\n", " ").replace("\r", " ")
    event = f"id: 7\ndata: {written}\n\n".encode()
    out = without_usage(event)
    if used is not None:
        assert out == event, "it comes beside choices, so that nobody's request for a usage chunk is its cause"
        return
    assert orjson.loads(data_of(out)) == {key: value for key, value in orjson.loads(written).items() if key != "usage"}
    assert out.startswith(b"id: 7\ndata: ")
    assert out.endswith(b"\n\n")


@pytest.mark.parametrize(
    ("event", "left"),
    [
        ('{"id":"a","choices":[{"x":1.50}],"usage":null}', '{"id":"a","choices":[{"x":1.50}]}'),
        ('{"choices":[{}], "usage": null,"obfuscation":"x"}', '{"choices":[{}],"obfuscation":"x"}'),
        ('{ "usage" :null , "choices":[1.0] }', '{ "choices":[1.0] }'),
        ('{"choices":[],"usage":{"a":{"usage":1}} ,"big":123456789012345678901234567890}',
         '{"choices":[] ,"big":123456789012345678901234567890}'),
        ('{"choices":[],"usage":{"a":{"usage":1}} ,"x":{"big":123456789012345678901234567890}}',
         '{"choices":[] ,"x":{"big":123456789012345678901234567890}}'),
        ('{"choices":[],"usage":{"prompt_tokens":1},"timings":{"predicted_ms":1.50}}',
         '{"choices":[],"timings":{"predicted_ms":1.50}}'),
        ('{"id":"a","choices":[],"usage":{},"x_groq":{"usage":{}}}', '{"id":"a","choices":[],"x_groq":{"usage":{}}}'),
        ('{"choices":[{"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}',
         '{"choices":[{"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}'),
        ('{"choices":[{"usage":null}],"usage":null}', '{"choices":[{"usage":null}]}'),
        ('{"choices":[{"a":1,"usage":null}],"usage":null}', '{"choices":[{"a":1,"usage":null}]}'),
        # Keys may be repeated and their letters escaped: one of two escaped, twice, alone, and beside a nested one.
        ('{"choices":[{}],"usage":null,"\\u0075sage":null}', '{"choices":[{}]}'),
        ('{"choices":[{}],"u\\u0073age":{"a":1},"usage":null}', '{"choices":[{}]}'),
        ('{"\\u0075\\u0073\\u0061\\u0067\\u0065":1, "choices":[{}],"us\\u0061ge":null}', '{"choices":[{}]}'),
        ('{"choices":[{}],"usa\\u0067e":null}', '{"choices":[{}]}'),
        ('{"usag\\u0065":null,"choices":[{"a":1,"usage":null}]}', '{"choices":[{"a":1,"usage":null}]}'),
    ],
)  # fmt: skip
def test_the_bytes_around_the_usage_are_left_alone(event: str, left: str) -> None:
    framed = "event: x\nid: 1\ndata: {}\n\n"
    assert without_usage(framed.replace("{}", event).encode()) == framed.replace("{}", left).encode()


@pytest.mark.parametrize(
    "event",
    [
        b"data: [DONE]\n\n",
        b': "usage":null\n\n',
        b'data: {"choices":[{"delta":{"content":",\\"usage\\":null}"}}]}\n\n',
        b'data: {"choices":[{"delta":{"content":"\\"usage\\""},"usage":null}]}\n\n',
        b'data: {"x_groq":{"id":"a","usage":{"prompt_tokens":1}},"choices":[]}\n\n',
        b'data: {"choices":[{"delta":{"content":"usage"}}]\r\n\r\n',
        b'data: ["usage", "usage"]\n\n',
        b'data: {"choices":[], "usage"\n\n',
        b'data: {"choices":[{"delta":{"content":"\\u0075sage \\u00e9"}}]}\n\n',
        b'data: {"choices":[{"\\u0075sage":null}],"\\u0055sage":null,"\\\\u0075sage":null}\n\n',
    ],
)
def test_a_stream_that_only_quotes_usage_is_unchanged(event: bytes) -> None:
    assert without_usage(event) == event


def test_a_text_that_quotes_usage_survives_beside_the_real_one() -> None:
    event = b'data: {"choices":[{"delta":{"content":",\\"usage\\":null"}}],"usage":null}\n\n'
    assert without_usage(event) == event.replace(b',"usage":null}', b"}")


def test_the_event_that_brings_the_usage_alone_goes_altogether() -> None:
    assert without_usage(b'data: {"choices":[], "usage":{"prompt_tokens":1}}\n\n') == b""
    assert without_usage(b'data: {"choices":[],"usage":null,"prompt_filter_results":[]}\n\n') != b""


# ---- usage is requested

names = st.sampled_from(["stream_options", "include_usage", '"stream_options"', "x"]) | text
bodies = st.dictionaries(names, st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
), max_size=4)  # fmt: skip


@given(body=bodies, options=st.none() | bodies, name=names, value=bodies, chance=st.randoms())
def test_a_member_is_put_in_as_if_the_object_had_been_written_with_it(
    body: dict[str, Any], options: Any, name: str, value: Any, chance: random.Random
) -> None:
    raw = spelled(body, chance).encode()
    body = orjson.loads(raw)
    put = with_member(raw, name, orjson.dumps(value), there=name in body)
    assert orjson.loads(put) == {**body, name: value}
    left = without_member(raw, name)
    assert orjson.loads(left) == {key: kept for key, kept in body.items() if key != name}

    body["stream_options"] = options
    raw = spelled(body, chance).encode()
    body = orjson.loads(raw)
    wanted = {**(body["stream_options"] or {}), "include_usage": True}
    assert orjson.loads(with_usage(raw, body)) == {**body, "stream_options": wanted}


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        (b' {"model":"m" }', b' {"stream_options":{"include_usage":true},"model":"m" }'),
        (b'{"stream_options" : {}, "x":1.0}', b'{"stream_options" : {"include_usage":true}, "x":1.0}'),
        (b'{"stream_options":null}', b'{"stream_options":{"include_usage":true}}'),
        (b'{"stream_options":{"include_usage" : false , "big":123456789012345678901234567890} }',
         b'{"stream_options":{"include_usage" : true , "big":123456789012345678901234567890} }'),
        (b'{"a":{"stream_options":1},"stream\\u005foptions":{"x":"\\ud83d"}}',
         b'{"a":{"stream_options":1},"stream\\u005foptions":{"include_usage":true,"x":"\\ud83d"}}'),
        (b'{"stream_options":1,"messages":["\xed\xa0\xbd"],"stream_options":{ }}',
         b'{"stream_options":1,"messages":["\xed\xa0\xbd"],"stream_options":{"include_usage":true }}'),
    ],
)  # fmt: skip
def test_the_bytes_around_what_is_asked_for_are_left_alone(raw: bytes, wanted: bytes) -> None:
    assert with_usage(raw, parse_object(raw)) == wanted


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-16-le"])
def test_a_body_in_which_no_field_would_be_found_is_refused(encoding: str) -> None:
    with pytest.raises(BadRequest):
        parse_object('{"model":"auto"}'.encode(encoding))


# ---- events without an end


def test_an_event_without_an_end_goes_on_in_pieces_and_in_linear_time() -> None:
    events, found = EventSplitter(), []
    begun = time.perf_counter()
    for _ in range(20_000):
        found += events.feed(b"x" * 1000)
        assert events._size <= LONGEST + 1000
    assert time.perf_counter() - begun < 2
    assert not events.between
    found += events.feed(b"\n\ndata: 1\n\n")
    assert found[-1] == b"data: 1\n\n"
    assert b"".join(found) == b"x" * 20_000_000 + b"\n\ndata: 1\n\n"
    assert events.between


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r"])
@pytest.mark.parametrize("cut_at", range(-4, 4))
def test_the_end_of_a_long_event_is_found_where_it_was_cut(end: bytes, cut_at: int) -> None:
    long = b"data: " + b"y" * LONGEST + end + b"data: 1" + end
    at = LONGEST + 6 + cut_at
    found, rest = cut([long[:at], long[at:]])
    assert (found[-1], rest) == (b"data: 1" + end, b"")
    assert b"".join(found) == long
