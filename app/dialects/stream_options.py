"""Requests the usage of a stream for a client that did not, and removes it from the events sent to that client."""

from __future__ import annotations

from typing import Any

import orjson

from app.dialects.json_splice import member, with_member, without_member
from app.dialects.sse import data_of

#: Spellings of the empty usage that providers put in every chunk but the last.
_NONE_YET = (b',"usage":null', b', "usage": null', b', "usage":null')


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
    """Return an event of a stream without its usage; empty if the event has nothing else. All other bytes stay."""
    if b'"usage"' not in event:
        return event
    try:
        chunk = orjson.loads(data_of(event))
    except orjson.JSONDecodeError:
        return event
    if not isinstance(chunk, dict) or "usage" not in chunk:
        return event
    if chunk.get("choices") == [] and chunk["usage"] is not None:
        return b""
    if chunk["usage"] is None and event.count(b'"usage"') == 1:
        # This is the only one: inside a JSON string its quotes would be escaped.
        for none in _NONE_YET:
            if none in event:
                return event.replace(none, b"", 1)
    return without_member(event, "usage")
