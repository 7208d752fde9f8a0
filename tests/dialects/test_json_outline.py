"""The outline of large JSON finds what reading every token does."""

from __future__ import annotations

import random
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import json_outline
from app.dialects import json_splice
from app.dialects.json_splice import LARGE, _members, with_member, with_model, without_member
from app.errors import BadRequest, TooLarge
from app.http.validation import MOST_PARTS, MOST_VALUES, parse_object
from app.json_outline import outline
from app.off_loop import LARGE as LARGE_BODY
from tests.support.json_text import spelled

names = st.sampled_from(
    ["model", '"model', "model\\", '"model"', '{"model":"x"}', "]", "}", ",", "mode", ""]
) | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
values = st.recursive(
    st.none() | st.integers(-99, 99) | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=12,
)


@given(
    fields=st.dictionaries(names, values, max_size=5),
    name=names,
    piece=st.sampled_from([1, 2, 3, 7, 1000]),
    chance=st.randoms(),
)
def test_members_are_found_as_if_every_token_had_been_read(
    fields: dict[str, Any], name: str, piece: int, chance: random.Random
) -> None:
    raw = spelled(fields, chance).encode()
    before, json_outline.PIECE = json_outline.PIECE, piece
    try:
        found = outline(raw)
    finally:
        json_outline.PIECE = before
    for each in (name, "model"):
        assert list(found.members_of(raw, each))[::-1] == list(_members(raw, each))


def test_values_members_containers_and_depth_are_counted() -> None:
    found = outline(b'{"a,[":[1,2,{"b":"\\\\\\"]},"}],"c":{}}')
    assert (found.containers, found.members, found.commas, found.depth) == (4, 3, 3, 3)


@pytest.mark.parametrize(
    ("model", "left"),
    [
        (b'"model":"a"', b'"model":"b"'),
        (b'"model":"x","model" : "a"', b'"model":"x","model" : "b"'),
        (b'"mod\\u0065l":"a"', b'"mod\\u0065l":"b"'),
        (b'"\\u006d\\u006f\\u0064\\u0065\\u006c":\t"\\u0061"', b'"\\u006d\\u006f\\u0064\\u0065\\u006c":\t"b"'),
    ],
)
@pytest.mark.parametrize("text", [b"x", b"\\u006d", b"\\\\", b'\\"model\\":\\"a\\"', b"\\ud83d"])
def test_a_large_body_keeps_every_other_byte(model: bytes, left: bytes, text: bytes) -> None:
    other = b',"tools":[{"model":"a"}],"messages":["' + text * LARGE + b'"]}'
    assert with_model(b"{" + model + other, "b") == b"{" + left + other
    assert with_model(b"{" + other[1:-1] + b"," + model + b"}", "b") == b"{" + other[1:-1] + b"," + left + b"}"
    assert with_member(b"{" + model + other, "model", b'"b"', there=True) == b"{" + left + other


def test_members_that_recur_go_in_linear_time() -> None:
    raw = b'{"a":1' + b',"usage":2' * 50_000 + b"}"
    assert without_member(raw, "usage") == b'{"a":1}'
    assert without_member(b'{"usage":1 , "usage":2,"a":1}', "usage") == b'{"a":1}'
    assert without_member(b'{"usage":1 , "usage":2 }', "usage") == b"{ }"


def padded(inner: bytes) -> bytes:
    return b'{"model":"a","y":"' + b"z" * LARGE_BODY + b'","x":[' + inner + b"1]}"


@pytest.mark.parametrize(
    ("inner", "error"),
    [
        (b"[]," * MOST_PARTS, TooLarge),
        (b"1," * MOST_VALUES, TooLarge),
        (b'{"a":1},' * (MOST_PARTS // 2), TooLarge),
        (b"[" * 2000, BadRequest),
        (b"[" * 2000 + b"]" * 2000 + b",", BadRequest),
        (b"[]," * (MOST_PARTS - 100), None),
        (b'"[],{},:\\"\\\\",' * 100_000, None),
        (b'"\\ud83d",' * 100_000, None),
        (b'"\xed\xa0\xbd",', None),
        (b"1e400,", None),
    ],
)
def test_a_large_body_of_too_many_values_is_refused(inner: bytes, error: type[Exception] | None) -> None:
    if error is None:
        assert parse_object(padded(inner))["model"] == "a"
        return
    with pytest.raises(error):
        parse_object(padded(inner))


def test_the_outline_is_used_for_large_texts_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(json_splice, "outline")
    assert with_model(b'{"mod\\u0065l":"a"}', "b") == b'{"mod\\u0065l":"b"}'
    assert orjson.loads(without_member(b'{"usage":1}', "usage")) == {}
