"""Finds the JSON values of a file that a parser would read for too long, keeping the interpreter's lock meanwhile."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

import numpy as np

from ...errors import BadRequest, TooLarge
from ...http.validation import check_size
from ...json_outline import outline
from ...off_loop import LARGE
from .documents import is_json
from .source import PEEK, encoding_of, opened

_BLANK = re.compile(rb"\s*")


def check_sizes(content: bytes, encoding: str | None, limit: int) -> None:
    """Check the values that a reader of the file `content` would parse at once.

    Raises `BadRequest` and `TooLarge` for one that takes too long, and for over `limit` bytes of text as UTF-8.
    """
    text = _text(content, encoding, limit)
    at = _end_of_blank(text)
    start = text[at : at + 1]
    if start == b"[":
        _check_values(text, array=True)
    elif start == b"{":
        end = _line_end(text, at)
        first = text[at:end]
        if len(first) >= LARGE:
            check_size(first, "A line of the file")
        following = text[end + 1 : _line_end(text, end + 1)]
        # As `documents.records` decides.
        if is_json(first) or following.lstrip().startswith(b"{"):
            for line in _large_lines(text):
                check_size(line, "A line of the file")
        else:
            _check_values(text, array=False)


def _text(content: bytes, encoding: str | None, limit: int) -> bytes:
    """Return the text as a reader gets it, up to the first error."""
    if (encoding or encoding_of(content[:PEEK])) == "utf-8":
        return content
    found: list[bytes] = []
    size = 0
    try:
        with opened(io.BytesIO(content), encoding, packed=False) as file:
            while piece := file.read1(PEEK):
                found.append(piece)
                size += len(piece)
                if size > limit:
                    raise TooLarge(f"The file is over {limit} bytes as UTF-8.")
    except (UnicodeError, BadRequest):
        # The reader names its line.
        pass
    return b"".join(found)


def _end_of_blank(text: bytes) -> int:
    found = _BLANK.match(text)
    return found.end() if found else 0


def _line_end(text: bytes, at: int) -> int:
    end = text.find(b"\n", at)
    return len(text) if end < 0 else end


def _large_lines(text: bytes) -> Iterator[bytes]:
    """Yield the lines of `LARGE` bytes and more, without looking at each of the others."""
    at = 0
    while len(text) - at >= LARGE:
        cut = text.rfind(b"\n", at, at + LARGE)
        if cut >= 0:
            at = cut + 1
            continue
        end = _line_end(text, at + LARGE)
        yield text[at:end]
        at = end + 1


def _check_values(text: bytes, *, array: bool) -> None:
    """Check each large value: of those in an array, or of those that follow each other."""
    if len(text) < LARGE:
        return
    places = outline(text).places
    kinds = np.frombuffer(text, dtype=np.uint8)[places]
    # Values end at a comma of the array, or at a brace that closes the outermost object.
    ends = places[(kinds == ord(",")) if array else (kinds == ord("}")) | (kinds == ord("]"))]
    ends = np.concatenate([[0], ends, [len(text)]])
    for place in np.flatnonzero(np.diff(ends) >= LARGE).tolist():
        check_size(text[int(ends[place]) : int(ends[place + 1]) + 1], "A value of the file")
