"""The tokens of a prompt, and what a request needs."""

from __future__ import annotations

from typing import Any

import pytest

from app.dialects import CHAT, Dialect, prompt
from app.dialects.tokens import estimate
from app.routing.candidates import can_serve
from tests.support.models import model


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def met(known: dict[str, Any], tokens: int = 10, **body: Any) -> bool:
    reading = CHAT.read({"messages": [user("hi")], **body})
    return can_serve(model(**known), CHAT, reading, tokens)


def tokens_of(*messages: dict[str, Any], count: Any = len, dialect: Dialect = CHAT, **body: Any) -> int:
    return prompt.prompt_tokens(dialect.read({"messages": list(messages), **body}), count)


def test_what_a_request_needs_is_read_from_it() -> None:
    schema = {"type": "json_schema", "json_schema": {}}
    image = [user([{"type": "image_url", "image_url": {"url": "data:"}}])]
    assert not met({"tools": False}, tools=[{}])
    assert not met({"tools": False}, functions=[{}])
    assert not met({"json_schema": False}, response_format=schema)
    assert not met({"vision": False}, messages=image)
    assert met({"tools": False, "json_schema": False, "vision": False}, tools=[], response_format={"type": "text"})


def test_what_is_not_known_of_a_model_is_taken_as_a_yes() -> None:
    assert met({}, tools=[{}], response_format={"type": "json_schema"}, tokens=10**9)


def test_a_context_window_holds_the_prompt_with_a_margin_and_the_answer() -> None:
    assert met({"context_window": 1200}, tokens=1000)
    assert not met({"context_window": 1200}, tokens=1001)
    assert met({"context_window": 1200}, tokens=600, max_tokens=480)
    assert not met({"context_window": 1200}, tokens=600, max_tokens=481)
    assert not met({"context_window": 1200}, tokens=600, max_completion_tokens=481)
    assert met({"context_window": 1200}, tokens=600, max_tokens="many")


def test_the_prompt_is_its_text_with_the_frames_of_its_messages() -> None:
    words = "what is the capital of France? " * 20
    one = tokens_of(user(words))
    assert one == len(words) + 7
    assert tokens_of(user(words), user(words)) == 2 * len(words) + 11
    assert prompt.tokens_of(words) == tokens_of(user(words), count=estimate)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"tools": [{"function": {"name": "x" * 400}}]}, {}),
        ({"functions": [{"name": "x" * 400}]}, {}),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "x" * 400}}}, {}),
        ({}, {"tool_calls": [{"function": {"arguments": "x" * 400}}]}),
    ],
)
def test_the_other_fields_of_a_request_count_too(body: dict[str, Any], message: dict[str, Any]) -> None:
    plain = tokens_of(user("hello"))
    assert plain + 400 < tokens_of(user("hello") | message, **body) < plain + 500


@pytest.mark.parametrize(
    ("image", "tokens"), [({"url": "data:"}, 765), ({"url": "data:", "detail": "low"}, 85), ("odd", 765), (None, 765)]
)
def test_images_count_by_a_rule(image: Any, tokens: int) -> None:
    parts = [{"type": "text", "text": "hi"}, {"type": "image_url", "image_url": image}, "odd", {"type": "file"}]
    assert tokens_of(user(parts)) == tokens + tokens_of(user("hi"))
