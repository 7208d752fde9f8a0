"""Asks for the usage of a stream on behalf of a client that did not, and takes it out of what that client sees."""

from __future__ import annotations

from typing import Any

import orjson

from app.body import with_member
from app.sse import data_of

#: What a chunk says of usage until the last one, where it was asked for. Within a text its quotes would be escaped.
_NONE_YET = (b',"usage":null', b', "usage": null', b', "usage":null')


def with_usage(raw: bytes, body: dict[str, Any]) -> bytes:
    """`raw`, a request whose parsed form is `body`, with `stream_options.include_usage`; its other options stay."""
    options = body.get("stream_options")
    wanted = {**options, "include_usage": True} if isinstance(options, dict) else {"include_usage": True}
    return with_member(raw, "stream_options", orjson.dumps(wanted), there="stream_options" in body)


def without_usage(event: bytes) -> bytes:
    """An event of a stream without its usage: empty for the one that brings nothing else."""
    if b'"usage"' not in event:
        return event
    for said in _NONE_YET:
        if said in event:
            return event.replace(said, b"", 1)
    try:
        said = orjson.loads(data_of(event))
    except orjson.JSONDecodeError:
        return event
    if not isinstance(said, dict) or "usage" not in said:
        return event
    if said.get("choices") == [] and said["usage"] is not None:
        return b""
    del said["usage"]
    return b"data: " + orjson.dumps(said) + b"\n\n"
