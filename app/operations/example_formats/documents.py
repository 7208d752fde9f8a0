"""Reads JSON: one object a line, an array of objects, or a document that holds such an array."""

from __future__ import annotations

import codecs
import io
import json
import re
from collections.abc import Iterator
from itertools import chain
from typing import Any

import orjson

from ...errors import BadRequest
from .records import Record

#: Bytes of a JSON value, other than an array of values, that is held in memory.
LARGEST = 512 * 1024 * 1024
_CHUNK = 1024 * 1024
#: Members of a document that hold the records.
_WRAPPERS = ("results", "examples", "data", "scores", "traces", "observations", "runs", "feedback", "rows")
#: Spaces, not too many: a match keeps other threads waiting.
_SPACES = re.compile(r"[ \t\r\n]{0,65536}")


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number of JSON")


_decoder = json.JSONDecoder(parse_constant=_refuse_constant)


def records(file: io.BufferedReader) -> Iterator[Record]:
    """Yield the records of JSON text, whose lines count from 1."""
    line = 0
    for raw in file:
        line += 1
        if raw.strip():
            break
    else:
        return
    text = raw.lstrip()
    if text.startswith(b"["):
        yield from _unwrapped(_values(file, raw, line, array=True))
        return
    whole = is_json(text)
    following = b"" if whole else file.readline()
    if whole:
        yield from _unwrapped(_lines(chain([raw], file), line))
    elif following.lstrip().startswith(b"{"):
        # A line of JSONL that is broken.
        yield from _lines(chain([raw, following], file), line)
    else:
        yield from _unwrapped(_values(file, raw + following, line, array=False))


def is_json(text: bytes) -> bool:
    """Whether the text is a JSON value."""
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _lines(lines: Iterator[bytes] | chain[bytes], first: int) -> Iterator[Record]:
    for line, text in enumerate(lines, first):
        if not text.strip():
            continue
        try:
            row = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            text.decode()  # raises the error of another encoding, which has an option that helps
            yield Record(line, BadRequest(f"the line is not JSON: {error}."))
            continue
        yield Record(line, row if isinstance(row, dict) else BadRequest("the line is not a JSON object."))


def _values(file: io.BufferedReader, start: bytes, line: int, *, array: bool) -> Iterator[Record]:
    """Yield the values of an array, or values that follow each other, and hold one chunk of text beside a value."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    # The first line may end within no character, as lines end with one of their own.
    text, place, size = start.decode(), 0, _CHUNK
    if array:
        place = text.index("[") + 1
    counted = 0
    ended = False
    separate = False
    while True:
        while place < (after := _SPACES.match(text, place).end()):  # type: ignore[union-attr]
            place = after
        if place < len(text):
            character = text[place]
            if array and character == "]":
                if not (text[place + 1 :] + decoder.decode(file.read(), final=True)).strip():
                    break
                yield Record(line, BadRequest("there is text after the end of the JSON array."))
                break
            if array and separate and character == ",":
                place, separate = place + 1, False
                continue
            line, counted = line + text.count("\n", counted, place), place
            if not (array and separate):
                try:
                    value, end = _decoder.raw_decode(text, place)
                except (json.JSONDecodeError, RecursionError) as error:
                    if ended or _is_final(error, text):
                        at = getattr(error, "lineno", 1) - 1 - text.count("\n", 0, place)
                        yield Record(line + max(0, at), BadRequest(f"the text is not JSON: {_reason(error)}."))
                        break
                except ValueError as error:
                    yield Record(line, BadRequest(f"the text is not JSON: {error}."))
                    break
                else:
                    if not isinstance(value, dict):
                        yield Record(line, BadRequest("the value is not a JSON object."))
                    else:
                        yield Record(line, value)
                    place, separate, size = end, True, _CHUNK
                    continue
            else:
                yield Record(line, BadRequest("the text is not JSON: a comma is missing between two elements."))
                break
        elif ended:
            if array:
                yield Record(line, BadRequest("the text is not JSON: the array has no end."))
            break
        if len(text) - place > LARGEST:
            yield Record(line, BadRequest(f"a value has more than {LARGEST >> 20} MiB: convert the file to JSONL."))
            break
        # Twice as much each time, so that a long value is not decoded too often.
        line, more = line + text.count("\n", counted, place), file.read(size)
        text, place, counted = text[place:] + decoder.decode(more, final=not more), 0, 0
        size, ended = size * 2, not more


def _is_final(error: Exception, text: str) -> bool:
    """Whether more text would not help: the error lies before the end, and not at the start of an open string."""
    return not isinstance(error, json.JSONDecodeError) or (
        error.pos < len(text) - 16 and not error.msg.startswith("Unterminated string")
    )


def _reason(error: Exception) -> str:
    return error.msg if isinstance(error, json.JSONDecodeError) else "it is nested too deep"


def _unwrapped(found: Iterator[Record]) -> Iterator[Record]:
    """Yield the records, or, if the only record is a document with a list of records, those of the list."""
    first = next(found, None)
    if first is None:
        return
    second = next(found, None)
    inner = _inner(first.value) if second is None and isinstance(first.value, dict) else None
    if inner is None:
        yield first
        if second is not None:
            yield second
        yield from found
        return
    name, values = inner
    for position, value in enumerate(values):
        ok = isinstance(value, dict)
        place = f"{name}[{position}]"
        yield Record(first.line, value if ok else BadRequest("the element is not a JSON object."), place)


def _inner(document: dict[str, Any]) -> tuple[str, list[Any]] | None:
    for name in _WRAPPERS:
        value = document.get(name)
        path = name
        if isinstance(value, dict):
            path, value = f"{name}.{name}", value.get(name)
        if isinstance(value, list) and value and isinstance(value[0], dict) and not _is_record(document):
            return path, value
    return None


def _is_record(document: dict[str, Any]) -> bool:
    """Whether the document is one record that happens to hold a list, such as a trace with its scores."""
    return bool(document.keys() & {"prompt", "messages", "input", "inputs", "model_a"})
