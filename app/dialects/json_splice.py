"""Replaces a member of a JSON object in its bytes and preserves every other byte."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from ..json_outline import outline

#: Bytes from which on numpy looks for members; below, the tokens are read one by one, about 0.2 us each.
LARGE = 16 * 1024
# The tokens of JSON that matter here: strings, brackets, colons and commas. Numbers and literals lie between them.
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}:,]')
_BLANK = b" \t\n\r"
_BLANKS = re.compile(rb"[ \t\n\r]*")
_KEY = b'"model"'
_VALUE = re.compile(rb'"model"[ \t\n\r]*:[ \t\n\r]*("[^"\\]*")')


def with_model(raw: bytes, name: str) -> bytes:
    """Return the JSON object `raw` with its string member `model` set to `name`; of duplicate keys the last counts."""
    at = raw.find(_KEY)
    # `raw` has this key, so if it occurs once and no letter of it may be escaped (\u006d to \u006f), this is the one.
    if at >= 0 and b"\\u006" not in raw and raw.find(_KEY, at + len(_KEY)) < 0:
        value = _VALUE.match(raw, at)
        if value is not None:
            return raw[: value.start(1)] + orjson.dumps(name) + raw[value.end(1) :]
    if len(raw) >= LARGE:
        return with_member(raw, "model", orjson.dumps(name), there=True)
    return _with_model_by_scan(raw, name)


def _with_model_by_scan(raw: bytes, name: str) -> bytes:
    """Do the same for any JSON, token by token; the time grows with the number of tokens."""
    depth = 0
    before = b""
    is_model = False
    found = (0, 0)
    for match in _TOKEN.finditer(raw):
        token = match[0]
        if token in b"{[":
            depth += 1
        elif token in b"}]":
            depth -= 1
        elif depth == 1 and token[0] == 0x22:
            if before in (b"{", b","):
                is_model = token == b'"model"' or (b"\\u" in token and orjson.loads(token) == "model")
            elif is_model and before == b":":
                found = match.span()
        before = token
    start, end = found
    return raw[:start] + orjson.dumps(name) + raw[end:]


def with_member(raw: bytes, name: str, value: bytes, *, there: bool) -> bytes:
    """Return the JSON object `raw` with its member `name` set to `value`, which is JSON.

    `there`: whether `raw` has the member already. Of duplicate keys the last counts.
    """
    if there:
        (_, _, start, end) = _last(raw, name)
        return raw[:start] + value + raw[end:]
    start = raw.index(b"{") + 1
    comma = b"" if raw[start:].lstrip(_BLANK).startswith(b"}") else b","
    return raw[:start] + orjson.dumps(name) + b":" + value + comma + raw[start:]


def with_members(raw: bytes, body: Mapping[str, Any], members: Mapping[str, Any]) -> bytes:
    """Return the JSON object `raw` with the values of `members` that it lacks; `body` is `raw` parsed.

    A member that is there keeps its value unless that is null. Objects are merged member by member.
    """
    for name, value in members.items():
        known = body.get(name)
        if isinstance(known, dict) and isinstance(value, dict):
            within = member(raw, name)
            raw = with_member(raw, name, with_members(within, known, value), there=True)
        elif known is None:
            raw = with_member(raw, name, orjson.dumps(value), there=name in body)
    return raw


def member(raw: bytes, name: str) -> bytes:
    """Return the value of the last member `name` of the JSON object `raw`, as bytes."""
    (_, _, start, end) = _last(raw, name)
    return raw[start:end]


def without_member(raw: bytes, name: str) -> bytes:
    """Return `raw`, which contains a JSON object, without every member `name` of that object."""
    kept: list[bytes] = []
    at = 0
    for before, key, _, end in list(_members(raw, name)):
        # Its comma may have gone with the member before it.
        if raw[before : before + 1] == b"," and before >= at:
            kept.append(raw[at:before])
            at = end
            continue
        kept.append(raw[at:key])
        at = end
        # The first member is followed by its comma.
        comma = _after_blanks(raw, end)
        if raw[comma : comma + 1] == b",":
            at = _after_blanks(raw, comma + 1)
    kept.append(raw[at:])
    return b"".join(kept)


def _after_blanks(raw: bytes, at: int) -> int:
    match = _BLANKS.match(raw, at)
    assert match is not None
    return match.end()


def _last(raw: bytes, name: str) -> tuple[int, int, int, int]:
    if len(raw) >= LARGE:
        return next(outline(raw).members_of(raw, name))
    return list(_members(raw, name))[-1]


def _members(raw: bytes, name: str) -> Iterator[tuple[int, int, int, int]]:
    """Yield for each member `name` the positions of the brace or comma before it, its key, its value and its end."""
    depth = separator = key = value = 0
    before = b""
    is_name = valued = False
    for match in _TOKEN.finditer(raw):
        token = match[0]
        if depth == 1 and valued and token in b",}":
            inner = raw[value : match.start()]
            start = value + len(inner) - len(inner.lstrip(_BLANK))
            yield separator, key, start, value + len(inner.rstrip(_BLANK))
            valued = False
        if token in b"{[":
            depth += 1
        elif token in b"}]":
            depth -= 1
        if depth == 1 and token in b"{,":
            separator = match.start()
        elif depth == 1 and token == b":" and is_name:
            value, valued = match.end(), True
        is_name = depth == 1 and token[0] == 0x22 and before in (b"{", b",") and _is(token, name)
        key = match.start() if is_name else key
        before = token


def _is(token: bytes, name: str) -> bool:
    if b"\\" in token:
        return bool(json.loads(token) == name)
    return token[1:-1] == name.encode()
