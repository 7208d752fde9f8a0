"""Puts another value into a request's bytes and leaves every other byte alone."""

from __future__ import annotations

import json
import re

import orjson

# A JSON text is a row of these: strings, brackets, colons and commas; numbers and words lie between.
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}:,]')
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
    """The same for every text: token by token, 10 us for 250 bytes."""
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
    """`raw`, a JSON object with other members, with `value`, itself JSON, for `name`, which is `there` or is not."""
    if not there:
        start = raw.index(b"{") + 1
        return raw[:start] + orjson.dumps(name) + b":" + value + b"," + raw[start:]
    depth = 0
    before = b""
    colon = 0
    is_name = False
    for match in _TOKEN.finditer(raw):
        token = match[0]
        if token in b"{[":
            depth += 1
        elif token in b"}]":
            depth -= 1
        elif depth == 1 and token == b":" and is_name:
            colon = match.end()
        is_name = depth == 1 and token[0] == 0x22 and before in (b"{", b",") and orjson.loads(token) == name
        before = token
    text = raw[colon:].decode()
    start = len(text) - len(text.lstrip())
    _, end = json.JSONDecoder().raw_decode(text, start)
    return raw[:colon] + text[:start].encode() + value + text[end:].encode()
