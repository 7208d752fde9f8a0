"""Puts another value into a request's bytes and leaves every other byte alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import orjson

# A JSON text is a row of these: strings, brackets, colons and commas; numbers and words lie between.
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}:,]')
_BLANK = b" \t\n\r"
_KEY = b'"model"'
_VALUE = re.compile(rb'"model"[ \t\n\r]*:[ \t\n\r]*("[^"\\]*")')


def with_model(raw: bytes, name: str) -> bytes:
    """`raw`, a JSON object with a string `model`, with `name` in its place; of two such keys the last counts."""
    at = raw.find(_KEY)
    # The object has this key, so where there is one, and none with an escaped letter (\u006d to \u006f), that is it.
    if at >= 0 and b"\\u006" not in raw and raw.find(_KEY, at + len(_KEY)) < 0:
        value = _VALUE.match(raw, at)
        if value is not None:
            return raw[: value.start(1)] + orjson.dumps(name) + raw[value.end(1) :]
    return _scanned(raw, name)


def _scanned(raw: bytes, name: str) -> bytes:
    """The same for every text: token by token, which takes the longer the more of them there are."""
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
    """`raw`, a JSON object, with `value`, itself JSON, for `name`, which is `there` or not; of two the last counts."""
    if there:
        (_, _, start, end) = list(_members(raw, name))[-1]
        return raw[:start] + value + raw[end:]
    start = raw.index(b"{") + 1
    comma = b"" if raw[start:].lstrip(_BLANK).startswith(b"}") else b","
    return raw[:start] + orjson.dumps(name) + b":" + value + comma + raw[start:]


def member(raw: bytes, name: str) -> bytes:
    """The bytes of the last value that `raw`, a JSON object, has for `name`."""
    (_, _, start, end) = list(_members(raw, name))[-1]
    return raw[start:end]


def without_member(raw: bytes, name: str) -> bytes:
    """`raw`, which has a JSON object in it, without its member `name`, however often it is there."""
    for before, key, _, end in reversed(list(_members(raw, name))):
        if raw[before : before + 1] == b",":
            raw = raw[:before] + raw[end:]
        else:
            # The first one's comma comes after it.
            rest = raw[end:].lstrip(_BLANK)
            raw = raw[:key] + (rest.removeprefix(b",").lstrip(_BLANK) if rest.startswith(b",") else raw[end:])
    return raw


def _members(raw: bytes, name: str) -> Iterator[tuple[int, int, int, int]]:
    """Of each member `name` of the object in `raw`: the brace or comma before it, its key, and its value's ends."""
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
