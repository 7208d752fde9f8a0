"""The prompts of scripts/data with their labels, embedded as the proxy embeds them, and copies beyond their number."""

from __future__ import annotations

import asyncio
import csv
import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.memory.embedders.static import StaticEmbedder

DATA = Path(__file__).resolve().parents[1] / "data"
#: The models of the benchmark's tenants, each with the column of either file that labels it, if one does.
MODELS = {
    "small": ("mistralai/Mixtral-8x7B-Instruct-v0.1", "qwen2.5-7b-instruct"),
    "medium": (None, "llama-3.1-8b-instruct"),
    "large": ("gpt-4-1106-preview", "llama-3.1-nemotron-51b-instruct"),
}
FILES = ("routellm.csv.gz", "llmrouter.csv.gz")
#: Answered with a letter; the others take some lines. The files say nothing of answers' lengths.
CHOICES = frozenset({"mmlu", "openbook_qa", "arc_challenge", "commonsense_qa", "gpqa"})
CHOICE_TOKENS, TEXT_TOKENS = 2.0, 150.0

#: The share of `Corpus.copies`, and how many are made at a time.
JITTER = 0.55
CHUNK = 10_000

Vectors = NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a memory knows of a prompt but its embedding; the arrays are by model, in the order of `MODELS`."""

    tokens: int
    quality: tuple[float | None, ...]
    completion_tokens: tuple[float | None, ...]


@dataclass(frozen=True)
class Corpus:
    """Prompts in random order, the same in every run; `vectors` has shape (len(prompts), width), rows of length 1."""

    prompts: list[Prompt]
    vectors: Vectors

    def part(self, start: int, stop: int) -> Corpus:
        """Some of the prompts."""
        return Corpus(self.prompts[start:stop], self.vectors[start:stop])

    def copies(self, many: int) -> Iterator[tuple[NDArray[np.int64], Vectors]]:
        """`many` embeddings in chunks of `CHUNK`, with the prompts they come from: each once, then copies with jitter.

        A copy is a prompt's embedding moved by a share of the difference of two others, so that copies scatter in the
        directions in which prompts do. Two copies of a prompt are about as near to each other (cosine 0.64) as a prompt
        is to its nearest neighbour. Fewer are the beginning of more.
        """
        rng = np.random.default_rng(1)
        real = self.vectors.astype(np.float32)
        for start in range(0, many, CHUNK):
            numbers = np.arange(start, start + CHUNK, dtype=np.int64)
            source = numbers % len(real)
            rows = real[source]
            copied = numbers >= len(real)
            pairs = rng.integers(0, len(real), (2, int(copied.sum())))
            rows[copied] += JITTER * (real[pairs[0]] - real[pairs[1]])
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
            yield source[: many - start], rows[: many - start].astype(np.float16)


def load(width: int, limit: int | None = None) -> Corpus:
    """All prompts of both files, or `limit` of them, their embeddings padded with zeros to `width`.

    About 0.3 ms a prompt. A prompt that the embedder finds nothing in is left out.
    """
    texts: list[str] = []
    prompts: list[Prompt] = []
    for position, file in enumerate(FILES):
        columns = [names[position] for names in MODELS.values()]
        with gzip.open(DATA / file, "rt", encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines):
                quality = tuple(float(row[f"q:{name}"]) if name else None for name in columns)
                tokens = CHOICE_TOKENS if row["bench"] in CHOICES else TEXT_TOKENS
                lengths = tuple(None if label is None else tokens for label in quality)
                texts.append(row["prompt"])
                prompts.append(Prompt(len(row["prompt"]) // 4 + 1, quality, lengths))
    order = np.random.default_rng(0).permutation(len(texts))[:limit].tolist()
    found = asyncio.run(StaticEmbedder().embed([texts[i] for i in order]))
    kept = np.flatnonzero(found.any(axis=1))
    vectors = np.zeros((len(kept), width), np.float16)
    vectors[:, : found.shape[1]] = found[kept]
    return Corpus([prompts[order[i]] for i in kept.tolist()], vectors)
