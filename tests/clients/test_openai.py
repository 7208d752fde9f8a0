"""OpenAI's official client on chat, completions, embeddings and models."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest

from scripts.fake_provider.server import ANSWER, USAGE, streamed_text
from tests.support.clients import Front
from tests.support.proxy import STRONG
from tests.support.structured import CITY, Person

HELLO: Any = [{"role": "user", "content": "What is a café?"}]
TOOLS: Any = [
    {"type": "function", "function": {"name": name, "description": name, "strict": True, "parameters": CITY}}
    for name in ("weather", "time")
]


@pytest.fixture
async def client(front: Front) -> AsyncIterator[openai.AsyncOpenAI]:
    async with front.openai() as client:
        yield client


async def test_an_answer_comes_with_its_usage(client: openai.AsyncOpenAI, model: str) -> None:
    completion = await client.chat.completions.create(model=model, messages=HELLO)
    assert completion.choices[0].message.content == ANSWER
    usage = completion.usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (USAGE["prompt_tokens"], USAGE["completion_tokens"])
    assert usage.prompt_tokens_details is not None
    assert usage.prompt_tokens_details.cached_tokens == USAGE["cached_tokens"]


async def test_every_field_of_an_answer_survives(client: openai.AsyncOpenAI) -> None:
    completion = await client.chat.completions.create(model=STRONG, messages=HELLO)
    assert completion.model_extra is not None
    assert completion.model_extra["x_big"] == 123456789012345678901234567890


async def test_a_stream_adds_up_to_the_answer(client: openai.AsyncOpenAI, model: str) -> None:
    stream = await client.chat.completions.create(model=model, messages=HELLO, stream=True)
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == streamed_text()
    assert [chunk.usage for chunk in chunks] == [None] * len(chunks)


async def test_a_stream_has_usage_if_requested(client: openai.AsyncOpenAI, model: str) -> None:
    stream = await client.chat.completions.create(
        model=model, messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    *_, last = [chunk async for chunk in stream]
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.total_tokens == USAGE["total_tokens"]


async def test_the_streaming_helper_collects_the_answer(client: openai.AsyncOpenAI, model: str) -> None:
    async with client.chat.completions.stream(model=model, messages=HELLO) as stream:
        kinds = [event.type async for event in stream]
        completion = await stream.get_final_completion()
    assert kinds[-1] == "content.done"
    assert completion.choices[0].message.content == streamed_text()


async def test_a_structured_answer_is_parsed(client: openai.AsyncOpenAI, model: str) -> None:
    completion = await client.chat.completions.parse(model=model, messages=HELLO, response_format=Person)
    person = completion.choices[0].message.parsed
    assert person is not None
    assert person.tags


async def test_a_structured_answer_is_parsed_as_it_streams(client: openai.AsyncOpenAI, model: str) -> None:
    async with client.chat.completions.stream(model=model, messages=HELLO, response_format=Person) as stream:
        completion = await stream.get_final_completion()
    assert isinstance(completion.choices[0].message.parsed, Person)


async def test_tools_are_called_side_by_side(client: openai.AsyncOpenAI, model: str) -> None:
    completion = await client.chat.completions.create(model=model, messages=HELLO, tools=TOOLS, tool_choice="required")
    assert completion.choices[0].finish_reason == "tool_calls"
    calls = completion.choices[0].message.tool_calls or []
    assert [call.function.name for call in calls if call.type == "function"] == ["weather", "time"]


async def test_arguments_of_a_tool_stream_in_pieces(client: openai.AsyncOpenAI, model: str) -> None:
    choice: Any = {"type": "function", "function": {"name": "time"}}
    async with client.chat.completions.stream(model=model, messages=HELLO, tools=TOOLS, tool_choice=choice) as stream:
        kinds = [event.type async for event in stream]
        completion = await stream.get_final_completion()
    assert kinds.count("tool_calls.function.arguments.delta") > 1
    (call,) = completion.choices[0].message.tool_calls or []
    parsed: Any = call.function.parsed_arguments
    assert (call.function.name, parsed.keys()) == ("time", {"city"})


async def test_a_conversation_with_the_result_of_a_tool_goes_on(client: openai.AsyncOpenAI, model: str) -> None:
    first = await client.chat.completions.create(
        model=model, messages=HELLO, tools=TOOLS, tool_choice="required", parallel_tool_calls=False
    )
    (call,) = first.choices[0].message.tool_calls or []
    said: Any = first.choices[0].message.model_dump(exclude_none=True)
    result: Any = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
    second = await client.chat.completions.create(model=model, messages=[*HELLO, said, result], tools=TOOLS)
    assert second.choices[0].message.content == ANSWER


async def test_several_choices_come_when_asked(client: openai.AsyncOpenAI) -> None:
    completion = await client.chat.completions.create(model=STRONG, messages=HELLO, n=3)
    assert [choice.index for choice in completion.choices] == [0, 1, 2]


async def test_the_legacy_completion_is_served(client: openai.AsyncOpenAI) -> None:
    completion = await client.completions.create(model=STRONG, prompt=["one", "two"])
    assert [choice.text for choice in completion.choices] == [ANSWER, ANSWER]
    stream = await client.completions.create(model=STRONG, prompt="one", stream=True)
    assert "".join([chunk.choices[0].text async for chunk in stream]) == streamed_text()


async def test_embeddings_are_the_same_packed_and_plain(client: openai.AsyncOpenAI) -> None:
    # Without a format the client requests base64 and decodes it.
    packed = await client.embeddings.create(model=STRONG, input=["a text", "another"], dimensions=64)
    plain = await client.embeddings.create(
        model=STRONG, input=["a text", "another"], dimensions=64, encoding_format="float"
    )
    assert [len(row.embedding) for row in packed.data] == [64, 64]
    assert packed.data[1].embedding == pytest.approx(plain.data[1].embedding)


async def test_a_listed_model_can_be_retrieved(client: openai.AsyncOpenAI) -> None:
    models = [model async for model in client.models.list()]
    one = await client.models.retrieve(models[-1].id)
    assert (one.id, one.object) == (models[-1].id, "model")


async def test_a_raw_answer_gives_the_providers_headers(client: openai.AsyncOpenAI) -> None:
    raw = await client.chat.completions.with_raw_response.create(model=STRONG, messages=HELLO)
    assert raw.request_id == "req_fake"
    assert raw.parse().choices[0].message.content == ANSWER


async def test_the_client_that_blocks_is_served_too(front: Front) -> None:
    def ask() -> str | None:
        with openai.OpenAI(base_url=f"{front.url}/v1", api_key=front.key, max_retries=0) as client:
            return client.chat.completions.create(model=front.model("auto"), messages=HELLO).choices[0].message.content

    assert await asyncio.to_thread(ask) == ANSWER
