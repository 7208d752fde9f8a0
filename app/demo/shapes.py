"""The demo's answers in the shapes of OpenAI's Responses and Anthropic's Messages: whole, and as named events."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import orjson

#: An event, and whether it says a word, which takes its time.
Event = tuple[bytes, bool]


@dataclass(frozen=True, slots=True)
class Reply:
    """What will be answered `choices` times over, and how its tokens are counted."""

    model: str
    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    choices: int

    def usage(self) -> dict[str, Any]:
        completion = self.completion_tokens * self.choices
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": completion,
            "total_tokens": self.prompt_tokens + completion,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        }

    def words(self) -> list[str]:
        """The text in pieces of a word and the white space before it."""
        return re.findall(r"\s*\S+|\s+\Z", self.text)


def response(said: Reply) -> dict[str, Any]:
    """A whole answer of the Responses API."""
    return _response(said, _item(said.text), "completed" if said.finish_reason == "stop" else "incomplete")


def response_events(said: Reply) -> Iterator[Event]:
    """The same as a stream."""
    item = _item("")
    whole = _response(said, item, "in_progress")
    place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    text = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    done = {**text, "text": said.text}
    begun = {**whole, "output": [], "usage": None}
    finished = {**_item(said.text), "id": item["id"]}
    status = "completed" if said.finish_reason == "stop" else "incomplete"
    events: list[tuple[str, dict[str, Any]]] = [
        ("response.created", {"response": begun}),
        ("response.in_progress", {"response": begun}),
        ("response.output_item.added", {"output_index": 0, "item": {**item, "status": "in_progress", "content": []}}),
        ("response.content_part.added", {**place, "part": text}),
        *(("response.output_text.delta", {**place, "delta": word, "logprobs": []}) for word in said.words()),
        ("response.output_text.done", {**place, "text": said.text, "logprobs": []}),
        ("response.content_part.done", {**place, "part": done}),
        ("response.output_item.done", {"output_index": 0, "item": finished}),
        (f"response.{status}", {"response": {**whole, "status": status, "output": [finished]}}),
    ]
    for number, (kind, event) in enumerate(events):
        yield _named({"type": kind, **event, "sequence_number": number}), kind.endswith("delta")


def message(said: Reply) -> dict[str, Any]:
    """A whole answer of the Messages API."""
    return {
        "id": f"msg_{uuid4().hex[:24]}",
        "type": "message",
        "role": "assistant",
        "model": said.model,
        "content": [{"type": "text", "text": said.text}],
        "stop_reason": _stop(said),
        "stop_sequence": None,
        "usage": {
            "input_tokens": said.prompt_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": said.completion_tokens,
        },
    }


def message_events(said: Reply) -> Iterator[Event]:
    """The same as a stream."""
    whole = message(said)
    begun = {**whole, "content": [], "stop_reason": None, "usage": {**whole["usage"], "output_tokens": 1}}
    yield from _all(
        [
            {"type": "message_start", "message": begun},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "ping"},
        ]
    )
    for word in said.words():
        delta = {"type": "text_delta", "text": word}
        yield _named({"type": "content_block_delta", "index": 0, "delta": delta}), True
    yield from _all(
        [
            {"type": "content_block_stop", "index": 0},
            {
                "type": "message_delta",
                "delta": {"stop_reason": _stop(said), "stop_sequence": None},
                "usage": {"output_tokens": said.completion_tokens},
            },
            {"type": "message_stop"},
        ]
    )


def _response(said: Reply, item: dict[str, Any], status: str) -> dict[str, Any]:
    return {
        "id": f"resp_{uuid4().hex}",
        "object": "response",
        "created_at": int(time.time()),
        "status": status,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
        "instructions": None,
        "metadata": {},
        "model": said.model,
        "output": [item],
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": {
            "input_tokens": said.prompt_tokens,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": said.completion_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": said.prompt_tokens + said.completion_tokens,
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


def _stop(said: Reply) -> str:
    return "end_turn" if said.finish_reason == "stop" else "max_tokens"


def _all(events: Iterable[dict[str, Any]]) -> Iterator[Event]:
    return ((_named(event), False) for event in events)


def _named(event: dict[str, Any]) -> bytes:
    name: str = event["type"]
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(event) + b"\n\n"
