"""The static embedder: its vectors, stored ones included, and odd text."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from app.memory.embedders import CachedEmbedder, surface
from app.memory.embedders.base import QUICK_CHARS
from app.memory.embedders.static import StaticEmbedder
from tests.support.vectors import ODD_TEXTS, assert_paraphrases_are_close, floats


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
    # A release of wordllama with other weights must have another name, because stored memories would not match.
    row = (await static.embed(["hello world"]))[0]
    np.testing.assert_allclose(row[:4], np.sqrt(0.4) * np.array(FINGERPRINT), atol=1e-4)
    # The same is true of another way of hashing.
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
    # Beyond some hundred words only the length of a prompt counts.
    assert length[3] @ length[4] == pytest.approx(0.2, abs=1e-6)


async def test_a_paraphrase_is_closer_than_an_unrelated_prompt(cached: CachedEmbedder) -> None:
    await assert_paraphrases_are_close(cached)


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
