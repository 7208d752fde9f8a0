"""Bad requests get an error in OpenAI's format that names the field, and store nothing."""

from __future__ import annotations

import asyncio
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import openai
import pytest

from app.api_keys import hash_of, hint_of, make_key
from app.errors import Unauthorized
from app.store import keys
from tests.support.proxy import CHEAP, STRONG, Proxy, ProxyFactory
from tests.support.separable_prompts import easy, lessons

CHAT = "/v1/chat/completions"
RANK = "/v1/router/preferences/rank"


async def refused(proxy: Proxy, path: str, body: Any, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    """Return status and `error.param` of a request that must fail with an error in OpenAI's format."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with proxy.http() as http, http.post(path, data=data, headers=headers) as response:
        answer = await response.json()
        assert set(answer) == {"error"}, answer
        assert set(answer["error"]) == {"message", "type", "param", "code"}
        assert answer["error"]["message"]
        return response.status, answer["error"]["param"]


def chat(**fields: Any) -> dict[str, Any]:
    return {"model": "auto", "messages": [{"role": "user", "content": "hi"}], **fields}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{", (400, None)),
        (b"", (400, None)),
        (b"[1]", (400, None)),
        (b'{"model": "auto"}', (400, "messages")),
        (chat(messages=[]), (400, "messages")),
        (chat(messages="hi"), (400, "messages")),
        (chat(messages=["hi"]), (400, "messages[0]")),
        (chat(messages=[{"content": "hi"}]), (400, "messages[0].role")),
        (chat(messages=[{"role": "user", "content": 7}]), (400, "messages[0].content")),
        ({"messages": []}, (400, "model")),
        (chat(model=""), (400, "model")),
        (chat(model=["auto"]), (400, "model")),
        (chat(model="gpt-none"), (404, "model")),
    ],
)
async def test_a_bad_chat_request_is_refused(proxy: Proxy, body: Any, expected: tuple[int, str | None]) -> None:
    assert await refused(proxy, CHAT, body) == expected


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("X-Router", "maybe"),
        ("X-Router-Alpha", "much"),
        ("X-Router-Alpha", "-1"),
        ("X-Router-Alpha", "nan"),
        ("X-Router-Alpha", "1_0"),
        ("X-Router-Task", "x" * 101),
        ("X-Router-Conversation", "x" * 1001),
    ],
)
async def test_a_bad_header_is_refused_by_its_name(proxy: Proxy, header: str, value: str) -> None:
    assert await refused(proxy, CHAT, chat(), {header: value}) == (400, header)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"scores": {CHEAP: 1}}, None),
        ({"prompt": "", "scores": {CHEAP: 1}}, "prompt"),
        ({"prompt": " \n", "scores": {CHEAP: 1}}, "prompt"),
        ({"prompt": "a\0b", "scores": {CHEAP: 1}}, "prompt"),
        ({"prompt": 7, "scores": {CHEAP: 1}}, "prompt"),
        ({"prompt": "p"}, "scores"),
        ({"prompt": "p", "scores": {}}, "scores"),
        ({"prompt": "p", "scores": {CHEAP: 1.01}}, f"scores.{CHEAP}"),
        ({"prompt": "p", "scores": {CHEAP: -0.01}}, f"scores.{CHEAP}"),
        ({"prompt": "p", "scores": {CHEAP: "1"}}, f"scores.{CHEAP}"),
        # A score that is null is no label, and an example needs one.
        ({"prompt": "p", "scores": {CHEAP: None}}, "scores"),
        ({"prompt": "p", "scores": {"gpt-none": 1}}, "scores.gpt-none"),
        ({"prompt": "p", "scores": {f"model {number}": 1 for number in range(65)}}, "scores"),
        ({"prompt": "p", "scores": {"auto": 1}}, "scores.auto"),
        ({"prompt": "p", "scores": {CHEAP: 1, f"fake/{CHEAP}": 0}}, f"scores.fake/{CHEAP}"),
        ({"prompt": "\ud83d", "scores": {CHEAP: 1}}, "prompt"),
        ({"prompt": "p", "scores": {CHEAP: 1}, "source": "rumour"}, "source"),
        ({"prompt": "p", "scores": {CHEAP: 1}, "task": "t" * 101}, "task"),
        ({"prompt": "p", "scores": {CHEAP: 1}, "tasc": "t"}, "tasc"),
        ({"prompt": "p", "scores": {CHEAP: 1}, "completion_tokens": {CHEAP: -1}}, f"completion_tokens.{CHEAP}"),
        ({"messages": [{"role": "system", "content": "x"}], "scores": {CHEAP: 1}}, "messages"),
        ({"messages": [{"role": "user", "content": "a\0"}], "scores": {CHEAP: 1}}, "messages"),
        ({"prompt": "p", "messages": [{"role": "user", "content": "p"}], "scores": {CHEAP: 1}}, None),
        ({"examples": []}, "examples"),
        ({"examples": [{"prompt": "p", "scores": {CHEAP: 1}}] * 1001}, "examples"),
    ],
)
async def test_a_bad_example_is_refused_naming_the_field(proxy: Proxy, body: Any, param: str | None) -> None:
    assert await refused(proxy, RANK, body) == (400, param)


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"1e999"])
async def test_not_a_number_is_not_a_score(proxy: Proxy, number: bytes) -> None:
    body = b'{"prompt": "p", "scores": {"cheap": ' + number + b"}}"
    assert await refused(proxy, RANK, body) == (400, f"scores.{CHEAP}")


@pytest.mark.parametrize(
    ("spoilt", "param"),
    [
        ({"prompt": "p", "scores": {CHEAP: 7}}, f"examples[3].scores.{CHEAP}"),
        ({"prompt": "p", "scores": {"gpt-none": 1}}, "examples[3].scores.gpt-none"),
        ({"prompt": "a\0", "scores": {CHEAP: 1}}, "examples[3].prompt"),
    ],
)
async def test_nothing_of_a_rejected_batch_is_kept(proxy: Proxy, spoilt: dict[str, Any], param: str) -> None:
    batch = lessons(6)
    batch[3] = spoilt
    assert await refused(proxy, RANK, {"examples": batch}) == (400, param)
    assert not await proxy.admin.fetch("select from router.memory_texts")


async def test_a_body_over_the_limit_is_413_whether_its_length_is_declared_or_not(proxies: ProxyFactory) -> None:
    async with proxies(max_body=10_000) as proxy:
        body = chat(messages=[{"role": "user", "content": "x" * 10_000}])
        assert await refused(proxy, CHAT, body) == (413, None)
        assert await refused(proxy, RANK, {"prompt": "x" * 10_000, "scores": {CHEAP: 1}}) == (413, None)

        async def chunks() -> Any:
            for _ in range(20):
                yield b"x" * 1000

        async with proxy.http() as http, http.post(CHAT, data=chunks()) as response:
            assert response.status == 413


async def test_a_two_megabyte_prompt_is_served_and_can_be_taught(proxy: Proxy) -> None:
    long = (easy(1) + " ") * 20_000
    async with proxy.http() as http:
        for path, body in (
            (CHAT, chat(messages=[{"role": "user", "content": long}])),
            (RANK, {"prompt": long, "scores": {CHEAP: 1}}),
        ):
            async with http.post(path, data=io.BytesIO(json.dumps(body).encode())) as response:
                assert response.status == 200


async def test_a_nul_byte_in_a_chat_prompt_is_the_providers_to_judge(proxy: Proxy) -> None:
    await proxy.rank(lessons(120))
    async with proxy.client() as client:
        answer = await client.chat.completions.create(model="auto", messages=[{"role": "user", "content": "a\0b"}])
    assert answer.choices


async def test_images_are_no_signal_to_learn_from(proxy: Proxy) -> None:
    await proxy.rank(lessons(120))
    part: Any = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    async with proxy.client() as client:
        raw = await client.chat.completions.with_raw_response.create(
            model="auto", messages=[{"role": "user", "content": [part]}]
        )
    assert (raw.headers["x-router-model"], raw.headers["x-router-reason"]) == (STRONG, "no_signal")


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer ", "Basic abc", "Bearer rk-none", "Bearer é"])
async def test_a_malformed_key_is_401(proxy: Proxy, authorization: str | None) -> None:
    headers = {} if authorization is None else {"authorization": authorization}
    async with aiohttp.ClientSession(proxy.url) as http:
        for method, path in (("POST", CHAT), ("POST", RANK), ("GET", "/v1/models"), ("GET", "/v1/router/status")):
            async with http.request(method, path, json=chat(), headers=headers) as response:
                assert response.status == 401
                assert (await response.json())["error"]["code"] == "invalid_api_key"


async def test_a_revoked_key_is_refused_within_a_second(proxy: Proxy) -> None:
    async with proxy.client() as client:
        await client.models.list()
        await keys.revoke_key(proxy.admin, proxy.tenant_id, proxy.key_id)
        await asyncio.sleep(0.5)
        with pytest.raises(openai.AuthenticationError):
            await client.models.list()


async def test_an_expired_key_is_refused(proxy: Proxy) -> None:
    key = make_key()
    soon = datetime.now(UTC) + timedelta(seconds=0.5)
    await keys.create_key(proxy.admin, proxy.tenant_id, hash_of(key), hint_of(key), "", soon)
    async with proxy.client(key) as client:
        await client.models.list()
        await asyncio.sleep(0.6)
        with pytest.raises(openai.AuthenticationError):
            await client.models.list()


async def test_a_path_that_is_not_served_is_404_in_openais_shape(proxy: Proxy) -> None:
    assert await refused(proxy, "/nothing", {}) == (404, None)
    assert await refused(proxy, "/v1/router/nothing", {}) == (404, None)
    assert (await refused(proxy, "/v1/router/status", {}))[0] == 405


@pytest.mark.parametrize("number", ["9" * 5000, "0" * 5000, "-1", "x", "9223372036854775808"])
async def test_a_number_that_cannot_be_is_refused_however_long(proxy: Proxy, number: str) -> None:
    async with proxy.http() as http:
        async with http.get(f"/v1/router/memories?limit={number}") as response:
            assert (response.status, (await response.json())["error"]["param"]) == (400, "limit")
        async with http.delete(f"/v1/router/memories/{number}") as response:
            assert response.status == 404


async def test_a_flood_of_made_up_keys_costs_the_database_nothing_twice(proxy: Proxy) -> None:
    directory = proxy.services.directory
    made_up = make_key()
    for key in ("rk-short", "x" * 46, made_up, made_up):
        with pytest.raises(Unauthorized):
            await directory.caller(key)
    assert len(directory._invalid) == 1
    await keys.create_key(proxy.admin, proxy.tenant_id, hash_of(made_up), hint_of(made_up))
    await asyncio.sleep(0.3)
    assert (await directory.caller(made_up)).tenant_id == proxy.tenant_id
