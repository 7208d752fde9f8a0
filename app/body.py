"""Puts another model's name into a request's bytes and leaves every other byte alone."""

from __future__ import annotations

import re
from typing import Any

import orjson

_MODEL = re.compile(rb'"model"\s*:\s*("(?:[^"\\]|\\.)*")')


def with_model(raw: bytes, body: dict[str, Any], name: str) -> bytes:
    """`raw`, which parses to `body`, with `name` in its `model`.

    The value is replaced in place where `"model": "…"` stands once in the bytes: a quotation inside a string is
    escaped, so that one occurrence is the request's own. Otherwise the whole is written anew.
    """
    matches = list(_MODEL.finditer(raw))
    if len(matches) == 1 and orjson.loads(matches[0][1]) == body["model"]:
        start, end = matches[0].span(1)
        return raw[:start] + orjson.dumps(name) + raw[end:]
    return orjson.dumps({**body, "model": name})
