"""Anthropic's official client against the provider and the proxy."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anthropic
import pytest

from scripts.fake_provider.server import ANSWER, USAGE, streamed_text
from tests.support.clients import Front
from tests.support.proxy import STRONG
from tests.support.structured import CITY, Person

HELLO: Any = [{"role": "user", "content": "What is a café?"}]
TOOLS: Any = [{"name": name, "description": name, "input_schema": CITY} for name in ("weather", "time")]


@pytest.fixture
async def client(front: Front) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with front.anthropic() as client:
        yield client


def text_of(message: Any) -> str:
    """Return the text of a message's first block."""
    return str(message.content[0].text)


async def test_a_message_comes_with_its_usage(client: anthropic.AsyncAnthropic, model: str) -> None:
    message = await client.messages.create(model=model, messages=HELLO, max_tokens=99, system="Be short.")
    assert (text_of(message), message.stop_reason) == (ANSWER, "end_turn")
    usage = message.usage
    assert usage.input_tokens + (usage.cache_read_input_tokens or 0) == USAGE["prompt_tokens"]
    assert (usage.cache_read_input_tokens, usage.output_tokens) == (USAGE["cached_tokens"], USAGE["completion_tokens"])


async def test_every_field_of_a_message_survives(client: anthropic.AsyncAnthropic) -> None:
    message = await client.messages.create(model=STRONG, messages=HELLO, max_tokens=99)
    assert message.model_extra is not None
    assert message.model_extra["x_big"] == 123456789012345678901234567890


async def test_a_stream_has_an_event_for_every_step(client: anthropic.AsyncAnthropic, model: str) -> None:
    stream = await client.messages.create(model=model, messages=HELLO, max_tokens=99, stream=True)
    kinds = [event.type async for event in stream]
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]


async def test_the_streaming_helper_collects_the_message(client: anthropic.AsyncAnthropic, model: str) -> None:
    async with client.messages.stream(model=model, messages=HELLO, max_tokens=99) as stream:
        text = "".join([piece async for piece in stream.text_stream])
        message = await stream.get_final_message()
    assert text == text_of(message) == streamed_text()
    assert message.usage.output_tokens == USAGE["completion_tokens"]


async def test_a_message_that_was_thought_about_shows_its_thoughts(
    client: anthropic.AsyncAnthropic, model: str
) -> None:
    async with client.messages.stream(
        model=model, messages=HELLO, max_tokens=2000, thinking={"type": "enabled", "budget_tokens": 1024}
    ) as stream:
        message = await stream.get_final_message()
    assert [block.type for block in message.content] == ["thinking", "text"]


async def test_tools_are_used_side_by_side(client: anthropic.AsyncAnthropic, model: str) -> None:
    message = await client.messages.create(
        model=model, messages=HELLO, max_tokens=99, tools=TOOLS, tool_choice={"type": "any"}
    )
    assert message.stop_reason == "tool_use"
    assert [block.name for block in message.content if block.type == "tool_use"] == ["weather", "time"]


async def test_the_input_of_a_tool_streams_in_pieces(client: anthropic.AsyncAnthropic, model: str) -> None:
    async with client.messages.stream(
        model=model, messages=HELLO, max_tokens=99, tools=TOOLS, tool_choice={"type": "tool", "name": "time"}
    ) as stream:
        kinds = [event.type async for event in stream]
        message = await stream.get_final_message()
    assert kinds.count("input_json") > 1
    assert [block.input.keys() for block in message.content if block.type == "tool_use"] == [{"city"}]


async def test_a_conversation_with_the_result_of_a_tool_goes_on(client: anthropic.AsyncAnthropic, model: str) -> None:
    choice: Any = {"type": "any", "disable_parallel_tool_use": True}
    first = await client.messages.create(model=model, messages=HELLO, max_tokens=99, tools=TOOLS, tool_choice=choice)
    (used,) = [block for block in first.content if block.type == "tool_use"]
    said: Any = {"role": "assistant", "content": [used.model_dump(exclude_none=True)]}
    result: Any = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": used.id, "content": "sunny"}]}
    second = await client.messages.create(model=model, messages=[*HELLO, said, result], max_tokens=99, tools=TOOLS)
    assert text_of(second) == ANSWER


async def test_a_structured_message_is_parsed(client: anthropic.AsyncAnthropic, model: str) -> None:
    message = await client.messages.parse(model=model, messages=HELLO, max_tokens=99, output_format=Person)
    assert isinstance(message.parsed_output, Person)


async def test_tokens_are_counted_before_they_are_paid_for(client: anthropic.AsyncAnthropic, model: str) -> None:
    counted = await client.messages.count_tokens(model=model, messages=HELLO)
    assert counted.input_tokens == USAGE["prompt_tokens"]


async def test_an_error_in_the_middle_of_a_stream_is_raised(front: Front) -> None:
    told = {"x-fake": "error-after=4"}
    async with front.anthropic() as client:
        stream = await client.messages.create(
            model=STRONG, messages=HELLO, max_tokens=99, stream=True, extra_headers=told
        )
        with pytest.raises(anthropic.APIStatusError, match="The fake upstream broke off"):
            [event async for event in stream]


async def test_a_listed_model_can_be_retrieved(client: anthropic.AsyncAnthropic) -> None:
    models = [model.id async for model in client.models.list()]
    assert (await client.models.retrieve(models[-1])).id == models[-1]
