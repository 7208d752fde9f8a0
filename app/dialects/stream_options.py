"""Requests the usage of a stream for a client that did not, and removes it from the events sent to that client."""

from __future__ import annotations

from typing import Any

import orjson

from .json_splice import member, with_member, without_member
from .sse import data_of

#: Spellings of the empty usage that providers put in every chunk but the last.
_NONE_YET = (b',"usage":null', b', "usage": null', b', "usage":null')


#: Members of a chunk that only repeat what other chunks have.
_OF_EVERY_CHUNK = frozenset(
    (
        "choices",
        "created",
        "id",
        "model",
        "object",
        "obfuscation",
        "provider",
        "service_tier",
        "system_fingerprint",
        "usage",
    )
)


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


def without_usage(event: bytes) -> bytes:
    """Return an event of a stream without the usage that `include_usage` adds, all else as it is.

    That is `"usage":null`, and the usage of a chunk without choices. The result is empty if the chunk has nothing else
    of its own. The usage of a chunk with choices comes unasked, and stays.
    """
    # Any letter of a key may be escaped: those of `usage` are \u0061 to \u0075.
    escaped = b"\\u006" in event or b"\\u007" in event
    if b'"usage"' not in event and not escaped:
        return event
    try:
        chunk = orjson.loads(data_of(event))
    except orjson.JSONDecodeError:
        return event
    if not isinstance(chunk, dict) or "usage" not in chunk:
        return event
    if chunk["usage"] is not None:
        if chunk.get("choices"):
            return event
        own = (value for name, value in chunk.items() if name not in _OF_EVERY_CHUNK)
        # Scalars repeat what other chunks have; objects such as llama.cpp's `timings` are news.
        return without_member(event, "usage") if any(isinstance(each, dict) and each for each in own) else b""
    if chunk["usage"] is None and not escaped and event.count(b'"usage"') == 1:
        # The one occurrence is the event's own member: within a text its quotes would be escaped.
        for none in _NONE_YET:
            if none in event:
                return event.replace(none, b"", 1)
    return without_member(event, "usage")
