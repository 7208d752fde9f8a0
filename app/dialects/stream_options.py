"""Requests the usage of a stream for a client that did not, and removes it from the events sent to that client."""

from __future__ import annotations

from collections import deque
from typing import Any

import orjson

from .json_splice import member, with_member, without_member
from .sse import data_of

#: Spellings of the empty usage that providers put in every chunk but the last.
_NONE_YET = (b',"usage":null', b', "usage": null', b', "usage":null')


#: Members of OpenAI's chunks, which say nothing that is new in the chunk with the usage.
_STANDARD = frozenset(
    ("choices", "created", "id", "model", "object", "obfuscation", "service_tier", "system_fingerprint", "usage")
)
#: Earlier chunks of a stream that a chunk with usage is compared with: so many of the first, and of the latest.
_FIRST, _LATEST = 2, 4


def asks_for_usage(body: dict[str, Any]) -> bool:
    """Return whether a request asks for usage in its own way, so that all usage in the answer is the client's.

    That is `stream_options.include_usage`, any other option of that name's kind (`continuous_usage_stats`), or a member
    of the body such as OpenRouter's `usage: {"include": true}`.
    """
    options = body.get("stream_options")
    named = [body, options] if isinstance(options, dict) else [body]
    found = [value for each in named for name, value in each.items() if "usage" in name]
    return any(any(value.values()) if isinstance(value, dict) else bool(value) for value in found)


def with_usage(raw: bytes, body: dict[str, Any]) -> bytes:
    """Return the request `raw` with `stream_options.include_usage` set; `body` is `raw` parsed.

    Other stream options stay.
    """
    options = body.get("stream_options")
    new_options = b'{"include_usage":true}'
    if isinstance(options, dict):
        given = member(raw, "stream_options")
        new_options = with_member(given, "include_usage", b"true", there="include_usage" in options)
    return with_member(raw, "stream_options", new_options, there="stream_options" in body)


class UsageFilter:
    """Takes out of one stream what `include_usage` adds to it, and leaves all else as it is.

    That is `"usage":null`, and the usage of a chunk without choices. That chunk is dropped if it has nothing else that
    earlier chunks did not have. Usage beside choices comes unasked, and stays; if it comes before the answer's end, the
    provider reports it by itself, and the last usage stays too.
    """

    __slots__ = ("_first", "_latest", "_unasked")

    def __init__(self) -> None:
        self._first: list[bytes] = []
        self._latest: deque[bytes] = deque(maxlen=_LATEST)
        self._unasked = False

    def feed(self, event: bytes) -> bytes:
        """Return an event without the usage that only the router asked for; empty if nothing else is in it."""
        # Any letter of a key may be escaped: those of `usage` are \u0061 to \u0075.
        escaped = b"\\u006" in event or b"\\u007" in event
        if b'"usage"' not in event and not escaped:
            self._remember(event)
            return event
        chunk = _parsed(event)
        if chunk is None or "usage" not in chunk:
            self._remember(event)
            return event
        if chunk["usage"] is not None:
            choices = chunk.get("choices")
            if choices:
                self._unasked = self._unasked or not _finishes(choices)
                self._remember(event)
                return event
            if self._unasked:
                return event
            return without_member(event, "usage") if self._has_news(chunk) else b""
        self._remember(event)
        if not escaped and event.count(b'"usage"') == 1:
            # The one occurrence is the event's own member: within a text its quotes would be escaped.
            for none in _NONE_YET:
                if none in event:
                    return event.replace(none, b"", 1)
        return without_member(event, "usage")

    def _remember(self, event: bytes) -> None:
        if len(self._first) < _FIRST:
            self._first.append(event)
        else:
            self._latest.append(event)

    def _has_news(self, chunk: dict[str, Any]) -> bool:
        """Return whether a chunk has a member with a value that earlier chunks had not, or of another type."""
        news = {name: value for name, value in chunk.items() if name not in _STANDARD and value not in _EMPTY}
        if not news:
            return False
        earlier = [each for each in map(_parsed, (*self._first, *self._latest)) if each is not None]
        return any(
            not any(name in each and _same_type(each[name], value) for each in earlier) for name, value in news.items()
        )


_EMPTY: tuple[Any, ...] = (None, "", [], {})


def _same_type(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return type(one) is type(other)
    numbers = isinstance(one, int | float) and isinstance(other, int | float)
    return numbers or type(one) is type(other)


def _finishes(choices: Any) -> bool:
    return isinstance(choices, list) and any(isinstance(each, dict) and each.get("finish_reason") for each in choices)


def _parsed(event: bytes) -> dict[str, Any] | None:
    try:
        chunk = orjson.loads(data_of(event))
    except orjson.JSONDecodeError:
        return None
    return chunk if isinstance(chunk, dict) else None


def without_usage(event: bytes) -> bytes:
    """Return the only event of a stream without the usage that `include_usage` adds, as `UsageFilter` does."""
    return UsageFilter().feed(event)
