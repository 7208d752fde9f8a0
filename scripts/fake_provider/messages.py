"""Answers of Anthropic's `POST /v1/messages` and `/v1/messages/count_tokens`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from scripts.fake_provider.forced import Call, anthropic_calls, json_text
from scripts.fake_provider.plan import Plan
from scripts.fake_provider.spelling import ANSWER, USAGE, anthropic_error, deltas, event, odd, pieces_of
from scripts.fake_provider.wire import EVENTS, Pieces, reply

HEADERS = (b"request-id: req_fake", b"anthropic-organization-id: org_fake")
ERROR_EVENT = b"event: error\ndata: " + anthropic_error(529, "The fake upstream broke off.") + b"\n\n"


def message(body: dict[str, Any], model: str, plan: Plan) -> Pieces:
    """Return a message, whole or as the events of a stream; an error if a field that Anthropic requires is missing."""
    for field in ("model", "max_tokens", "messages"):
        if field not in body:
            return reply(400, anthropic_error(400, f"{field}: Field required"), plan, headers=HEADERS)
    wanted = (body.get("output_config") or {}).get("format") or body.get("output_format")
    thinks = (body.get("thinking") or {}).get("type") in ("enabled", "adaptive")
    return _message(model, plan, body.get("stream") is True, anthropic_calls(body), json_text(wanted), thinks)


def count_tokens(body: dict[str, Any], model: str, plan: Plan) -> Pieces:
    """Return the number of tokens of the prompt."""
    return reply(200, odd({"input_tokens": USAGE["prompt_tokens"]}), plan, headers=HEADERS)


@lru_cache(256)
def _message(model: str, plan: Plan, stream: bool, calls: tuple[Call, ...], text: str | None, thinks: bool) -> Pieces:
    stop = "max_tokens" if plan.incomplete else "tool_use" if calls else "end_turn"
    # Anthropic's input tokens exclude cached ones.
    usage: dict[str, Any] = {
        "input_tokens": USAGE["prompt_tokens"] - plan.cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": plan.cached,
        "output_tokens": USAGE["completion_tokens"] + plan.reasoning,
        "service_tier": "standard",
    }
    if plan.reasoning:
        usage["output_tokens_details"] = {"thinking_tokens": plan.reasoning}
    common = {"id": "msg_01fake", "type": "message", "role": "assistant", "model": model}
    if not stream:
        blocks = [{**start, **whole} for start, whole, _ in _blocks(ANSWER, calls, text, thinks)]
        fields = {**common, "content": blocks, "stop_reason": stop, "stop_sequence": None, "usage": usage}
        return reply(200, odd(fields), plan, headers=HEADERS)
    begun: dict[str, Any] = {
        **common,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**usage, "output_tokens": 1},
    }
    events = [event({"type": "message_start", "message": begun}, extra=True)]
    spoken = "".join(deltas(plan.chunks))
    for index, (start, _, kind) in enumerate(_blocks(spoken, calls, text, thinks)):
        events.append(event({"type": "content_block_start", "index": index, "content_block": start}))
        events += [event({"type": "ping"})] if not index else []
        at = {"type": "content_block_delta", "index": index}
        events += [event({**at, "delta": delta}) for delta in _deltas(kind, plan.chunks)]
        events.append(event({"type": "content_block_stop", "index": index}))
    ended = {"stop_reason": stop, "stop_sequence": None}
    reported = {"output_tokens": usage["output_tokens"]} if plan.terse else usage
    events.append(event({"type": "message_delta", "delta": ended, "usage": reported}))
    events.append(event({"type": "message_stop"}))
    return reply(200, tuple(events), plan, EVENTS, headers=HEADERS, error_event=ERROR_EVENT)


def _blocks(
    spoken: str, calls: tuple[Call, ...], text: str | None, thinks: bool
) -> Iterator[tuple[dict[str, Any], dict[str, Any], tuple[str, str]]]:
    """Return of each block: its start, its complete fields, and the field of its deltas with their text."""
    if thinks:
        thought = {"thinking": "Hm — é.", "signature": "ZmFrZQ=="}
        yield {"type": "thinking", "thinking": "", "signature": ""}, thought, ("thinking", "Hm — é.")
    if not calls:
        answer = spoken if text is None else text
        yield {"type": "text", "text": ""}, {"text": answer}, ("text", answer)
    for at, call in enumerate(calls):
        start = {"type": "tool_use", "id": f"toolu_fake{at}", "name": call.name, "input": {}}
        yield start, {"input": call.parsed}, ("partial_json", call.arguments)


def _deltas(kind: tuple[str, str], count: int) -> Iterator[dict[str, str]]:
    field, text = kind
    name = {"partial_json": "input_json_delta"}.get(field, f"{field}_delta")
    if field == "partial_json":
        yield {"type": name, field: ""}
    for piece in pieces_of(text, count):
        yield {"type": name, field: piece}
    if field == "thinking":
        yield {"type": "signature_delta", "signature": "ZmFrZQ=="}
