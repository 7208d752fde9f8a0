"""Answers of `POST /v1/chat/completions` and of the older `POST /v1/completions`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import orjson

from scripts.fake_provider.forced import Call, json_text, openai_calls
from scripts.fake_provider.plan import Plan
from scripts.fake_provider.spelling import (
    ANSWER,
    ANSWER_JSON,
    CREATED,
    ODD,
    deltas,
    odd,
    openai_error,
    pieces_of,
    usage_json,
)
from scripts.fake_provider.wire import EVENTS, Pieces, reply

DONE = b"data: [DONE]\n\n"
ERROR_EVENT = b"data: " + openai_error(500, "The fake upstream broke off.").replace(b"\n", b"") + b"\n\n"


def chat(body: dict[str, Any], model: str, plan: Plan) -> Pieces:
    """Return the answer to a chat completion; from the cache, if the request forces no content."""
    stream = body.get("stream") is True
    include_usage = (body.get("stream_options") or {}).get("include_usage") is True
    forced = body.keys() & {"tools", "response_format", "n"}
    if not forced:
        return completion(model, plan, stream, include_usage)
    return completion(
        model,
        plan,
        stream,
        include_usage,
        body.get("n") or 1,
        openai_calls(body),
        json_text(body.get("response_format")),
    )


@lru_cache(256)
def completion(
    model: str,
    plan: Plan,
    stream: bool,
    include_usage: bool,
    n: int = 1,
    calls: tuple[Call, ...] = (),
    text: str | None = None,
) -> Pieces:
    """Return a chat completion as the pieces to write: one JSON body, or the events of a stream."""
    name = orjson.dumps(model)
    finish = b'"length"' if plan.incomplete else b'"tool_calls"' if calls else b'"stop"'
    if not stream:
        choices = b",".join(_choice(index, calls, text, finish) for index in range(n))
        body = (
            b'{ "id":"chatcmpl\\u002dfake",\n  "object": "chat.completion","created":1700000000, "model":' + name + b","
            b'"choices":[ ' + choices + b'],\t"usage":' + usage_json(plan) + b", " + ODD + b"}\n"
        )
        return reply(200, body, plan)
    head = b'data: {"id":"chatcmpl\\u002dfake", "object":"chat.completion.chunk","created":1700000000,"model":' + name
    head += b"," + ODD + b',"system_fingerprint":"fp_fake",'
    tail = b',"usage":null}\n\n' if include_usage else b"}\n\n"

    def event(index: int, delta: bytes, finish: bytes = b"null") -> bytes:
        choice = b'"choices":[{"index":%d,"delta":' % index + delta + b',"logprobs":null, "finish_reason":' + finish
        return head + choice + b"}]" + tail

    first = b'{"role":"assistant","content":null}' if calls else b'{"role":"assistant","content":"","refusal":null}'
    events = [b": fake upstream\n\n", *(event(index, first) for index in range(n))]
    for delta in _deltas(plan, calls, text):
        events += [event(index, delta) for index in range(n)]
    events += [event(index, b"{}", finish) for index in range(n)]
    if include_usage and not plan.no_usage:
        events.append(head + b'"choices":[] , "usage":' + usage_json(plan) + b"}\n\n")
    return reply(200, (*events, DONE), plan, EVENTS, error_event=ERROR_EVENT)


def _choice(index: int, calls: tuple[Call, ...], text: str | None, finish: bytes) -> bytes:
    content = b"null" if calls else ANSWER_JSON if text is None else json.dumps(text).encode()
    made = b""
    if calls:
        rows = [{"id": _id(at), "type": "function", "function": _function(call)} for at, call in enumerate(calls)]
        made = b',"tool_calls" : ' + json.dumps(rows).encode()
    return (
        b'{"index":%d,"message":{"role":"assistant","content":' % index + content + made + b',"refusal":null},'
        b'"logprobs":null,"finish_reason":' + finish + b"}"
    )


def _deltas(plan: Plan, calls: tuple[Call, ...], text: str | None) -> Iterator[bytes]:
    # Escaped and plain in turn: both are the same text, and a relay must not change the spelling.
    if not calls:
        pieces = deltas(plan.chunks) if text is None else pieces_of(text, plan.chunks)
        for number, piece in enumerate(pieces):
            spelt = orjson.dumps(piece) if number % 2 else json.dumps(piece).encode()
            yield b'{"content":' + spelt + b"}"
    for at, call in enumerate(calls):
        begun = {"index": at, "id": _id(at), "type": "function", "function": {"name": call.name, "arguments": ""}}
        yield odd({"tool_calls": [begun]}, extra=False)
        for piece in pieces_of(call.arguments, plan.chunks):
            yield odd({"tool_calls": [{"index": at, "function": {"arguments": piece}}]}, extra=False)


def _id(at: int) -> str:
    return f"call_fake{at}"


def _function(call: Call) -> dict[str, str]:
    return {"name": call.name, "arguments": call.arguments}


def text_completion(body: dict[str, Any], model: str, plan: Plan) -> Pieces:
    """Return the answer to a completion: `n` choices for each prompt."""
    prompt = body.get("prompt", "")
    prompts = len(prompt) if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int) else 1
    count = prompts * (body.get("n") or 1)
    finish = "length" if plan.incomplete else "stop"
    common = {"id": "cmpl-fake", "object": "text_completion", "created": CREATED, "model": model}
    if body.get("stream") is not True:
        choices = [_text_choice(index, ANSWER, finish) for index in range(count)]
        usage = orjson.loads(usage_json(plan))
        return reply(200, odd({**common, "choices": choices, "usage": usage}), plan)
    reported = (body.get("stream_options") or {}).get("include_usage") is True and not plan.no_usage
    rest: dict[str, Any] = {"usage": None} if reported else {}

    def event(choices: list[dict[str, Any]], **more: Any) -> bytes:
        return b"data: " + odd({**common, "choices": choices, **rest, **more}) + b"\n\n"

    events = [event([_text_choice(index, piece, None)]) for piece in deltas(plan.chunks) for index in range(count)]
    events += [event([_text_choice(index, "", finish)]) for index in range(count)]
    events += [event([], usage=orjson.loads(usage_json(plan)))] if reported else []
    return reply(200, (*events, DONE), plan, EVENTS, error_event=ERROR_EVENT)


def _text_choice(index: int, text: str, finish: str | None) -> dict[str, Any]:
    return {"text": text, "index": index, "logprobs": None, "finish_reason": finish}
