"""Models of two providers: a request goes to a capable one, a follow-up to the one that stores its answer."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import anthropic
import openai
import orjson
import pytest

from app.store import models, providers
from scripts.fake_provider.server import ANSWER, Running, Upstream, serving
from tests.support.proxy import STRONG, Proxy, running_proxy

FOREIGN = "foreign"
ASK = "What is a café?"
HELLO: Any = [{"role": "user", "content": ASK}]


@dataclass(frozen=True)
class Pair:
    """A proxy before `home`, which supports OpenAI's APIs and serves the default, and `abroad`, which adds messages."""

    proxy: Proxy
    home: Running
    abroad: Upstream
    key: str

    def openai(self) -> openai.AsyncOpenAI:
        """Return OpenAI's client."""
        return openai.AsyncOpenAI(base_url=f"{self.proxy.url}/v1", api_key=self.key, max_retries=0, timeout=20)

    def anthropic(self) -> anthropic.AsyncAnthropic:
        """Return Anthropic's client."""
        return anthropic.AsyncAnthropic(base_url=self.proxy.url, api_key=self.key, max_retries=0, timeout=20)

    def asked(self) -> tuple[list[str], list[str]]:
        """Return the paths that `home` received, and those that `abroad` received."""
        home, abroad = ([entry["path"] for entry in log] for log in (self.home.log(), self.abroad.log()))
        return home, abroad


@pytest.fixture
async def pair(database: str, upstream: Running) -> AsyncIterator[Pair]:
    upstream.clear()
    async with serving(name="abroad") as abroad, running_proxy(database, upstream.url) as proxy:
        speaks = ("chat", "responses", "completions", "embeddings")
        await providers.put_provider(proxy.admin, "fake", upstream.url, None, speaks=speaks)
        await providers.put_provider(proxy.admin, "abroad", abroad.url, None, speaks=("responses", "messages"))
        await models.put_model(proxy.admin, FOREIGN, "abroad", input_price=3.0, output_price=9.0)
        _, key = await proxy.new_tenant("travelling", models=(STRONG, FOREIGN), default=STRONG)
        async with asyncio.timeout(10):
            while (await proxy.services.directory.catalog()).find(FOREIGN) is None:
                await asyncio.sleep(0.01)
        yield Pair(proxy, upstream, abroad, key)


async def test_a_message_is_routed_among_providers_that_support_messages(pair: Pair) -> None:
    async with pair.anthropic() as client:
        raw = await client.messages.with_raw_response.create(model="auto", messages=HELLO, max_tokens=9)
        counted = await client.messages.count_tokens(model="auto", messages=HELLO)
    assert (raw.headers["x-router-model"], raw.headers["x-router-reason"]) == (FOREIGN, "capability")
    assert counted.input_tokens > 0
    assert pair.asked() == ([], ["/v1/messages", "/v1/messages/count_tokens"])


async def test_a_message_to_a_model_whose_provider_does_not_support_it_is_refused(pair: Pair) -> None:
    async with pair.anthropic() as client:
        with pytest.raises(anthropic.BadRequestError, match="does not support /messages") as caught:
            await client.messages.create(model=STRONG, messages=HELLO, max_tokens=9)
    body: Any = caught.value.body
    assert (body["type"], body["error"]["type"]) == ("error", "invalid_request_error")
    assert pair.asked() == ([], [])


async def test_a_chat_is_routed_among_providers_that_support_chat(pair: Pair) -> None:
    async with pair.openai() as client:
        raw = await client.chat.completions.with_raw_response.create(model="auto", messages=HELLO)
    assert (raw.headers["x-router-model"], raw.headers["x-router-reason"]) == (STRONG, "capability")
    assert pair.asked() == (["/v1/chat/completions"], [])


async def test_a_model_may_be_called_by_its_provider_too(pair: Pair) -> None:
    async with pair.openai() as client:
        await client.responses.create(model=f"abroad/{FOREIGN}", input=ASK)
    (entry,) = pair.abroad.log()
    assert orjson.loads(base64.b64decode(entry["body"]))["model"] == FOREIGN


@pytest.mark.parametrize("stream", [False, True])
async def test_a_conversation_goes_on_with_the_provider_that_holds_it(pair: Pair, stream: bool) -> None:
    async with pair.openai() as client:
        identifier = await begun(client, stream)
        raw = await client.responses.with_raw_response.create(
            model="auto", input="Why?", previous_response_id=identifier
        )
    assert raw.headers["x-router-model"] == FOREIGN
    assert raw.parse().output_text == ANSWER
    assert pair.asked() == ([], ["/v1/responses", "/v1/responses"])


async def test_what_a_provider_holds_is_asked_of_it(pair: Pair) -> None:
    async with pair.openai() as client:
        identifier = await begun(client, False)
        assert (await client.responses.retrieve(identifier)).id == identifier
        assert [item.type async for item in client.responses.input_items.list(identifier)] == ["message"]
        await client.responses.delete(identifier)
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(identifier)
    assert pair.asked()[0] == []


async def test_files_go_to_the_provider_of_the_default_model(pair: Pair) -> None:
    async with pair.openai() as client:
        file = await client.files.create(file=("a.txt", b"a"), purpose="evals")
        assert (await client.files.content(file.id)).content == b"a"
    assert pair.asked() == (["/v1/files", f"/v1/files/{file.id}/content"], [])


async def begun(client: openai.AsyncOpenAI, stream: bool) -> str:
    """Begin a conversation with `abroad`; return the response's identifier."""
    if not stream:
        return (await client.responses.create(model=FOREIGN, input=ASK)).id
    async with client.responses.stream(model=FOREIGN, input=ASK) as events:
        return (await events.get_final_response()).id
