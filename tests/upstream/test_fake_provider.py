"""Promises of the fake upstream that other tests and the benchmarks lean on."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import anthropic
import openai
import orjson
import pytest
import pytest_asyncio

from scripts.fake_provider.forced import instance
from scripts.fake_provider.server import ANSWER, USAGE, Running, parse_plan, running_upstream, serving, streamed_text

HELLO: Any = [{"role": "user", "content": "Hello"}]


@pytest.fixture(scope="module")
def upstream() -> Iterator[Running]:
    with running_upstream() as running:
        yield running


@pytest.fixture(autouse=True)
def clean(upstream: Running) -> None:
    upstream.clear()


@pytest_asyncio.fixture
async def client(upstream: Running) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=upstream.url, api_key="sk-fake", max_retries=0) as client:
        yield client


@pytest_asyncio.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def ask(**fields: Any) -> dict[str, Any]:
    return {"model": "gpt-4o", "input": "Hello", **fields}


def chat(model: str = "gpt-4o", **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": HELLO, **fields}


async def test_a_completion_echoes_the_model_with_fixed_usage(client: openai.AsyncOpenAI) -> None:
    completion = await client.chat.completions.create(model="any/model:1", messages=HELLO)
    assert (completion.model, completion.choices[0].message.content) == ("any/model:1", ANSWER)
    usage = completion.usage
    assert usage is not None
    assert usage.prompt_tokens_details is not None
    assert {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "cached_tokens": usage.prompt_tokens_details.cached_tokens,
    } == USAGE


@pytest.mark.parametrize("stream", [False, True])
async def test_every_chat_answer_is_json_that_does_not_survive_re_serialising(
    upstream: Running, session: aiohttp.ClientSession, stream: bool
) -> None:
    async with session.post(f"{upstream.url}/chat/completions", json=chat(stream=stream)) as response:
        content = await response.read()
    text = content.split(b"data: ")[1] if stream else content
    assert orjson.dumps(orjson.loads(text)) != text
    for detail in (b"1.0", b"1E+2", b"123456789012345678901234567890", rb"\u00e9", rb"\/"):
        assert detail in text


async def test_a_stream_has_usage_only_when_asked_for(client: openai.AsyncOpenAI) -> None:
    chunks = [
        chunk
        async for chunk in await client.chat.completions.create(
            model="gpt-4o", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
    ]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == streamed_text()
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == USAGE["total_tokens"]
    plain = [chunk async for chunk in await client.chat.completions.create(model="m", messages=HELLO, stream=True)]
    assert len(plain) == len(chunks) - 1
    assert [chunk.usage for chunk in plain] == [None] * len(plain)


async def test_a_stream_has_as_many_deltas_as_asked_for(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model="gpt-4o", messages=HELLO, stream=True, extra_headers={"x-fake": "chunks=40;split=7"}
    )
    text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
    assert text == streamed_text(40)


async def test_a_gap_spreads_a_stream_over_time(upstream: Running, session: aiohttp.ClientSession) -> None:
    headers = {"x-fake": "gap=0.02;chunks=10"}
    start = time.perf_counter()
    async with session.post(f"{upstream.url}/chat/completions", json=chat(stream=True), headers=headers) as response:
        await response.content.readline()
        first = time.perf_counter() - start
        await response.read()
    assert time.perf_counter() - start > first + 0.2


async def test_a_failure_can_be_asked_for_by_header(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.RateLimitError) as caught:
        await client.chat.completions.create(
            model="gpt-4o", messages=HELLO, extra_headers={"X-Fake": "status=429;retry-after=2"}
        )
    assert caught.value.response.headers["retry-after"] == "2"
    assert caught.value.code == "rate_limit_exceeded"


async def test_a_failure_can_be_asked_for_by_model_name(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        await client.chat.completions.create(model="fail-503", messages=HELLO)
    assert caught.value.status_code == 503


async def test_a_failure_can_be_asked_for_by_query(upstream: Running, session: aiohttp.ClientSession) -> None:
    url = f"{upstream.url}/chat/completions?fake=status%3D500"
    async with session.post(url, json=chat()) as response:
        assert response.status == 500


async def test_a_script_fails_an_ordinary_model_until_it_is_lifted(
    client: openai.AsyncOpenAI, upstream: Running
) -> None:
    upstream.script("gpt-4o", "status=500")
    with pytest.raises(openai.InternalServerError):
        await client.chat.completions.create(model="gpt-4o", messages=HELLO)
    await client.chat.completions.create(model="gpt-4o-mini", messages=HELLO)
    upstream.script("gpt-4o")
    await client.chat.completions.create(model="gpt-4o", messages=HELLO)


async def test_a_misspelt_plan_is_refused(client: openai.AsyncOpenAI, upstream: Running) -> None:
    with pytest.raises(openai.BadRequestError, match="'statsu=500' is not a word of a plan"):
        await client.chat.completions.create(model="m", messages=HELLO, extra_headers={"x-fake": "statsu=500"})
    with pytest.raises(ValueError, match="is not a word of a plan"):
        upstream.script("gpt-4o", "hang=1")


async def test_a_slow_model_delays_its_first_byte(client: openai.AsyncOpenAI) -> None:
    start = time.perf_counter()
    await client.chat.completions.create(model="slow-0.2", messages=HELLO)
    assert 0.2 <= time.perf_counter() - start < 2


async def test_a_hanging_model_never_answers_and_its_abandonment_is_logged(
    upstream: Running, session: aiohttp.ClientSession
) -> None:
    with pytest.raises(TimeoutError):
        await session.post(
            f"{upstream.url}/chat/completions", json=chat("hang"), timeout=aiohttp.ClientTimeout(total=0.2)
        )
    await until_disconnected(upstream)


async def test_a_client_that_leaves_a_stream_is_logged(upstream: Running, session: aiohttp.ClientSession) -> None:
    headers = {"x-fake": "gap=0.02;chunks=1000"}
    response = await session.post(f"{upstream.url}/chat/completions", json=chat(stream=True), headers=headers)
    await response.content.readline()
    assert upstream.log()[0]["disconnected"] is False
    response.close()
    await until_disconnected(upstream)


async def test_a_dead_stream_breaks_off_half_way(upstream: Running, session: aiohttp.ClientSession) -> None:
    async with session.post(f"{upstream.url}/chat/completions", json=chat("dead-stream", stream=True)) as response:
        assert response.status == 200
        assert b"content" in await response.content.readuntil(b"\n\n") + await response.content.readuntil(b"\n\n")
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


async def test_a_dead_answer_is_shorter_than_its_length(upstream: Running, session: aiohttp.ClientSession) -> None:
    async with session.post(f"{upstream.url}/chat/completions", json=chat("dead-stream")) as response:
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


async def test_a_dropped_request_gets_no_byte(upstream: Running, session: aiohttp.ClientSession) -> None:
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await session.post(f"{upstream.url}/chat/completions", json=chat("drop"))


@pytest.mark.parametrize("stream", [False, True])
async def test_gzip_is_what_plain_bytes_were(upstream: Running, session: aiohttp.ClientSession, stream: bool) -> None:
    contents = []
    for plan in ("", "gzip"):
        headers = {"x-fake": plan}
        url = f"{upstream.url}/chat/completions"
        async with session.post(url, json=chat(stream=stream), headers=headers) as response:
            assert response.headers.get("content-encoding", "") == plan
            contents.append(await response.read())
    assert contents[0] == contents[1]


async def test_the_log_keeps_requests_as_they_came(upstream: Running, session: aiohttp.ClientSession) -> None:
    body = b'{ "model" : "gpt-4o","messages":[] , "odd":1.0}'
    url = f"{upstream.url}/chat/completions?a=1&b="
    async with session.post(url, data=body, headers={"X-MiXed": "Kept"}) as response:
        assert response.status == 200
    (entry,) = upstream.log()
    assert (entry["method"], entry["path"]) == ("POST", "/v1/chat/completions?a=1&b=")
    assert ["X-MiXed", "Kept"] in entry["headers"]
    assert base64.b64decode(entry["body"]) == body
    assert entry["disconnected"] is False


async def test_the_log_is_bounded_and_can_be_cleared(session: aiohttp.ClientSession) -> None:
    async with serving() as upstream:
        for number in range(1001):
            async with session.get(f"{upstream.url}/{number}"):
                pass
        paths = [entry["path"] for entry in upstream.log()]
        assert (len(paths), paths[0], paths[-1]) == (1000, "/v1/1", "/v1/1000")
        upstream.clear()
        assert upstream.log() == []


async def test_no_log_keeps_nothing() -> None:
    async with running_upstream(log=False) as upstream, aiohttp.ClientSession() as session:
        async with session.post(f"{upstream.url}/chat/completions", json=chat()) as response:
            assert response.status == 200
        assert upstream.log() == []


async def test_any_other_path_echoes_bytes_and_content_type(upstream: Running, session: aiohttp.ClientSession) -> None:
    body = bytes(range(256)) * 4096
    headers = {"content-type": "audio/odd; x=1"}
    async with session.put(f"{upstream.url}/files/1", data=body, headers=headers) as response:
        assert await response.read() == body
        assert response.headers["content-type"] == "audio/odd; x=1"


async def test_one_connection_serves_requests_that_arrive_together(upstream: Running) -> None:
    host, port = upstream.url.split("/")[2].split(":")
    reader, writer = await asyncio.open_connection(host, port)
    body = orjson.dumps(chat("slow-0.1"))
    head = b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body)
    writer.write(head + body + b"POST /echo HTTP/1.1\r\nContent-Length: 4\r\nConnection: close\r\n\r\nlast")
    content = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert content.index(b"slow-0.1") < content.index(b"last")
    assert content.endswith(b"last")


async def test_models_are_listed(client: openai.AsyncOpenAI) -> None:
    assert "gpt-4o-mini" in [model.id for model in (await client.models.list()).data]


async def test_embeddings_depend_on_the_words_alone(client: openai.AsyncOpenAI) -> None:
    texts = ["the quick fox", "The quick fox!", "an entirely other matter"]
    packed = await client.embeddings.create(model="e", input=texts, dimensions=384)
    plain = await client.embeddings.create(model="e", input=texts, dimensions=384, encoding_format="float")
    first, again, other = (row.embedding for row in packed.data)
    assert [len(row.embedding) for row in packed.data] == [384] * 3
    assert first == pytest.approx(plain.data[0].embedding)
    assert first == again
    assert sum(value * value for value in first) == pytest.approx(1, abs=1e-5)
    assert abs(sum(a * b for a, b in zip(first, other, strict=True))) < 0.3


async def test_embeddings_are_1536_long_by_default(client: openai.AsyncOpenAI) -> None:
    answer = await client.embeddings.create(model="e", input="one text")
    assert [len(row.embedding) for row in answer.data] == [1536]


async def test_cookies_are_set_when_asked_for(upstream: Running, session: aiohttp.ClientSession) -> None:
    async with session.get(f"{upstream.url}/models", headers={"x-fake": "cookies"}) as response:
        assert len(response.headers.getall("set-cookie")) == 2


def test_a_plan_reads_its_words() -> None:
    plan = parse_plan("delay=0.5; retry-after=2;die")
    assert (plan.delay, plan.retry_after, plan.die, plan.status) == (0.5, "2", True, 200)


def test_leaving_the_block_ends_the_process() -> None:
    with running_upstream() as upstream:
        assert upstream.process.poll() is None
    assert upstream.process.returncode == 0


def test_a_server_ends_with_the_process_that_started_it() -> None:
    with running_upstream() as upstream:
        assert upstream.process.stdin is not None
        upstream.process.stdin.close()
        assert upstream.process.wait(10) == 0


async def test_a_chunked_request_is_taken(upstream: Running, session: aiohttp.ClientSession) -> None:
    content = orjson.dumps(chat(user="é" * 50_000))

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 9_999):
            yield content[start : start + 9_999]

    for _ in range(2):  # The second finds the connection where the first has left it.
        async with session.post(f"{upstream.url}/chat/completions", data=pieces()) as response:
            assert response.status == 200
    assert [base64.b64decode(entry["body"]) for entry in upstream.log()] == [content, content]


async def test_a_plan_that_holds_a_few_times_ends(client: openai.AsyncOpenAI, upstream: Running) -> None:
    upstream.script("gpt-4o", "status=500;times=2")
    for _ in range(2):
        with pytest.raises(openai.InternalServerError):
            await client.chat.completions.create(model="gpt-4o", messages=HELLO)
    await client.chat.completions.create(model="gpt-4o", messages=HELLO)
    upstream.script("gpt-4o", "status=500;times=2")
    with pytest.raises(openai.InternalServerError):
        await client.chat.completions.create(model="gpt-4o", messages=HELLO)


@pytest.mark.parametrize("header", ["x-api-key", "authorization"])
async def test_a_key_is_needed_when_told_so(upstream: Running, session: aiohttp.ClientSession, header: str) -> None:
    right = "sk-right" if header == "x-api-key" else "Bearer sk-right"
    statuses = []
    for key in (right, "sk-wrong"):
        headers = {"x-fake": "needs-key=sk-right", header: key}
        async with session.post(f"{upstream.url}/chat/completions", json=chat(), headers=headers) as response:
            statuses.append(response.status)
    assert statuses == [200, 401]


@pytest.mark.parametrize("word", ["die-after", "hang-after"])
async def test_a_stream_ends_after_as_many_events_as_told(
    upstream: Running, session: aiohttp.ClientSession, word: str
) -> None:
    url, headers = f"{upstream.url}/chat/completions", {"x-fake": f"{word}=3"}
    limit = aiohttp.ClientTimeout(sock_read=0.2)
    async with session.post(url, json=chat(stream=True), headers=headers, timeout=limit) as response:
        events = [await response.content.readuntil(b"\n\n") for _ in range(3)]
        with pytest.raises((aiohttp.ClientPayloadError, aiohttp.SocketTimeoutError)) as caught:
            await response.content.readuntil(b"\n\n")
    assert [event.partition(b" ")[0] for event in events] == [b":", b"data:", b"data:"]
    assert isinstance(caught.value, aiohttp.SocketTimeoutError) is (word == "hang-after")


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/chat/completions", {"messages": HELLO}, b'data: {"error"'),
        ("/responses", {"input": "Hello"}, b"event: error"),
        ("/messages", {"messages": HELLO, "max_tokens": 9}, b"event: error"),
    ],
)
async def test_a_stream_may_end_in_an_error_event(
    upstream: Running, session: aiohttp.ClientSession, path: str, body: dict[str, Any], said: bytes
) -> None:
    headers = {"x-fake": "error-after=4"}
    body = {"model": "m", "stream": True, **body}
    async with session.post(upstream.url + path, json=body, headers=headers) as response:
        events = (await response.read()).split(b"\n\n")
    assert len(events) == 6
    assert said in events[4].replace(b'{ "error" :', b'{"error"')


async def test_comments_and_line_ends_of_a_stream_can_be_asked_for(
    upstream: Running, session: aiohttp.ClientSession
) -> None:
    bodies = []
    for plan in ("", "comments;crlf"):
        headers = {"x-fake": plan}
        async with session.post(f"{upstream.url}/responses", json=ask(stream=True), headers=headers) as response:
            bodies.append(await response.read())
    plain, odd = (body.replace(b"\r\n", b"\n").split(b"\n\n") for body in bodies)
    assert b"\n" not in bodies[1].replace(b"\r\n", b"")
    assert len(odd) == 2 * len(plain) - 1
    assert set(odd[:-1:2]) == {b": keep-alive"}


async def test_usage_can_be_kept_quiet_or_made_of_reasoning(client: openai.AsyncOpenAI) -> None:
    usages = []
    for plan in ("no-usage", "reasoning=64;cached=5"):
        headers = {"x-fake": plan}
        completion = await client.chat.completions.create(model="m", messages=HELLO, extra_headers=headers)
        usages.append(completion.usage)
    assert usages[0] is None
    assert usages[1] is not None
    assert usages[1].completion_tokens == 64 + USAGE["completion_tokens"]
    assert usages[1].prompt_tokens_details is not None
    assert usages[1].prompt_tokens_details.cached_tokens == 5


@pytest.mark.parametrize(("plan", "told"), [("", 5), ("terse", 1)])
async def test_a_messages_stream_ends_with_its_usage(
    upstream: Running, session: aiohttp.ClientSession, plan: str, told: int
) -> None:
    body = {"model": "m", "stream": True, "messages": HELLO, "max_tokens": 9}
    async with session.post(f"{upstream.url}/messages", json=body, headers={"x-fake": plan}) as response:
        (delta,) = [event for event in (await response.read()).split(b"\n\n") if b"event: message_delta" in event]
    assert len(orjson.loads(delta.partition(b"data: ")[2])["usage"]) == told


async def test_an_answer_can_end_for_want_of_tokens(client: openai.AsyncOpenAI, upstream: Running) -> None:
    headers = {"x-fake": "incomplete"}
    completion = await client.chat.completions.create(model="m", messages=HELLO, extra_headers=headers)
    async with client.responses.stream(model="m", input="Hello", extra_headers=headers) as stream:
        *_, last = [event async for event in stream]
    async with anthropic.AsyncAnthropic(base_url=upstream.url.removesuffix("/v1"), api_key="sk-fake") as other:
        message = await other.messages.create(model="m", max_tokens=9, messages=HELLO, extra_headers=headers)
    assert (completion.choices[0].finish_reason, message.stop_reason) == ("length", "max_tokens")
    assert last.type == "response.incomplete"
    assert last.response.incomplete_details is not None
    assert last.response.incomplete_details.reason == "max_output_tokens"
    assert last.response.usage is not None


async def test_a_long_stream_waits_for_its_reader(upstream: Running, session: aiohttp.ClientSession) -> None:
    headers = {"x-fake": "chunks=50000"}
    async with session.post(f"{upstream.url}/chat/completions", json=chat(stream=True), headers=headers) as response:
        await response.content.readline()
        written = [-1, upstream.log()[0]["written"]]
        while written[-1] != written[-2]:
            await asyncio.sleep(0.05)
            written.append(upstream.log()[0]["written"])
        body = await response.read()
    assert 0 < written[-1] < upstream.log()[0]["written"]
    assert body.endswith(b"data: [DONE]\n\n")


async def test_two_upstreams_give_out_different_responses(session: aiohttp.ClientSession) -> None:
    async with serving(name="one") as one, serving(name="two") as two, serving() as nameless:
        identifiers = []
        for upstream in (one, two, nameless):
            async with session.post(f"{upstream.url}/responses", json=ask()) as response:
                identifiers.append(orjson.loads(await response.read())["id"])
        assert [identifier[:8] for identifier in identifiers[:2]] == ["resp_one", "resp_two"]
        assert len(set(identifiers)) == 3
        body = ask(previous_response_id=identifiers[0])
        statuses = []
        for upstream in (one, two):
            async with session.post(f"{upstream.url}/responses", json=body) as response:
                statuses.append(response.status)
        assert statuses == [200, 400]


async def test_a_response_is_not_kept_where_that_was_not_wanted(client: openai.AsyncOpenAI) -> None:
    response = await client.responses.create(model="m", input="Hello", store=False)
    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(response.id)


@pytest.mark.parametrize("plan", ["gzip", "split=5", "gzip;split=7"])
async def test_a_response_has_its_own_identifier_however_it_comes(client: openai.AsyncOpenAI, plan: str) -> None:
    async with client.responses.stream(model="m", input="Hello", extra_headers={"x-fake": plan}) as stream:
        response = await stream.get_final_response()
    assert (await client.responses.retrieve(response.id)).id == response.id


NULL = {"type": "null"}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "object", "properties": {"a": {"type": "integer", "minimum": 5}}}, {"a": 5}),
        ({"anyOf": [{"type": "array", "items": {"enum": ["x", "y"]}, "minItems": 2}, NULL]}, ["x", "x"]),
        ({"type": ["number", "null"], "exclusiveMinimum": 2, "maximum": 4}, 3.0),
        ({"allOf": [{"type": "integer"}, {"maximum": -1}]}, -1),
        ({"type": "string", "format": "date"}, "2024-02-29"),
        ({"const": {"b": [1]}}, {"b": [1]}),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"type": "boolean"}}}, True),
    ],
)
def test_an_instance_satisfies_its_schema(schema: Any, value: Any) -> None:
    assert instance(schema) == value


def test_an_instance_of_a_schema_that_repeats_itself_ends() -> None:
    again = {"anyOf": [{"$ref": "#"}, NULL]}
    value = instance({"type": "object", "properties": {"next": again}, "required": ["next"]})
    while value is not None:
        (value,) = value.values()


async def until_disconnected(upstream: Running) -> None:
    async with asyncio.timeout(5):
        while not upstream.log()[-1]["disconnected"]:
            await asyncio.sleep(0.01)
