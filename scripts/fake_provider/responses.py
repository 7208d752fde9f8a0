"""OpenAI's `/v1/responses`: answers, and the store of earlier ones."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import orjson

from scripts.fake_provider.forced import json_text, openai_calls
from scripts.fake_provider.plan import Plan
from scripts.fake_provider.response import ECHOED, PLACEHOLDER, Shape, identified
from scripts.fake_provider.spelling import odd, openai_error
from scripts.fake_provider.wire import Pieces, reply


@dataclass(slots=True)
class Held:
    """A stored response, and its input."""

    shape: Shape
    items: list[dict[str, Any]]


class Responses:
    """The responses of one provider; `name` (up to 12 characters) is part of their identifiers."""

    def __init__(self, name: str, *, most: int = 1000) -> None:
        self.name = name or secrets.token_hex(4)
        self.most = most
        self.held: OrderedDict[str, Held] = OrderedDict()
        self.numbers = count(1)

    def create(self, body: dict[str, Any], model: str, plan: Plan) -> Pieces:
        """Create a response, whole or as a stream of typed events."""
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
        status = "incomplete" if plan.incomplete else "completed"
        shape = Shape(model, plan, echo, openai_calls(body), form, status)
        number = f"{self.name}{next(self.numbers):0{len(PLACEHOLDER) - len(self.name)}d}"
        if body.get("store") is not False:
            self._hold(f"resp_{number}", Held(shape, _items(body.get("input"), number)))
        if body.get("background") is True and body.get("stream") is not True:
            shape = replace(shape, status="queued")
        return identified(shape, body.get("stream") is True, number)

    def _hold(self, identifier: str, held: Held) -> None:
        self.held[identifier] = held
        if len(self.held) > self.most:
            self.held.popitem(last=False)

    def one(self, method: str, identifier: str, action: str, plan: Plan, stream: bool = False) -> Pieces:
        """Answer GET or DELETE of a response, `cancel` it, or list its `input_items`."""
        held = self.held.get(identifier)
        if held is None:
            body = openai_error(404, f"Response with id '{identifier}' not found.", code="not_found")
            return reply(404, body, plan)
        # Failures come from the plan of this request, contents from the plan of the creation.
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
