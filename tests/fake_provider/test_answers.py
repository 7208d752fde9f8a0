"""Answers of the fake provider: chat, embeddings, responses, models, and any other path."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import aiohttp
import openai
import orjson
import pytest

from scripts.fake_provider.forced import instance
from scripts.fake_provider.server import ANSWER, USAGE, Running, parse_plan, running_upstream, serving
from tests.support.fake_provider import HELLO, ask, chat


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
