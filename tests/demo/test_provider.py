"""Promises of the demo provider, kept to the real `openai` client over a real socket."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import anthropic
import openai
import orjson
import pytest
import pytest_asyncio
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from app.demo import provider
from app.demo.recordings import MODELS, Recording, memory, recordings, showcase


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    app = Starlette(routes=[Mount("/demo/v1", routes=provider.routes)])
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none", lifespan="off"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/demo/v1"
        finally:
            server.should_exit = True
            thread.join(10)


@pytest_asyncio.fixture
async def client(base_url: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=base_url, api_key="unused", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def short() -> Recording:
    return min(showcase(), key=lambda recording: len(recording.answers["gpt-4o"].text))


def asked(prompt: str) -> Any:
    return [{"role": "user", "content": prompt}]


def test_300_recordings_are_taught_and_24_are_for_show() -> None:
    assert (len(recordings()), len(memory()), len(showcase())) == (324, 300, 24)
    assert {recording.id for recording in memory()}.isdisjoint(recording.id for recording in showcase())


def test_every_recording_has_an_answer_of_every_model() -> None:
    assert {tuple(recording.answers) for recording in recordings()} == {MODELS}


def test_every_recorded_answer_is_replayed_whole_with_its_own_tokens() -> None:
    for recording in recordings():
        for model, answer in recording.answers.items():
            reply = provider._reply({"model": model, "messages": asked(recording.prompt)})
            assert reply.text == "".join(reply.words()) == answer.text
            assert (reply.prompt_tokens, reply.completion_tokens) == (answer.prompt_tokens, answer.completion_tokens)


@pytest.mark.parametrize("model", MODELS)
async def test_a_bundled_prompt_gets_the_recorded_answer_of_its_model(
    client: openai.AsyncOpenAI, short: Recording, model: str
) -> None:
    completion = await client.chat.completions.create(model=model, messages=asked(f"\n{short.prompt}  "))
    answer = short.answers[model]
    assert (completion.model, completion.object) == (model, "chat.completion")
    assert completion.id.startswith("chatcmpl-")
    assert abs(completion.created - time.time()) < 60
    choice = completion.choices[0]
    assert (choice.message.role, choice.message.content, choice.finish_reason) == ("assistant", answer.text, "stop")
    assert completion.usage is not None
    assert completion.usage.completion_tokens == answer.completion_tokens
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens
    assert completion.usage.prompt_tokens_details is not None
    assert completion.usage.prompt_tokens_details.cached_tokens == 0
    assert completion.usage.completion_tokens_details is not None
    assert completion.usage.completion_tokens_details.reasoning_tokens == 0


async def test_the_last_user_message_chooses_the_recording(client: openai.AsyncOpenAI, short: Recording) -> None:
    messages: Any = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": [{"type": "text", "text": short.prompt}]},
    ]
    completion = await client.chat.completions.create(model="gpt-4o", messages=messages)
    assert completion.choices[0].message.content == short.answers["gpt-4o"].text


async def test_a_prompt_cut_into_messages_is_recognised_as_a_whole(client: openai.AsyncOpenAI) -> None:
    crux = min((row for row in recordings() if row.task == "crux"), key=lambda row: len(row.answers["gpt-4o"].text))
    instructions, _, question = crux.prompt.partition("\n")
    messages: Any = [{"role": "system", "content": instructions}, {"role": "user", "content": question}]
    completion = await client.chat.completions.create(model="gpt-4o", messages=messages)
    assert completion.choices[0].message.content == crux.answers["gpt-4o"].text


async def test_any_other_prompt_is_told_that_this_is_the_demo(client: openai.AsyncOpenAI) -> None:
    completion = await client.chat.completions.create(model="claude-3-5-haiku", messages=asked("What is the time?"))
    text = completion.choices[0].message.content or ""
    assert "demo provider" in text
    assert "OPENAI_API_KEY" in text
    assert "claude-3-5-haiku" in text
    assert completion.usage is not None
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (4, len(text) // 4)


async def test_a_stream_ends_with_usage_when_asked_for_it(client: openai.AsyncOpenAI, short: Recording) -> None:
    stream = await client.chat.completions.create(
        model="gpt-4o", messages=asked(short.prompt), stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    answer = short.answers["gpt-4o"]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == answer.text
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks[-3:-1]] == [None, "stop"]
    assert len({chunk.id for chunk in chunks}) == 1
    assert [chunk for chunk in chunks[:-1] if chunk.usage is not None] == []
    assert (chunks[-1].choices, chunks[-1].object) == ([], "chat.completion.chunk")
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == answer.completion_tokens


async def test_a_stream_has_no_usage_unless_asked_for_it(client: openai.AsyncOpenAI, short: Recording) -> None:
    stream = await client.chat.completions.create(model="gpt-4o", messages=asked(short.prompt), stream=True)
    chunks = [chunk async for chunk in stream]
    assert "usage" not in chunks[0].model_dump(exclude_unset=True)
    assert [len(chunk.choices) for chunk in chunks] == [1] * len(chunks)


async def test_the_clients_streaming_helper_understands_the_stream(
    client: openai.AsyncOpenAI, short: Recording
) -> None:
    async with client.chat.completions.stream(
        model="gpt-4o", messages=asked(short.prompt), stream_options={"include_usage": True}
    ) as stream:
        completion = await stream.get_final_completion()
    assert completion.choices[0].message.content == short.answers["gpt-4o"].text
    assert completion.usage is not None


async def test_a_stream_is_written_as_server_sent_events(base_url: str, short: Recording) -> None:
    body = {"model": "gpt-4o", "messages": asked(short.prompt), "stream": True}
    async with aiohttp.ClientSession() as session, session.post(f"{base_url}/chat/completions", json=body) as response:
        content = await response.read()
    events = content.split(b"\n\n")
    assert response.content_type == "text/event-stream"
    assert events[-2:] == [b"data: [DONE]", b""]
    assert all(orjson.loads(event.removeprefix(b"data: ")) for event in events[:-2])


async def test_an_answer_begins_soon_and_ends_within_two_seconds(client: openai.AsyncOpenAI) -> None:
    longest = max(recordings(), key=lambda recording: len(recording.answers["gpt-4o"].text.split()))
    start = time.perf_counter()
    stream = await client.chat.completions.create(model="gpt-4o", messages=asked(longest.prompt), stream=True)
    times = [time.perf_counter() - start async for _ in stream]
    assert times[0] < times[-1] / 2
    assert provider.PACE["gpt-4o"][0] <= times[0]
    assert times[-1] < 2.0


async def test_a_client_that_leaves_stops_the_answer(base_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    words = 0

    async def one_word(_: float) -> None:
        nonlocal words
        words += 1
        try:
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            ended.set()
            raise

    monkeypatch.setattr(provider, "_sleep_until", one_word)
    body = {"model": "gpt-4o", "messages": asked(max(recordings(), key=_length).prompt), "stream": True}
    async with aiohttp.ClientSession() as session:
        response = await session.post(f"{base_url}/chat/completions", json=body)
        await response.content.readline()
        response.close()
    assert await asyncio.to_thread(ended.wait, 5)
    assert words < 20


async def test_a_client_that_leaves_is_not_waited_for_without_a_stream(
    base_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[bool] = []
    abandoned = provider._abandoned

    async def watched(*arguments: Any) -> bool:
        left.append(await abandoned(*arguments))
        return left[-1]

    monkeypatch.setattr(provider, "_abandoned", watched)
    monkeypatch.setattr(provider, "_pace", lambda *_: (30.0, 0.0))
    async with aiohttp.ClientSession() as session:
        with pytest.raises(TimeoutError):
            await session.post(
                f"{base_url}/chat/completions",
                json={"model": "gpt-4o", "messages": asked("Hello")},
                timeout=aiohttp.ClientTimeout(0.2),
            )
    async with asyncio.timeout(5):
        while not left:
            await asyncio.sleep(0.01)
    assert left == [True]


async def test_several_choices_repeat_the_answer_and_are_all_counted(
    client: openai.AsyncOpenAI, short: Recording
) -> None:
    completion = await client.chat.completions.create(model="gpt-4o", messages=asked(short.prompt), n=3)
    answer = short.answers["gpt-4o"]
    assert [(choice.index, choice.message.content) for choice in completion.choices] == [
        (index, answer.text) for index in range(3)
    ]
    assert completion.usage is not None
    assert completion.usage.completion_tokens == 3 * answer.completion_tokens


async def test_a_token_limit_cuts_the_answer_and_says_so(client: openai.AsyncOpenAI, short: Recording) -> None:
    completion = await client.chat.completions.create(model="gpt-4o", messages=asked(short.prompt), max_tokens=10)
    choice = completion.choices[0]
    assert (choice.message.content, choice.finish_reason) == (short.answers["gpt-4o"].text[:40], "length")
    assert completion.usage is not None
    assert completion.usage.completion_tokens == 10


async def test_tools_and_formats_do_not_disturb_the_replay(client: openai.AsyncOpenAI, short: Recording) -> None:
    completion = await client.chat.completions.create(
        model="gpt-4o",
        messages=asked(short.prompt),
        logprobs=True,
        tools=[{"type": "function", "function": {"name": "look_up", "parameters": {}}}],
        response_format={"type": "json_object"},
    )
    assert completion.choices[0].message.content == short.answers["gpt-4o"].text


async def test_models_lists_the_recorded_models(client: openai.AsyncOpenAI) -> None:
    page = await client.models.list()
    assert [model.id for model in page.data] == list(MODELS)


async def test_an_unknown_model_is_not_found(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        await client.chat.completions.create(model="gpt-9", messages=asked("Hello"))
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    assert "gpt-9" in caught.value.message


@pytest.mark.parametrize(
    ("content", "param"),
    [
        (b"{not json", None),
        (b"[]", None),
        (b'{"messages": [{"role": "user", "content": "Hello"}]}', "model"),
        (b'{"model": "gpt-4o"}', "messages"),
        (b'{"model": "gpt-4o", "messages": []}', "messages"),
        (b'{"model": "gpt-4o", "messages": ["Hello"]}', "messages[0]"),
    ],
)
async def test_a_body_that_cannot_be_answered_is_refused_naming_the_field(
    base_url: str, content: bytes, param: str | None
) -> None:
    headers = {"content-type": "application/json"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{base_url}/chat/completions", data=content, headers=headers) as response,
    ):
        error = (await response.json())["error"]
    assert response.status == 400
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert error["message"]


async def test_a_message_without_text_does_not_break_the_answer(client: openai.AsyncOpenAI) -> None:
    image: Any = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    messages: Any = [{"role": "user", "content": [image]}, {"role": "assistant", "content": None}]
    completion = await client.chat.completions.create(model="gpt-4o", messages=messages)
    assert "demo provider" in (completion.choices[0].message.content or "")


def _length(recording: Recording) -> int:
    return len(recording.answers["gpt-4o"].text)


async def test_a_recorded_answer_comes_by_the_responses_api_too(client: openai.AsyncOpenAI, short: Recording) -> None:
    said = short.answers["gpt-4o"]
    answer = await client.responses.create(model="gpt-4o", input=short.prompt)
    assert (answer.output_text, answer.status) == (said.text, "completed")
    assert answer.usage is not None
    assert answer.usage.output_tokens == said.completion_tokens
    counted = await client.responses.input_tokens.count(model="gpt-4o", input=short.prompt)
    assert counted.input_tokens == answer.usage.input_tokens
    async with client.responses.stream(model="gpt-4o", input=asked(short.prompt)) as stream:
        deltas = [event.delta async for event in stream if event.type == "response.output_text.delta"]
        final = await stream.get_final_response()
    assert "".join(deltas) == final.output_text == said.text


async def test_a_recorded_answer_comes_by_anthropics_api_too(base_url: str, short: Recording) -> None:
    said = short.answers["gpt-4o"]
    root = base_url.removesuffix("/v1")
    async with anthropic.AsyncAnthropic(base_url=root, api_key="unused", max_retries=0) as client:
        ask = {"model": "gpt-4o", "max_tokens": 4000, "messages": asked(short.prompt)}
        answer = await client.messages.create(**ask)
        assert isinstance(answer.content[0], anthropic.types.TextBlock)
        assert (answer.content[0].text, answer.stop_reason) == (said.text, "end_turn")
        async with client.messages.stream(**ask) as stream:
            assert "".join([text async for text in stream.text_stream]) == said.text
        counted = await client.messages.count_tokens(model="gpt-4o", messages=asked(short.prompt))
        assert counted.input_tokens == answer.usage.input_tokens
        with pytest.raises(anthropic.NotFoundError):
            await client.messages.create(**{**ask, "model": "none"})
