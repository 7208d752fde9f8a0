"""LangChain's models of OpenAI and Anthropic against the provider and the proxy.

LangChain keeps one HTTP client for each base URL and never closes it. So each model blocks a thread, and is closed
with the module.
"""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import SecretStr

from scripts.fake_provider.server import ANSWER, USAGE, streamed_text
from tests.support.clients import Front
from tests.support.proxy import STRONG
from tests.support.structured import Person

ASK = "What is a café?"
CHAT, RESPONSES, MESSAGES = "chat", "responses", "messages"


def weather(city: str) -> str:
    """The weather of a city."""
    return f"It is sunny in {city}."


Closing = list[Any]


@pytest.fixture(scope="module")
def closing(shared_front: Front) -> Iterator[Closing]:
    """Clients to close when the module is done with a front."""
    clients: Closing = []
    yield clients
    for client in clients:
        client.close()


@pytest.fixture(params=[CHAT, RESPONSES, MESSAGES])
def chatting(front: Front, closing: Closing, model: str, request: pytest.FixtureRequest) -> BaseChatModel:
    """A chat model over each of the three APIs."""
    key = SecretStr(front.key)
    if request.param == MESSAGES:
        # The stubs call two optional fields required.
        made = ChatAnthropic(model_name=model, base_url=front.url, api_key=key, max_retries=0)  # type: ignore[call-arg]
        closing.append(made._client)
        return made
    return chat_model(front, closing, model=model, use_responses_api=request.param == RESPONSES)


def chat_model(front: Front, closing: Closing, **options: Any) -> ChatOpenAI:
    """A chat model of OpenAI's."""
    made = ChatOpenAI(
        base_url=f"{front.url}/v1", api_key=SecretStr(front.key), max_retries=0, stream_usage=True, **options
    )
    closing.append(made.root_client)
    return made


async def test_an_answer_comes_with_its_usage(chatting: BaseChatModel) -> None:
    message = await to_thread(chatting.invoke, ASK)
    assert message.text == ANSWER
    usage = message.usage_metadata
    assert usage is not None
    assert (usage["input_tokens"], usage["output_tokens"]) == (USAGE["prompt_tokens"], USAGE["completion_tokens"])
    assert usage["input_token_details"]["cache_read"] == USAGE["cached_tokens"]


async def test_a_stream_adds_up_to_the_answer_with_its_usage(chatting: BaseChatModel) -> None:
    chunks = await to_thread(lambda: list(chatting.stream(ASK)))
    assert "".join(chunk.text for chunk in chunks) == streamed_text()
    whole = sum(chunks[1:], start=chunks[0])
    assert isinstance(whole, AIMessageChunk)
    assert whole.usage_metadata is not None
    assert whole.usage_metadata["total_tokens"] == USAGE["total_tokens"]


async def test_a_tool_is_called_and_its_result_answered(chatting: BaseChatModel) -> None:
    asked = HumanMessage(ASK)
    called: Any = await to_thread(chatting.bind_tools([weather], tool_choice="any").invoke, [asked])
    (call,) = called.tool_calls
    assert (call["name"], call["args"].keys()) == ("weather", {"city"})
    result = ToolMessage(weather(**call["args"]), tool_call_id=call["id"])
    answered = await to_thread(chatting.bind_tools([weather]).invoke, [asked, called, result])
    assert answered.text == ANSWER


async def test_a_structured_answer_is_parsed(chatting: BaseChatModel) -> None:
    assert isinstance(await to_thread(chatting.with_structured_output(Person).invoke, ASK), Person)


async def test_a_refused_request_raises_the_clients_own_error(front: Front, closing: Closing) -> None:
    model = chat_model(front, closing, model=STRONG, default_headers={"x-fake": "status=429"})
    with pytest.raises(openai.RateLimitError):
        await to_thread(model.invoke, ASK)


async def test_texts_are_embedded(front: Front, closing: Closing) -> None:
    embedder = OpenAIEmbeddings(
        model=STRONG, base_url=f"{front.url}/v1", api_key=SecretStr(front.key), check_embedding_ctx_length=False
    )
    closing.append(embedder.client._client)
    vectors = await to_thread(embedder.embed_documents, ["a text", "another"])
    assert [len(vector) for vector in vectors] == [1536, 1536]
