"""The embedder behind an HTTP endpoint: widths, batches, failures, deadlines and shared requests."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from aiohttp import web

from app.errors import ConfigurationError
from app.memory.embedders import CachedEmbedder, EmbeddingFailed, create
from app.settings import Settings
from tests.support.vectors import WIDTH, floats

# --- an endpoint ------------------------------------------------------------------------------------------------------


@dataclass
class Endpoint:
    """A small embedding server: each text's vector encodes its length; attributes make it fail."""

    url: str = ""
    size: int | None = None
    refuses_dimensions: bool = False
    ignores_base64: bool = False
    fails_on: str = "\0"
    drops_one: bool = False
    delay: float = 0.0
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.requests.append(body)
        self.keys.append(request.headers.get("Authorization"))
        await asyncio.sleep(self.delay)
        if any(self.fails_on in text for text in body["input"]):
            error = {"error": {"message": f"cannot read {body['input'][0]}", "type": "server_error"}}
            return web.json_response(error, status=500, headers={"retry-after-ms": "1"})
        if self.refuses_dimensions and "dimensions" in body:
            return web.json_response({"error": {"message": "dimensions is not supported"}}, status=400)
        size = self.size or body["dimensions"]
        data = [
            {"object": "embedding", "index": index, "embedding": self.encode(text, size, body)}
            for index, text in enumerate(body["input"])
        ]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        data = data[self.drops_one :][::-1]
        return web.json_response({"object": "list", "model": body["model"], "data": data, "usage": usage})

    def encode(self, text: str, size: int, body: dict[str, Any]) -> str | list[float]:
        vector = np.full(size, 2.0, np.float32)
        vector[0] = len(text)
        if body.get("encoding_format") == "base64" and not self.ignores_base64:
            return base64.b64encode(vector.tobytes()).decode()
        return [float(value) for value in vector]


@pytest.fixture
async def endpoint(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Endpoint]:
    monkeypatch.setenv("ROUTER_EMBEDDING_API_KEY", "secret-key")
    endpoint = Endpoint()
    app = web.Application(client_max_size=2**24)
    app.router.add_post("/v1/embeddings", endpoint.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    endpoint.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    yield endpoint
    await runner.cleanup()


Connect = Callable[..., CachedEmbedder]


@pytest.fixture
async def connect(endpoint: Endpoint) -> AsyncIterator[Connect]:
    opened: list[CachedEmbedder] = []

    def open_embedder(model: str = "text-embedding-3-small", width: int = WIDTH, **changes: Any) -> CachedEmbedder:
        settings = replace(Settings(embedder=f"openai:{model}", embedding_url=endpoint.url), **changes)
        opened.append(create(settings, width))
        return opened[-1]

    yield open_embedder
    for embedder in opened:
        await embedder.close()


async def test_the_endpoint_is_asked_for_the_columns_width(endpoint: Endpoint, connect: Connect) -> None:
    embedder = connect()
    vector = floats(await embedder.embed_one("hello"))
    assert endpoint.requests[0]["dimensions"] == WIDTH
    assert endpoint.keys == ["Bearer secret-key"]
    assert np.linalg.norm(vector) == pytest.approx(1, abs=2e-3)
    assert embedder.space == "openai:text-embedding-3-small@384"


async def test_a_column_wider_than_the_model_asks_for_the_models_size(endpoint: Endpoint, connect: Connect) -> None:
    embedder = connect(width=2000)
    assert floats(await embedder.embed_one("hello")).shape == (2000,)
    assert endpoint.requests[0]["dimensions"] == embedder.dimensions == 1536


async def test_numbers_are_understood_where_base64_was_asked_for(endpoint: Endpoint, connect: Connect) -> None:
    as_base64 = floats(await connect().embed_one("hello"))
    endpoint.ignores_base64 = True
    np.testing.assert_array_equal(floats(await connect().embed_one("hello")), as_base64)


async def test_shorter_vectors_are_filled_up_with_zeros(endpoint: Endpoint, connect: Connect) -> None:
    endpoint.size = 100
    vector = floats(await connect("nomic-embed").embed_one("hello"))
    assert not vector[100:].any()
    assert np.linalg.norm(vector) == pytest.approx(1, abs=2e-3)


async def test_a_longer_vector_is_shortened_where_prefixes_are_vectors(endpoint: Endpoint, connect: Connect) -> None:
    endpoint.size = 1536
    vector = floats(await connect("text-embedding-3-small").embed_one("hello"))
    assert np.linalg.norm(vector) == pytest.approx(1, abs=2e-3)


async def test_a_longer_vector_of_another_model_fails_naming_both_sizes(endpoint: Endpoint, connect: Connect) -> None:
    endpoint.size = 768
    with pytest.raises(EmbeddingFailed, match=r"768 dimensions.* 384"):
        await connect("nomic-embed").embed_one("hello")


async def test_a_server_that_refuses_dimensions_is_asked_without_from_then_on(
    endpoint: Endpoint, connect: Connect
) -> None:
    endpoint.refuses_dimensions, endpoint.size = True, 384
    embedder = connect("bge-small")
    await embedder.embed_one("one")
    await embedder.embed_one("two")
    assert ["dimensions" in request for request in endpoint.requests] == [True, False, False]


async def test_a_failing_server_is_tried_twice_and_the_reason_holds_no_text(
    endpoint: Endpoint, connect: Connect
) -> None:
    endpoint.fails_on = "confidential"
    with pytest.raises(EmbeddingFailed, match="answered 500") as failure:
        await connect().embed_one("confidential plans")
    assert "confidential" not in str(failure.value)
    assert failure.value.__cause__ is None
    assert len(endpoint.requests) == 2


async def test_a_batch_that_fails_names_its_positions(endpoint: Endpoint, connect: Connect) -> None:
    endpoint.fails_on = "number 70"
    with pytest.raises(EmbeddingFailed, match=r"texts 64 to 99 of 100: .*answered 500"):
        await connect().embed_many([f"text number {number}" for number in range(100)])


async def test_a_batch_goes_out_in_few_requests_and_comes_back_in_order(endpoint: Endpoint, connect: Connect) -> None:
    texts = ["x" * (number + 1) for number in range(100)]
    firsts = [floats(vector)[0] for vector in await connect().embed_many(texts)]
    assert len(endpoint.requests) == 2
    assert firsts == sorted(firsts)
    assert firsts[0] < firsts[-1]


async def test_a_missing_vector_fails(endpoint: Endpoint, connect: Connect) -> None:
    endpoint.drops_one = True
    with pytest.raises(EmbeddingFailed, match="1 vectors for 2 texts"):
        await connect().embed_many(["hello", "world"])


async def test_a_passed_deadline_fails_naming_it(endpoint: Endpoint, connect: Connect) -> None:
    endpoint.delay = 0.5
    with pytest.raises(EmbeddingFailed, match=r"within 0\.05 s"):
        await connect(embedding_deadline=0.05).embed_one("hello")


async def test_a_server_that_is_not_there_fails(endpoint: Endpoint, connect: Connect, unused_tcp_port: int) -> None:
    embedder = connect(embedding_url=f"http://127.0.0.1:{unused_tcp_port}/v1")
    with pytest.raises(EmbeddingFailed, match=r"cannot reach 127\.0\.0\.1"):
        await embedder.embed_many(["hello"])


async def test_callers_of_the_same_text_share_one_request(endpoint: Endpoint, connect: Connect) -> None:
    endpoint.delay = 0.05
    embedder = connect()
    vectors = await asyncio.gather(*(embedder.embed_one("hello") for _ in range(5)))
    assert len(endpoint.requests) == 1
    assert all(vector is vectors[0] for vector in vectors)


async def test_a_caller_that_hangs_up_does_not_fail_the_others(endpoint: Endpoint, connect: Connect) -> None:
    endpoint.delay = 0.05
    embedder = connect()
    first, second = (asyncio.create_task(embedder.embed_one("hello")) for _ in range(2))
    await asyncio.sleep(0.01)
    first.cancel()
    assert floats(await second).any()
    assert first.cancelled()


async def test_a_failure_is_not_remembered(endpoint: Endpoint, connect: Connect) -> None:
    endpoint.fails_on = "hello"
    embedder = connect()
    with pytest.raises(EmbeddingFailed):
        await embedder.embed_one("hello")
    endpoint.fails_on = "\0"
    assert await embedder.embed_one("hello") is not None


async def test_closing_gives_up_what_is_under_way(endpoint: Endpoint, connect: Connect) -> None:
    endpoint.delay = 5.0
    embedder = connect()
    waiting = asyncio.create_task(embedder.embed_one("hello"))
    await asyncio.sleep(0.01)
    await asyncio.wait_for(embedder.close(), 1.0)
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_long_text_is_sent_as_head_and_tail(endpoint: Endpoint, connect: Connect) -> None:
    await connect().embed_one("HEAD" + "é" * 1_000_000 + "TAIL")
    sent = endpoint.requests[0]["input"][0]
    assert len(json.dumps(sent, ensure_ascii=False).encode()) < 25_000
    assert sent.startswith("HEADé")
    assert sent.endswith("éTAIL")


def test_no_key_and_no_address_do_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("ROUTER_EMBEDDING_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(ConfigurationError, match="ROUTER_EMBEDDING_API_KEY"):
        create(Settings(embedder="openai:text-embedding-3-small"), WIDTH)
