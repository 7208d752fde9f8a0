"""Answers of OpenAI's Responses API: the JSON, or the events of a stream."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from scripts.fake_provider.forced import Call
from scripts.fake_provider.plan import Plan
from scripts.fake_provider.spelling import ANSWER, CREATED, USAGE, deltas, event, odd, pieces_of
from scripts.fake_provider.wire import EVENTS, Pieces, reply

#: Placeholder for a response's identifier in cached answers.
PLACEHOLDER = "fake-identifier-of-32-characters"
ERROR_EVENT = event(
    {"type": "error", "code": "server_error", "message": "The fake upstream broke off.", "param": None,
     "sequence_number": 0}
)  # fmt: skip
#: Fields that a response repeats from its request, with their defaults.
ECHOED: dict[str, Any] = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}


@dataclass(frozen=True, slots=True)
class Shape:
    """The contents of a response, without its identifier."""

    model: str
    plan: Plan
    echo: bytes
    calls: tuple[Call, ...]
    text: str | None
    status: str


def identified(shape: Shape, stream: bool, number: str) -> Pieces:
    """Return a response with its identifier filled in."""
    if shape.plan.gzip:
        return response.__wrapped__(shape, stream, number)
    own = number.encode()
    return tuple(piece.replace(PLACEHOLDER.encode(), own) for piece in response(shape, stream, PLACEHOLDER))


@lru_cache(256)
def response(shape: Shape, stream: bool, number: str) -> Pieces:
    """Return a response as the pieces to write: one JSON body, or the events of a stream."""
    plan = shape.plan
    done = _body(shape, number, ANSWER if shape.text is None else shape.text)
    if not stream:
        return reply(200, odd(done), plan)
    done = _body(shape, number, "".join(deltas(plan.chunks)) if shape.text is None else shape.text)
    begun = {**done, "status": "in_progress", "completed_at": None, "incomplete_details": None}
    begun |= {"output": [], "usage": None}
    sequence: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
    ]
    for index, item in enumerate(done["output"]):
        sequence += _item_events(index, item, plan)
    sequence.append({"type": f"response.{done['status']}", "response": done})
    events = [event({"type": one.pop("type"), "sequence_number": at, **one}) for at, one in enumerate(sequence)]
    return reply(200, tuple(events), plan, EVENTS, error_event=ERROR_EVENT)


def _body(shape: Shape, number: str, text: str) -> dict[str, Any]:
    output: list[dict[str, Any]] = []
    if shape.plan.reasoning:
        output.append({"id": f"rs_{number}", "type": "reasoning", "summary": []})
    for at, call in enumerate(shape.calls):
        made = {"id": f"fc_{number}_{at}", "type": "function_call", "status": "completed", "call_id": f"call_{at}"}
        output.append({**made, "name": call.name, "arguments": call.arguments})
    if not shape.calls:
        part = {"type": "output_text", "annotations": [], "logprobs": [], "text": text}
        message = {"id": f"msg_{number}", "type": "message", "status": "completed", "role": "assistant"}
        output.append({**message, "content": [part]})
    written = USAGE["completion_tokens"] + shape.plan.reasoning
    usage = {
        "input_tokens": USAGE["prompt_tokens"],
        "input_tokens_details": {"cached_tokens": shape.plan.cached, "cache_write_tokens": 0},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": shape.plan.reasoning},
        "total_tokens": USAGE["prompt_tokens"] + written,
    }
    completed, incomplete = shape.status == "completed", shape.status == "incomplete"
    if incomplete:
        output[-1]["status"] = "incomplete"
    return {
        "id": f"resp_{number}",
        "object": "response",
        "created_at": CREATED,
        "status": shape.status,
        "completed_at": CREATED + 1 if completed else None,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if incomplete else None,
        "model": shape.model,
        "output": output if completed or incomplete else [],
        "x_float": 1.0,
        **ECHOED,
        **orjson.loads(shape.echo),
        # In OpenAI's order: after the fields that may be long.
        "usage": usage if (completed or incomplete) and not shape.plan.no_usage else None,
    }


def _item_events(index: int, item: dict[str, Any], plan: Plan) -> list[dict[str, Any]]:
    """Return the events of one item of the output."""
    place = {"item_id": item["id"], "output_index": index}
    empty = {key: value for key, value in item.items() if key not in ("content", "arguments")}
    found: list[dict[str, Any]] = []
    if item["type"] == "message":
        part, at = item["content"][0], {**place, "content_index": 0}
        empty |= {"status": "in_progress", "content": []}
        found.append({"type": "response.content_part.added", **at, "part": {**part, "text": ""}})
        delta = {"type": "response.output_text.delta", **at, "logprobs": []}
        found += [{**delta, "delta": piece} for piece in pieces_of(part["text"], plan.chunks)]
        found.append({"type": "response.output_text.done", **at, "text": part["text"], "logprobs": []})
        found.append({"type": "response.content_part.done", **at, "part": part})
    if item["type"] == "function_call":
        empty |= {"status": "in_progress", "arguments": ""}
        delta = {"type": "response.function_call_arguments.delta", **place}
        found += [{**delta, "delta": piece} for piece in pieces_of(item["arguments"], plan.chunks)]
        found.append({"type": "response.function_call_arguments.done", **place, "arguments": item["arguments"]})
    added = {"type": "response.output_item.added", "output_index": index, "item": empty}
    return [added, *found, {"type": "response.output_item.done", "output_index": index, "item": item}]
