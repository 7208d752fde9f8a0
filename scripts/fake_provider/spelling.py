"""Valid but unusual JSON, so that tests detect a proxy that re-serialises it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import orjson

from scripts.fake_provider.plan import CHUNKS, Plan

ANSWER = "Hello from the fake upstream — café, 日本 / 😀"
USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18, "cached_tokens": 3}
CREATED = 1700000000

ANSWER_JSON = rb'"Hello from the fake upstream \u2014 caf\u00e9, ' + "日本".encode() + rb' \/ \ud83d\ude00"'
ODD = (
    rb'"x_float":1.0, "x_exponent" : 1E+2,"x_big":123456789012345678901234567890,"x_small":-0.0,'
    rb' "x_unicode":"\u00e9\u0041\/","x_empty":{ }, "x_null":null'
)


def odd(fields: dict[str, Any], *, extra: bool = True) -> bytes:
    """Return `fields` as a JSON object with additional fields, escaped and spaced unlike any serialiser."""
    body = json.dumps(fields, separators=(",", " : ")).encode()
    return b"{ " + (ODD + b" ," if extra else b"") + body[1:]


def event(fields: dict[str, Any], *, named: bool = True, extra: bool = False) -> bytes:
    """Return a server-sent event; if `named`, its `type` is also in a line `event:`."""
    line = b"event: " + fields["type"].encode() + b"\n" if named else b""
    return line + b"data: " + odd(fields, extra=extra) + b"\n\n"


def streamed_text(chunks: int = CHUNKS) -> str:
    """Return the whole text of a stream of so many deltas."""
    return "".join(deltas(chunks))


def deltas(chunks: int) -> Iterator[str]:
    """Yield the deltas of that text."""
    return (f"é{number} " for number in range(chunks))


def pieces_of(text: str, count: int) -> Iterator[str]:
    """Split `text` into at most `count` pieces that are not empty."""
    size = max(1, -(-len(text) // max(1, count)))
    return (text[start : start + size] for start in range(0, len(text), size))


def chat_usage(plan: Plan) -> dict[str, Any]:
    """Return the usage of a chat completion; its completion tokens include reasoning tokens."""
    completion = USAGE["completion_tokens"] + plan.reasoning
    return {
        "prompt_tokens": USAGE["prompt_tokens"],
        "completion_tokens": completion,
        "total_tokens": USAGE["prompt_tokens"] + completion,
        "prompt_tokens_details": {"cached_tokens": plan.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": plan.reasoning},
        "x_ratio": 1.0,
    }


def usage_json(plan: Plan) -> bytes:
    """Return `chat_usage` as JSON, or null if the plan reports no usage."""
    return b"null" if plan.no_usage else odd(chat_usage(plan), extra=False)


def openai_error(status: int, message: str, *, param: str | None = None, code: str | None = None) -> bytes:
    """Return an error body in OpenAI's format, with unusual spacing."""
    kind, usual = {
        401: ("invalid_request_error", "invalid_api_key"),
        404: ("invalid_request_error", "model_not_found"),
        429: ("requests", "rate_limit_exceeded"),
    }.get(status, ("server_error" if status >= 500 else "invalid_request_error", None))
    return (
        b'{\n "error" : {"message":' + orjson.dumps(message) + b', "type":"' + kind.encode() + b'","param":'
        + orjson.dumps(param) + b',"code":' + orjson.dumps(code or usual) + b', "x_float":1.0}}\n'
    )  # fmt: skip


ANTHROPIC_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def anthropic_error(status: int, message: str) -> bytes:
    """Return an error body in Anthropic's format."""
    kind = ANTHROPIC_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    error = {"type": kind, "message": message}
    return odd({"type": "error", "error": error, "request_id": "req_fake"}, extra=False)
