"""OpenAI's official client on responses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest

from scripts.fake_provider.server import ANSWER, USAGE, streamed_text
from tests.support.clients import Front
from tests.support.proxy import STRONG
from tests.support.structured import CITY, Person

ASK = "What is a café?"
TOOLS: Any = [{"type": "function", "name": name, "strict": True, "parameters": CITY} for name in ("weather", "time")]


@pytest.fixture
async def client(front: Front) -> AsyncIterator[openai.AsyncOpenAI]:
    async with front.openai() as client:
        yield client


@pytest.mark.parametrize("asked", [ASK, [{"role": "user", "content": [{"type": "input_text", "text": ASK}]}]])
async def test_a_response_comes_with_its_usage(client: openai.AsyncOpenAI, model: str, asked: Any) -> None:
    response = await client.responses.create(model=model, input=asked, instructions="Be short.")
    assert (response.output_text, response.instructions) == (ANSWER, "Be short.")
    usage = response.usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens) == (USAGE["prompt_tokens"], USAGE["completion_tokens"])
    assert usage.input_tokens_details.cached_tokens == USAGE["cached_tokens"]


async def test_reasoning_tokens_are_reported(client: openai.AsyncOpenAI, model: str) -> None:
    response = await client.responses.create(model=model, input=ASK, reasoning={"effort": "low"})
    assert response.usage is not None
    assert response.usage.output_tokens_details.reasoning_tokens > 0


async def test_a_stream_has_an_event_for_every_step(client: openai.AsyncOpenAI, model: str) -> None:
    events = [event async for event in await client.responses.create(model=model, input=ASK, stream=True)]
    kinds = [event.type for event in events]
    assert kinds[:4] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    assert kinds[-1] == "response.completed"
    assert [event.sequence_number for event in events] == list(range(len(events)))


async def test_the_streaming_helper_collects_the_response(client: openai.AsyncOpenAI, model: str) -> None:
    async with client.responses.stream(model=model, input=ASK) as stream:
        text = "".join([event.delta async for event in stream if event.type == "response.output_text.delta"])
        response = await stream.get_final_response()
    assert text == response.output_text == streamed_text()
    assert response.usage is not None
    assert response.usage.total_tokens == USAGE["total_tokens"]


async def test_a_structured_response_is_parsed(client: openai.AsyncOpenAI, model: str) -> None:
    response = await client.responses.parse(model=model, input=ASK, text_format=Person)
    assert isinstance(response.output_parsed, Person)


async def test_functions_are_called_side_by_side(client: openai.AsyncOpenAI, model: str) -> None:
    response = await client.responses.create(model=model, input=ASK, tools=TOOLS, tool_choice="required")
    assert [item.name for item in response.output if item.type == "function_call"] == ["weather", "time"]


async def test_arguments_of_a_function_stream_in_pieces(client: openai.AsyncOpenAI, model: str) -> None:
    async with client.responses.stream(model=model, input=ASK, tools=TOOLS, tool_choice="required") as stream:
        kinds = [event.type async for event in stream]
        response = await stream.get_final_response()
    assert kinds.count("response.function_call_arguments.delta") > 2
    parsed: Any = [item.parsed_arguments for item in response.output if item.type == "function_call"]
    assert [arguments.keys() for arguments in parsed] == [{"city"}, {"city"}]


async def test_a_conversation_goes_on_where_the_last_response_ended(client: openai.AsyncOpenAI, model: str) -> None:
    first = await client.responses.create(model=model, input=ASK)
    second = await client.responses.create(model=model, input="And why?", previous_response_id=first.id)
    assert second.previous_response_id == first.id
    assert second.id != first.id


async def test_an_unknown_conversation_is_refused(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await client.responses.create(model=STRONG, input=ASK, previous_response_id="resp_never")
    assert (caught.value.code, caught.value.param) == ("previous_response_not_found", "previous_response_id")


async def test_a_response_can_be_asked_for_again(client: openai.AsyncOpenAI, model: str) -> None:
    response = await client.responses.create(model=model, input=ASK)
    again = await client.responses.retrieve(response.id)
    assert again.model_dump() == response.model_dump()
    items: Any = [item async for item in client.responses.input_items.list(response.id)]
    assert [item.content[0].text for item in items] == [ASK]


async def test_a_response_in_the_background_is_waited_for_and_cancelled(client: openai.AsyncOpenAI, model: str) -> None:
    response = await client.responses.create(model=model, input=ASK, background=True)
    assert response.status == "queued"
    assert (await client.responses.retrieve(response.id)).status == "completed"
    assert (await client.responses.cancel(response.id)).status == "cancelled"


async def test_a_deleted_response_is_gone(client: openai.AsyncOpenAI, model: str) -> None:
    response = await client.responses.create(model=model, input=ASK)
    await client.responses.delete(response.id)
    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(response.id)


async def test_tokens_are_counted_before_they_are_paid_for(client: openai.AsyncOpenAI, model: str) -> None:
    counted = await client.responses.input_tokens.count(model=model, input=ASK)
    assert counted.input_tokens == USAGE["prompt_tokens"]
