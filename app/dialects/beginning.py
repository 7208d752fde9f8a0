"""Recognises the beginning of an answer: the first event with content, or a whole JSON answer that is no error.

Bytes alone are no answer: a provider may send a head, comments, the role of the message or the response's envelope,
and then fail. Until an answer has begun, another model can still serve the request.
"""

from __future__ import annotations

import json
from typing import Any

import orjson

from .base import Dialect, object_at
from .sse import EventSplitter, data_of

#: What a stream of events begins with (HTML standard, 9.2.5).
FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")
#: The byte order mark, which a stream of events may begin with.
BOM = b"\xef\xbb\xbf"
_DONE = b"[DONE]"
_ERROR_NAMES = (b"event: error", b"event:error")
#: The list that an answer of each routed API has.
_MAIN = {"chat": "choices", "messages": "content", "responses": "output"}
#: Events of the Responses API that only announce content.
_ANNOUNCING = frozenset(("created", "in_progress", "queued", "content_part.added"))


def parsed_or_none(text: bytes) -> Any:
    """Return JSON parsed, that with halves of surrogate pairs and invalid UTF-8 too; None: it is none."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        try:
            return json.loads(text.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            return None


class StreamBeginning:
    """Reads a stream of events until it has begun, reports an error, or ends.

    `begun`: an event with content has come; `error`: the error that came instead, an object or a text.
    """

    __slots__ = ("_dialect", "_events", "_first", "begun", "error")

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._events = EventSplitter()
        self._first = True
        self.begun = False
        self.error: Any = None

    def feed(self, chunk: bytes) -> bool:
        """Add a chunk; return whether the outcome is known."""
        if self._first:
            chunk = chunk.removeprefix(BOM)
            self._first = not chunk
        return any(map(self._decides, self._events.feed(chunk)))

    def end(self) -> None:
        """Read what the stream ended with, if that is an event without the empty line behind it."""
        self._decides(self._events.rest())

    def _decides(self, event: bytes) -> bool:
        data = data_of(event)
        if not data:
            return False
        if data == _DONE:
            return True
        parsed = parsed_or_none(data)
        if not isinstance(parsed, dict):
            return False
        self.error = error_in(parsed, named_error=event.startswith(_ERROR_NAMES))
        self.begun = self.error is None and has_content(self._dialect, parsed)
        return self.begun or self.error is not None


def has_content(dialect: Dialect, event: dict[str, Any]) -> bool:
    """Return whether an event has content (text, reasoning, a refusal, a tool call) or regularly ends the answer."""
    kind = event.get("type")
    if dialect.name == "messages":
        if kind == "content_block_start":
            block = object_at(event, "content_block")
            return block.get("type") != "text" or bool(block.get("text"))
        delta = object_at(event, "delta")
        return kind == "message_delta" or (kind == "content_block_delta" and _has_members(delta, "type"))
    if dialect.name == "responses":
        if not isinstance(kind, str) or not kind.startswith("response."):
            return False
        step = kind.removeprefix("response.")
        if step == "output_item.added":
            return object_at(event, "item").get("type") != "message"
        return step not in _ANNOUNCING and event.get("delta") != ""
    choices = event.get("choices")
    return any(
        bool(choice.get("finish_reason") or choice.get("text"))
        or _has_members(object_at(choice, "delta") or object_at(choice, "message"), "role")
        for choice in (choices if isinstance(choices, list) else ())
        if isinstance(choice, dict)
    )


def _has_members(part: dict[str, Any], apart_from: str) -> bool:
    return any(value for name, value in part.items() if name != apart_from)


def error_in(answer: dict[str, Any], *, named_error: bool = False) -> Any:
    """Return the error that an answer, or an event of a stream, reports; None if it reports none.

    `named_error`: the event's name is `error`.
    """
    response = object_at(answer, "response")
    if response.get("status") == "failed":
        return response.get("error") or {"message": "The response failed."}
    if answer.get("error"):
        return answer["error"]
    if named_error or "error" in (answer.get("type"), answer.get("object")):
        return answer
    if answer.get("object") == "response" and answer.get("status") == "failed":
        return {"message": "The response failed."}
    choices = answer.get("choices")
    if isinstance(choices, list) and any(isinstance(c, dict) and c.get("finish_reason") == "error" for c in choices):
        return {"message": "The provider ended its answer with an error."}
    return None


def whole_answer(dialect: Dialect, body: bytes) -> dict[str, Any] | None:
    """Return a whole answer parsed, which may report an error; None if it is no answer of that API."""
    parsed = parsed_or_none(body)
    if not isinstance(parsed, dict):
        return None
    if error_in(parsed) is not None:
        return parsed
    main = parsed.get(_MAIN.get(dialect.name, ""))
    # A message may have no content; a completion without choices is none.
    return parsed if isinstance(main, list) and (main or dialect.name != "chat") else None


#: Parts of an error's type or code, and the HTTP status that they stand for.
_STATUS_OF = (
    ("rate_limit", 429), ("quota", 429), ("overloaded", 503), ("unavailable", 503), ("timeout", 504),
    ("authentication", 401), ("api_key", 401), ("billing", 402), ("permission", 403), ("not_found", 404),
    ("too_large", 413), ("context_length", 400), ("unsupported", 400), ("invalid_request", 400),
)  # fmt: skip


def error_status(error: Any) -> int:
    """Return the HTTP status of an error that came under status 200: by its code or type, else 502."""
    if not isinstance(error, dict):
        return 502
    inner = object_at(error, "error")
    names = [each.get(key) for each in (error, inner) for key in ("code", "status", "type")]
    numbers = [int(name) for name in names if isinstance(name, int) or (isinstance(name, str) and name.isdecimal())]
    for number in numbers:
        if 400 <= number < 600:
            return number
    text = " ".join(name for name in names if isinstance(name, str)).lower()
    return next((status for part, status in _STATUS_OF if part in text), 502)


def error_body(dialect: Dialect, error: Any) -> bytes:
    """Return the body of an error that came under status 200, in the format of the API."""
    found = error if isinstance(error, dict) else {"message": str(error)}
    if dialect.name == "messages":
        inner = object_at(found, "error") or found
        kind = inner.get("type") if isinstance(inner.get("type"), str) and inner["type"] != "error" else "api_error"
        return orjson.dumps({"type": "error", "error": {**inner, "type": kind}})
    inner = {name: value for name, value in found.items() if name not in ("object", "sequence_number")}
    return orjson.dumps({"error": {"type": "upstream_error", "param": None, "code": None, **inner}})
