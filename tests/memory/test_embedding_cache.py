"""The cache in front of an embedder, and the choice of an embedder."""

from __future__ import annotations

import numpy as np
import pytest

from app.errors import ConfigurationError
from app.memory.embedders import CachedEmbedder, create
from app.memory.embedders.static import StaticEmbedder
from app.settings import Settings
from tests.support.vectors import WIDTH, floats


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
