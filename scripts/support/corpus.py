"""The prompts of the label sets, embedded as by the proxy, and copies of them with jitter."""

from __future__ import annotations

import asyncio
import csv
import gzip
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.memory.embedders.static import StaticEmbedder
from scripts.labels.files import label_files, set_name

#: The models of the benchmark's tenants.
MODELS = ("small", "medium", "large")
#: Their columns in the sets of the README's figures; in other sets the models are chosen by cost.
COLUMNS: dict[str, tuple[str | None, ...]] = {
    "routellm": ("mistralai/Mixtral-8x7B-Instruct-v0.1", None, "gpt-4-1106-preview"),
    "llmrouter": ("qwen2.5-7b-instruct", "llama-3.1-8b-instruct", "llama-3.1-nemotron-51b-instruct"),
}
#: Benches whose answers are a letter; other answers are some lines. Label sets do not have the lengths of answers.
CHOICES = frozenset({"mmlu", "openbook_qa", "arc_challenge", "commonsense_qa", "gpqa"})
CHOICE_TOKENS, TEXT_TOKENS = 2.0, 150.0

#: The share of a difference that jitter adds to a copy, and the number of copies made at a time.
JITTER = 0.55
CHUNK = 10_000

Vectors = NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class Prompt:
    """The columns of a memory except its embedding; the arrays are by model, in the order of `MODELS`."""

    tokens: int
    quality: tuple[float | None, ...]
    completion_tokens: tuple[float | None, ...]


@dataclass(frozen=True)
class Corpus:
    """Prompts in random order, the same in every run; `vectors` has shape (len(prompts), width), rows of length 1."""

    prompts: list[Prompt]
    vectors: Vectors

    def part(self, start: int, stop: int) -> Corpus:
        """Return some of the prompts."""
        return Corpus(self.prompts[start:stop], self.vectors[start:stop])

    def copies(self, many: int) -> Iterator[tuple[NDArray[np.int64], Vectors]]:
        """Yield `many` embeddings in chunks of `CHUNK`, with their prompts: each once, then copies with jitter.

        A copy is a prompt's embedding moved by a share of the difference of two others, so that copies vary in the
        same directions as prompts. Two copies of a prompt are about as near to each other (cosine 0.64) as a prompt
        is to its nearest neighbour. A smaller number yields the beginning of the same sequence.
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
    """Embed all prompts of the label sets, or `limit` of them, the vectors padded with zeros to `width`.

    About 0.3 ms a prompt. A prompt that cannot be embedded is left out.
    """
    texts: list[str] = []
    prompts: list[Prompt] = []
    for file in label_files():
        found = rows(file)
        columns = COLUMNS.get(set_name(file)) or by_cost(found)
        for row in found:
            quality = tuple(float(row[f"q:{name}"]) if name and row[f"q:{name}"] else None for name in columns)
            tokens = CHOICE_TOKENS if row.get("bench") in CHOICES else TEXT_TOKENS
            lengths = tuple(None if label is None else tokens for label in quality)
            texts.append(row["prompt"])
            prompts.append(Prompt(len(row["prompt"]) // 4 + 1, quality, lengths))
    order = np.random.default_rng(0).permutation(len(texts))[:limit].tolist()
    embedded = asyncio.run(StaticEmbedder().embed([texts[i] for i in order]))
    kept = np.flatnonzero(embedded.any(axis=1))
    vectors = np.zeros((len(kept), width), np.float16)
    vectors[:, : embedded.shape[1]] = embedded[kept]
    return Corpus([prompts[order[i]] for i in kept.tolist()], vectors)


def rows(file: Path) -> list[dict[str, str]]:
    """Return the rows of a label set."""
    csv.field_size_limit(1 << 26)
    opened = gzip.open if file.suffix == ".gz" else open
    with opened(file, "rt", encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def by_cost(found: Sequence[Mapping[str, str]]) -> tuple[str | None, ...]:
    """Return the cheapest model of a label set, the middle one (None: there are two), and the dearest."""
    names = [column[2:] for column in found[0] if column.startswith("c:")]
    names.sort(key=lambda name: sum(float(row[f"c:{name}"] or 0) for row in found))
    return names[0], names[len(names) // 2] if len(names) > 2 else None, names[-1]
