"""Replies of the demo provider in the shapes of three APIs, as one object and as events of a stream."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any
from uuid import uuid4

import orjson

from .reply import Reply

FINGERPRINT = "fp_pgrouter_demo"

#: An event, and whether it carries a word of the text, which takes time.
Event = tuple[bytes, bool]


def completion(reply: Reply) -> dict[str, Any]:
    """Return a chat completion object."""
    message: dict[str, Any] = {"role": "assistant", "content": reply.text, "refusal": None, "annotations": []}
    choices = [
        {"index": index, "message": message, "logprobs": None, "finish_reason": reply.finish_reason}
        for index in range(reply.choices)
    ]
    return {**_envelope("chat.completion", reply), "choices": choices, "usage": reply.usage()}


def completion_events(reply: Reply, include_usage: bool) -> Iterator[Event]:
    """Yield the events of a stream of chat completion chunks, the last one with usage if `include_usage`."""
    envelope = _envelope("chat.completion.chunk", reply)
    if include_usage:
        envelope["usage"] = None

    def event(delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        choice = {"delta": delta, "logprobs": None, "finish_reason": finish_reason}
        chunks = ({**envelope, "choices": [{"index": index, **choice}]} for index in range(reply.choices))
        return b"".join(_unnamed(chunk) for chunk in chunks)

    yield event({"role": "assistant", "content": "", "refusal": None}), False
    for piece in reply.words():
        yield event({"content": piece}), True
    yield event({}, reply.finish_reason), False
    if include_usage:
        yield _unnamed({**envelope, "choices": [], "usage": reply.usage()}), False
    yield b"data: [DONE]\n\n", False


def response(reply: Reply) -> dict[str, Any]:
    """Return a response object of the Responses API."""
    return _response(reply, _item(reply.text), "completed" if reply.finish_reason == "stop" else "incomplete")


def response_events(reply: Reply) -> Iterator[Event]:
    """Yield the events of a stream of the Responses API."""
    item = _item("")
    whole = _response(reply, item, "in_progress")
    place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    text = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    done = {**text, "text": reply.text}
    begun = {**whole, "output": [], "usage": None}
    finished = {**_item(reply.text), "id": item["id"]}
    status = "completed" if reply.finish_reason == "stop" else "incomplete"
    events: list[tuple[str, dict[str, Any]]] = [
        ("response.created", {"response": begun}),
        ("response.in_progress", {"response": begun}),
        ("response.output_item.added", {"output_index": 0, "item": {**item, "status": "in_progress", "content": []}}),
        ("response.content_part.added", {**place, "part": text}),
        *(("response.output_text.delta", {**place, "delta": word, "logprobs": []}) for word in reply.words()),
        ("response.output_text.done", {**place, "text": reply.text, "logprobs": []}),
        ("response.content_part.done", {**place, "part": done}),
        ("response.output_item.done", {"output_index": 0, "item": finished}),
        (f"response.{status}", {"response": {**whole, "status": status, "output": [finished]}}),
    ]
    for number, (kind, event) in enumerate(events):
        yield _named({"type": kind, **event, "sequence_number": number}), kind.endswith("delta")


def message(reply: Reply) -> dict[str, Any]:
    """Return a message object of the Messages API."""
    return {
        "id": f"msg_{uuid4().hex[:24]}",
        "type": "message",
        "role": "assistant",
        "model": reply.model,
        "content": [{"type": "text", "text": reply.text}],
        "stop_reason": _stop(reply),
        "stop_sequence": None,
        "usage": {
            "input_tokens": reply.prompt_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": reply.completion_tokens,
        },
    }


def message_events(reply: Reply) -> Iterator[Event]:
    """Yield the events of a stream of the Messages API."""
    whole = message(reply)
    begun = {**whole, "content": [], "stop_reason": None, "usage": {**whole["usage"], "output_tokens": 1}}
    yield from _all(
        [
            {"type": "message_start", "message": begun},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "ping"},
        ]
    )
    for word in reply.words():
        delta = {"type": "text_delta", "text": word}
        yield _named({"type": "content_block_delta", "index": 0, "delta": delta}), True
    yield from _all(
        [
            {"type": "content_block_stop", "index": 0},
            {
                "type": "message_delta",
                "delta": {"stop_reason": _stop(reply), "stop_sequence": None},
                "usage": {"output_tokens": reply.completion_tokens},
            },
            {"type": "message_stop"},
        ]
    )


def _envelope(kind: str, reply: Reply) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{uuid4().hex[:29]}",
        "object": kind,
        "created": int(time.time()),
        "model": reply.model,
        "service_tier": "default",
        "system_fingerprint": FINGERPRINT,
    }


def _response(reply: Reply, item: dict[str, Any], status: str) -> dict[str, Any]:
    return {
        "id": f"resp_{uuid4().hex}",
        "object": "response",
        "created_at": int(time.time()),
        "status": status,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
        "instructions": None,
        "metadata": {},
        "model": reply.model,
        "output": [item],
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": {
            "input_tokens": reply.prompt_tokens,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": reply.completion_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": reply.prompt_tokens + reply.completion_tokens,
        },
    }


def _item(text: str) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]
    return {
        "id": f"msg_{uuid4().hex}",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": content,
    }


def _stop(reply: Reply) -> str:
    return "end_turn" if reply.finish_reason == "stop" else "max_tokens"


def _all(events: Iterable[dict[str, Any]]) -> Iterator[Event]:
    return ((_named(event), False) for event in events)


def _named(event: dict[str, Any]) -> bytes:
    name: str = event["type"]
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(event) + b"\n\n"


def _unnamed(chunk: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(chunk) + b"\n\n"
