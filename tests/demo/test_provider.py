"""The demo provider, called by the real `openai` client over a real socket."""

from __future__ import annotations

import asyncio
import shlex
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
from app.demo.dataset import Example, examples, showcase
from app.demo.models import BY_NAME, MODELS
from app.demo.reply import reply_to
from app.demo.samples import SAMPLES
from app.dialects import CHAT
from app.dialects.prompt import prompt_tokens, tokens_of
from app.dialects.tokens import estimate


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
def short() -> Example:
    """The showcase example with the shortest answer of more than 10 tokens."""
    return min(
        (example for example in showcase() if example.answers["demo-large"].tokens > 10),
        key=lambda example: example.answers["demo-large"].tokens,
    )


def asked(prompt: str) -> Any:
    return [{"role": "user", "content": prompt}]


def test_every_recorded_answer_is_replayed_whole_with_its_own_tokens() -> None:
    for example in examples():
        for model, answer in example.answers.items():
            reply = reply_to({"model": model, "messages": asked(example.prompt)}, "http://host/v1")
            assert reply.text == "".join(reply.words()) == answer.text
            assert (reply.prompt_tokens, reply.completion_tokens) == (example.prompt_tokens, answer.tokens)


@pytest.mark.parametrize("model", MODELS)
async def test_a_bundled_prompt_gets_the_recorded_answer_of_its_model(
    client: openai.AsyncOpenAI, short: Example, model: str
) -> None:
    completion = await client.chat.completions.create(model=model, messages=asked(f"\n{short.prompt}  "))
    answer = short.answers[model]
    assert (completion.model, completion.object) == (model, "chat.completion")
    assert completion.id.startswith("chatcmpl-")
    assert abs(completion.created - time.time()) < 60
    choice = completion.choices[0]
    assert (choice.message.role, choice.message.content, choice.finish_reason) == ("assistant", answer.text, "stop")
    assert completion.usage is not None
    assert completion.usage.completion_tokens == answer.tokens
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens
    assert completion.usage.prompt_tokens_details is not None
    assert completion.usage.prompt_tokens_details.cached_tokens == 0
    assert completion.usage.completion_tokens_details is not None
    assert completion.usage.completion_tokens_details.reasoning_tokens == 0


async def test_the_last_user_message_chooses_the_recording(client: openai.AsyncOpenAI, short: Example) -> None:
    messages: Any = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": [{"type": "text", "text": short.prompt}]},
    ]
    completion = await client.chat.completions.create(model="demo-large", messages=messages)
    assert completion.choices[0].message.content == short.answers["demo-large"].text


async def test_a_prompt_cut_into_messages_is_recognised_as_a_whole(client: openai.AsyncOpenAI) -> None:
    example = next(example for example in examples() if example.id == "extracting-fields-36")
    instructions, _, text = example.prompt.partition("\n")
    messages: Any = [{"role": "system", "content": instructions}, {"role": "user", "content": text}]
    completion = await client.chat.completions.create(model="demo-large", messages=messages)
    assert completion.choices[0].message.content == example.answers["demo-large"].text


async def test_any_other_prompt_gets_an_answer_that_says_what_to_try(client: openai.AsyncOpenAI, base_url: str) -> None:
    completion = await client.chat.completions.create(model="demo-medium", messages=asked("What is the time?"))
    text = completion.choices[0].message.content or ""
    for part in ("demo provider", "demo-medium", "OPENAI_API_KEY", "pgrouter provider add"):
        assert part in text
    assert "unused" not in text, "the key of the request is never repeated"
    root = base_url.removesuffix("/demo/v1")
    commands = [shlex.split(line) for line in text.splitlines() if line.startswith("curl ")]
    assert [command[2] for command in commands] == [f"{root}/v1/chat/completions"] * 3
    assert [orjson.loads(command[-1]) for command in commands] == [sample.body() for sample in SAMPLES]
    assert all("Authorization: Bearer $PGROUTER_KEY" in command for command in commands)
    assert completion.usage is not None
    assert completion.usage.completion_tokens == round(estimate(text))
    assert completion.usage.prompt_tokens == tokens_of("What is the time?")


async def test_a_stream_ends_with_usage_when_asked_for_it(client: openai.AsyncOpenAI, short: Example) -> None:
    stream = await client.chat.completions.create(
        model="demo-large", messages=asked(short.prompt), stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    answer = short.answers["demo-large"]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == answer.text
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks[-3:-1]] == [None, "stop"]
    assert len({chunk.id for chunk in chunks}) == 1
    assert [chunk for chunk in chunks[:-1] if chunk.usage is not None] == []
    assert (chunks[-1].choices, chunks[-1].object) == ([], "chat.completion.chunk")
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == answer.tokens


async def test_a_stream_has_no_usage_unless_asked_for_it(client: openai.AsyncOpenAI, short: Example) -> None:
    stream = await client.chat.completions.create(model="demo-large", messages=asked(short.prompt), stream=True)
    chunks = [chunk async for chunk in stream]
    assert "usage" not in chunks[0].model_dump(exclude_unset=True)
    assert [len(chunk.choices) for chunk in chunks] == [1] * len(chunks)


async def test_the_clients_streaming_helper_understands_the_stream(client: openai.AsyncOpenAI, short: Example) -> None:
    async with client.chat.completions.stream(
        model="demo-large", messages=asked(short.prompt), stream_options={"include_usage": True}
    ) as stream:
        completion = await stream.get_final_completion()
    assert completion.choices[0].message.content == short.answers["demo-large"].text
    assert completion.usage is not None


async def test_a_stream_is_written_as_server_sent_events(base_url: str, short: Example) -> None:
    body = {"model": "demo-large", "messages": asked(short.prompt), "stream": True}
    async with aiohttp.ClientSession() as session, session.post(f"{base_url}/chat/completions", json=body) as response:
        content = await response.read()
    events = content.split(b"\n\n")
    assert response.content_type == "text/event-stream"
    assert events[-2:] == [b"data: [DONE]", b""]
    assert all(orjson.loads(event.removeprefix(b"data: ")) for event in events[:-2])


async def test_an_answer_begins_soon_and_ends_within_two_seconds(client: openai.AsyncOpenAI) -> None:
    longest = max(examples(), key=lambda example: len(example.answers["demo-large"].text.split()))
    start = time.perf_counter()
    stream = await client.chat.completions.create(model="demo-large", messages=asked(longest.prompt), stream=True)
    times = [time.perf_counter() - start async for _ in stream]
    assert times[0] < times[-1] / 2
    assert BY_NAME["demo-large"].first_token <= times[0]
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
    body = {"model": "demo-large", "messages": asked(max(examples(), key=_length).prompt), "stream": True}
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
                json={"model": "demo-large", "messages": asked("Hello")},
                timeout=aiohttp.ClientTimeout(0.2),
            )
    async with asyncio.timeout(5):
        while not left:
            await asyncio.sleep(0.01)
    assert left == [True]


async def test_several_choices_repeat_the_answer_and_are_all_counted(
    client: openai.AsyncOpenAI, short: Example
) -> None:
    completion = await client.chat.completions.create(model="demo-large", messages=asked(short.prompt), n=3)
    answer = short.answers["demo-large"]
    assert [(choice.index, choice.message.content) for choice in completion.choices] == [
        (index, answer.text) for index in range(3)
    ]
    assert completion.usage is not None
    assert completion.usage.completion_tokens == 3 * answer.tokens


async def test_a_token_limit_cuts_the_answer_with_that_finish_reason(
    client: openai.AsyncOpenAI, short: Example
) -> None:
    completion = await client.chat.completions.create(model="demo-large", messages=asked(short.prompt), max_tokens=10)
    choice = completion.choices[0]
    answer = short.answers["demo-large"]
    assert (choice.message.content, choice.finish_reason) == (
        answer.text[: len(answer.text) * 10 // answer.tokens],
        "length",
    )
    assert completion.usage is not None
    assert completion.usage.completion_tokens == 10


async def test_tools_and_formats_do_not_disturb_the_replay(client: openai.AsyncOpenAI, short: Example) -> None:
    completion = await client.chat.completions.create(
        model="demo-large",
        messages=asked(short.prompt),
        logprobs=True,
        tools=[{"type": "function", "function": {"name": "look_up", "parameters": {}}}],
        response_format={"type": "json_object"},
    )
    assert completion.choices[0].message.content == short.answers["demo-large"].text


def test_prompt_tokens_are_what_the_router_estimates_for_the_same_request() -> None:
    for sample in SAMPLES:
        body = {**sample.body(), "model": "demo-large"}
        assert reply_to(body, "http://host/v1").prompt_tokens == prompt_tokens(CHAT.read(body))


async def test_models_lists_the_demo_models(client: openai.AsyncOpenAI) -> None:
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
        (b'{"model": "demo-large"}', "messages"),
        (b'{"model": "demo-large", "messages": []}', "messages"),
        (b'{"model": "demo-large", "messages": ["Hello"]}', "messages[0]"),
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
    completion = await client.chat.completions.create(model="demo-large", messages=messages)
    assert "demo provider" in (completion.choices[0].message.content or "")


def _length(example: Example) -> int:
    return len(example.answers["demo-large"].text)


async def test_a_recorded_answer_comes_by_the_responses_api_too(client: openai.AsyncOpenAI, short: Example) -> None:
    said = short.answers["demo-large"]
    answer = await client.responses.create(model="demo-large", input=short.prompt)
    assert (answer.output_text, answer.status) == (said.text, "completed")
    assert answer.usage is not None
    assert answer.usage.output_tokens == said.tokens
    counted = await client.responses.input_tokens.count(model="demo-large", input=short.prompt)
    assert counted.input_tokens == answer.usage.input_tokens
    async with client.responses.stream(model="demo-large", input=asked(short.prompt)) as stream:
        deltas = [event.delta async for event in stream if event.type == "response.output_text.delta"]
        final = await stream.get_final_response()
    assert "".join(deltas) == final.output_text == said.text


async def test_a_recorded_answer_comes_by_anthropics_api_too(base_url: str, short: Example) -> None:
    said = short.answers["demo-large"]
    root = base_url.removesuffix("/v1")
    async with anthropic.AsyncAnthropic(base_url=root, api_key="unused", max_retries=0) as client:
        ask = {"model": "demo-large", "max_tokens": 4000, "messages": asked(short.prompt)}
        answer = await client.messages.create(**ask)
        assert isinstance(answer.content[0], anthropic.types.TextBlock)
        assert (answer.content[0].text, answer.stop_reason) == (said.text, "end_turn")
        async with client.messages.stream(**ask) as stream:
            assert "".join([text async for text in stream.text_stream]) == said.text
        counted = await client.messages.count_tokens(model="demo-large", messages=asked(short.prompt))
        assert counted.input_tokens == answer.usage.input_tokens
        with pytest.raises(anthropic.NotFoundError):
            await client.messages.create(**{**ask, "model": "none"})
