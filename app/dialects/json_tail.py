"""Finds a member of a JSON object from the object's end, for bodies that have no start or are no valid JSON."""

from __future__ import annotations

import json
from typing import Any

#: Quotes that are looked at, from the end; about 1 us each.
MOST_QUOTES = 40_000
#: Bytes that are parsed for the value of the member.
VALUE = 64 * 1024
#: A key of more bytes, escapes included, is not compared.
LONGEST_KEY = 64


def last_member(body: bytes, name: str, parent: str | None = None) -> Any:
    """Return the last member `name` of the outermost object of `body`, or None if it is not found.

    `parent`: look in the member of that name of the outermost object too, whose key may be in the missing part.
    """
    end = len(body.rstrip())
    if not body.endswith(b"}", 0, end):
        return None
    depth, candidate, left = 0, None, MOST_QUOTES
    while left > 0:
        closing = body.rfind(b'"', 0, end)
        # What is between two strings: `{` and `[` open what was closed further on.
        between = body[closing + 1 : end]
        depth += between.count(b"}") + between.count(b"]") - between.count(b"{") - between.count(b"[")
        if closing < 0 or depth <= 0:
            break
        opening, left = _opening(body, closing, left - 1)
        if opening < 0:
            break
        if depth <= 2 and between.lstrip().startswith(b":"):
            key = _key(body[opening : closing + 1])
            if depth == 1 and key == name:
                return _value(body, closing + 1)
            if depth == 2 and key == name and parent is not None and candidate is None:
                candidate = closing + 1
            if depth == 1 and candidate is not None:
                if key == parent:
                    break
                candidate = None
        end = opening
    return None if candidate is None else _value(body, candidate)


def _opening(body: bytes, closing: int, left: int) -> tuple[int, int]:
    """Return the position of the quote that opens the string closed at `closing`, and how many quotes are left.

    -1: it is missing, or more than `left` quotes away.
    """
    at = closing
    while left > 0 and (at := body.rfind(b'"', 0, at)) >= 0:
        left -= 1
        before = body[max(0, at - 64) : at]
        if (len(before) - len(before.rstrip(b"\\"))) % 2 == 0:
            return at, left
    return -1, left


def _key(quoted: bytes) -> str | None:
    if len(quoted) > LONGEST_KEY:
        return None
    try:
        found = json.loads(quoted)
    except ValueError:
        return None
    return found if isinstance(found, str) else None


def _value(body: bytes, start: int) -> Any:
    text = body[start : start + VALUE].decode("utf-8", "replace").lstrip()
    try:
        return json.JSONDecoder().raw_decode(text.removeprefix(":").lstrip())[0]
    except (ValueError, RecursionError):
        return None
