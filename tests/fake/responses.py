"""OpenAI's `/v1/responses`: answers, and holds what it answered for those who ask for it again."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import count
from typing import Any

import orjson

from tests.fake.forced import Call, json_text, openai_calls
from tests.fake.plan import Plan
from tests.fake.spelling import ANSWER, CREATED, USAGE, deltas, event, odd, openai_error, pieces_of
from tests.fake.wire import EVENTS, Pieces, reply

#: Stands for a response's own identifier in answers that are remembered.
PLACEHOLDER = "fake-identifier-of-32-characters"
ERROR_EVENT = event(
    {"type": "error", "code": "server_error", "message": "The fake upstream broke off.", "param": None,
     "sequence_number": 0}
)  # fmt: skip
#: What a response repeats of its request, and what it says where nothing was asked for.
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
    """All that a response is made of but its identifier."""

    model: str
    plan: Plan
    echo: bytes
    calls: tuple[Call, ...]
    text: str | None
    status: str = "completed"


@dataclass(slots=True)
class Held:
    """A response that can be asked for again, and the input it answered."""

    shape: Shape
    items: list[dict[str, Any]]


class Responses:
    """The responses of one upstream; `name` (up to 12 characters) is in the identifiers it gives out."""

    def __init__(self, name: str, *, most: int = 1000) -> None:
        self.name = name or secrets.token_hex(4)
        self.most = most
        self.held: OrderedDict[str, Held] = OrderedDict()
        self.numbers = count(1)

    def create(self, body: dict[str, Any], model: str, plan: Plan) -> Pieces:
        """A new response, whole or as a stream of typed events."""
        previous = body.get("previous_response_id")
        if previous is not None and previous not in self.held:
            message = f"Previous response with id '{previous}' not found."
            code = "previous_response_not_found"
            return reply(400, openai_error(400, message, param="previous_response_id", code=code), plan)
        if "input" not in body and previous is None and "prompt" not in body:
            code = "missing_required_parameter"
            return reply(400, openai_error(400, "Missing required parameter: 'input'.", param="input", code=code), plan)
        echo = orjson.dumps({key: body[key] for key in ECHOED if body.get(key) is not None})
        form = json_text((body.get("text") or {}).get("format"))
        if (body.get("reasoning") or {}).get("effort") not in (None, "none") and not plan.reasoning:
            plan = replace(plan, reasoning=64)
        shape = Shape(model, plan, echo, openai_calls(body), form)
        number = f"{self.name}{next(self.numbers):0{len(PLACEHOLDER) - len(self.name)}d}"
        if body.get("store") is not False:
            self._hold(f"resp_{number}", Held(shape, _items(body.get("input"), number)))
        if body.get("background") is True:
            shape = replace(shape, status="queued")
        return identified(shape, body.get("stream") is True, number)

    def _hold(self, identifier: str, held: Held) -> None:
        self.held[identifier] = held
        if len(self.held) > self.most:
            self.held.popitem(last=False)

    def one(self, method: str, identifier: str, action: str, plan: Plan, stream: bool = False) -> Pieces:
        """GET or DELETE of one response, `cancel` it, or its `input_items`."""
        held = self.held.get(identifier)
        if held is None:
            body = openai_error(404, f"Response with id '{identifier}' not found.", code="not_found")
            return reply(404, body, plan)
        # Faults are this request's own; what the answer was made of is that of its making.
        made = held.shape.plan
        plan = replace(plan, reasoning=made.reasoning, cached=made.cached, chunks=made.chunks)
        match method, action:
            case "GET", "":
                return identified(replace(held.shape, plan=plan), stream, identifier.removeprefix("resp_"))
            case "DELETE", "":
                del self.held[identifier]
                return reply(200, odd({"id": identifier, "object": "response", "deleted": True}), plan)
            case "GET", "input_items":
                ends = {"first_id": held.items[0]["id"], "last_id": held.items[-1]["id"]} if held.items else {}
                return reply(200, odd({"object": "list", "data": held.items, "has_more": False, **ends}), plan)
            case "POST", "cancel":
                if orjson.loads(held.shape.echo).get("background") is not True:
                    return reply(400, openai_error(400, "Cannot cancel a synchronous response."), plan)
                held.shape = replace(held.shape, status="cancelled")
                return identified(replace(held.shape, plan=plan), False, identifier.removeprefix("resp_"))
        return reply(404, openai_error(404, f"Invalid URL ({method} /v1/responses/{identifier}/{action})"), plan)


def _items(given: Any, number: str) -> list[dict[str, Any]]:
    given = [{"role": "user", "content": given}] if isinstance(given, str) else given or []
    items = []
    for at, item in enumerate(given):
        item = {"type": "message", **item} if "role" in item else item
        if isinstance(item.get("content"), str):
            item = {**item, "content": [{"type": "input_text", "text": item["content"]}]}
        items.append({"id": f"item_{number}_{at}", **item})
    return items


def identified(shape: Shape, stream: bool, number: str) -> Pieces:
    """A response under its own identifier."""
    if shape.plan.gzip:
        return response.__wrapped__(shape, stream, number)
    own = number.encode()
    return tuple(piece.replace(PLACEHOLDER.encode(), own) for piece in response(shape, stream, PLACEHOLDER))


@lru_cache(256)
def response(shape: Shape, stream: bool, number: str) -> Pieces:
    """A response as the pieces to write: one JSON body, or the events of a stream."""
    plan = shape.plan
    done = _body(shape, number, ANSWER if shape.text is None else shape.text)
    if not stream:
        return reply(200, odd(done), plan)
    done = _body(shape, number, "".join(deltas(plan.chunks)) if shape.text is None else shape.text)
    begun = {**done, "status": "in_progress", "completed_at": None, "output": [], "usage": None}
    told: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
    ]
    for index, item in enumerate(done["output"]):
        told += _told(index, item, plan)
    told.append({"type": f"response.{done['status']}", "response": done})
    events = [event({"type": one.pop("type"), "sequence_number": at, **one}) for at, one in enumerate(told)]
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
        said = {"id": f"msg_{number}", "type": "message", "status": "completed", "role": "assistant"}
        output.append({**said, "content": [part]})
    written = USAGE["completion_tokens"] + shape.plan.reasoning
    usage = {
        "input_tokens": USAGE["prompt_tokens"],
        "input_tokens_details": {"cached_tokens": shape.plan.cached, "cache_write_tokens": 0},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": shape.plan.reasoning},
        "total_tokens": USAGE["prompt_tokens"] + written,
    }
    completed = shape.status == "completed"
    return {
        "id": f"resp_{number}",
        "object": "response",
        "created_at": CREATED,
        "status": shape.status,
        "completed_at": CREATED + 1 if completed else None,
        "error": None,
        "incomplete_details": None,
        "model": shape.model,
        "output": output if completed else [],
        "usage": usage if completed and not shape.plan.no_usage else None,
        "x_float": 1.0,
        **ECHOED,
        **orjson.loads(shape.echo),
    }


def _told(index: int, item: dict[str, Any], plan: Plan) -> list[dict[str, Any]]:
    """The events that tell of one item of the output."""
    place = {"item_id": item["id"], "output_index": index}
    empty = {key: value for key, value in item.items() if key not in ("content", "arguments")}
    told: list[dict[str, Any]] = []
    if item["type"] == "message":
        part, at = item["content"][0], {**place, "content_index": 0}
        empty |= {"status": "in_progress", "content": []}
        told.append({"type": "response.content_part.added", **at, "part": {**part, "text": ""}})
        said = {"type": "response.output_text.delta", **at, "logprobs": []}
        told += [{**said, "delta": piece} for piece in pieces_of(part["text"], plan.chunks)]
        told.append({"type": "response.output_text.done", **at, "text": part["text"], "logprobs": []})
        told.append({"type": "response.content_part.done", **at, "part": part})
    if item["type"] == "function_call":
        empty |= {"status": "in_progress", "arguments": ""}
        said = {"type": "response.function_call_arguments.delta", **place}
        told += [{**said, "delta": piece} for piece in pieces_of(item["arguments"], plan.chunks)]
        told.append({"type": "response.function_call_arguments.done", **place, "arguments": item["arguments"]})
    added = {"type": "response.output_item.added", "output_index": index, "item": empty}
    return [added, *told, {"type": "response.output_item.done", "output_index": index, "item": item}]
