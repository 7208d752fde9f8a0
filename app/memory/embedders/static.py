"""The default embedder: topic and form of a prompt as numbers, computed offline and on the event loop.

The first 256 numbers are the mean of wordllama's token vectors, the same as `WordLlama.load().embed(text, norm=True)`;
`surface.py` computes the others. Table and tokenizer are read from the files of the installed package wordllama (MIT);
importing the package would configure logging and load four C extensions that are not needed.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer

from ...errors import ConfigurationError
from . import surface
from .base import QUICK_CHARS, STATIC_SPACE, head_and_tail, replace_surrogates

READ_CHARS = 256 * 1024
"""Characters that are read, head and tail of a longer text: about 65,000 tokens; more hardly change the mean."""
MEANING = 256
#: Weights of the parts in the cosine of two prompts: meaning, words, format, length.
SHARES = (0.4, 0.2, 0.2, 0.2)
WORDS_KEPT = 32_768
SPACE = "▁"
PART_CHARS = len(SPACE) + QUICK_CHARS
# No token of this vocabulary contains a newline, or a space after another character, so byte-pair merges never cross
# these borders: words can be looked up one by one, 2 to 4 times as fast as by tokenizing the whole text. The bound of
# 64 characters keeps a very long word from blocking the event loop.
WORD = re.compile(f"{SPACE}{{1,64}}[^{SPACE}\n]{{0,64}}|\n|[^{SPACE}\n]{{1,64}}")


class StaticEmbedder:
    """Offline embedder: one table look-up per token, mean, length 1. Reads up to `READ_CHARS` characters."""

    name = STATIC_SPACE
    dimensions = MEANING + surface.DIMENSIONS
    quick = True

    def __init__(self) -> None:
        """Load tokenizer and table: about 0.15 s and 60 MB. Raises `ConfigurationError` if a file is missing."""
        tokenizer, self._table = _load(_package())
        model = tokenizer.model

        @lru_cache(maxsize=WORDS_KEPT)
        def token_ids(word: str) -> bytes:
            return np.array([token.id for token in model.tokenize(word)], np.uint16).tobytes()

        self._token_ids = token_ids
        self._surface = surface.Surface([tokenizer.id_to_token(number) or "" for number in range(len(self._table))])
        self._roots = np.repeat(np.sqrt(SHARES), (MEANING, surface.WORDS, surface.FORMAT, surface.LENGTH))

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return unit vectors, shape (len(texts), 354); yield to the event loop about every `QUICK_CHARS` characters.

        The form of a text is computed at its end without yielding: 10 ms for a million tokens, the longest text.
        """
        rows = np.zeros((len(texts), self.dimensions), np.float32)
        unyielded = 0
        for row, text in zip(rows, texts, strict=True):
            meaning, found = row[:MEANING], []
            for part in _parts(text):
                if unyielded + len(part) > PART_CHARS:
                    await asyncio.sleep(0)
                    unyielded = 0
                unyielded += len(part)
                tokens = np.frombuffer(b"".join(map(self._token_ids, WORD.findall(part))), np.uint16)
                meaning += np.add.reduce(self._table.take(tokens, axis=0))
                found.append(tokens)
            length = np.sqrt(meaning @ meaning)
            if length > 0:
                meaning /= length
                row[MEANING:] = self._surface.of(found[0] if len(found) == 1 else np.concatenate(found))
                row *= self._roots
        return rows

    async def close(self) -> None:
        """Do nothing: the embedder holds no resources."""


def _parts(text: str) -> Iterator[str]:
    """Yield the text as the tokenizer normalises it, in parts of at most `PART_CHARS`, split before a space."""
    if not text:
        return
    text = SPACE + replace_surrogates(head_and_tail(text, READ_CHARS)).replace(" ", SPACE)
    start = 0
    while start < len(text):
        end = start + PART_CHARS
        if end < len(text):
            cut = text.rfind(SPACE, end - 64, end)
            end = cut if cut > 0 else end
        yield text[start:end]
        start = end


def _package() -> Path:
    spec = find_spec("wordllama")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError("ROUTER_EMBEDDER=static needs the package wordllama: pip install wordllama")
    return Path(spec.submodule_search_locations[0])


@cache
def _load(package: Path) -> tuple[Tokenizer, NDArray[np.float32]]:
    vocabulary = package / "tokenizers" / "l2_supercat_tokenizer_config.json"
    weights = package / "weights" / "l2_supercat_256.safetensors"
    for path in (vocabulary, weights):
        if not path.is_file():
            raise ConfigurationError(
                f"ROUTER_EMBEDDER=static: {path} is missing; pip install --force-reinstall wordllama"
            )
    try:
        with safe_open(weights, "numpy") as file:
            table = file.get_tensor("embedding.weight")
        tokenizer = Tokenizer.from_file(str(vocabulary))
    except (SafetensorError, OSError) as error:
        raise ConfigurationError(f"ROUTER_EMBEDDER=static: {weights} cannot be read: {error}") from error
    if table.shape != (tokenizer.get_vocab_size(), MEANING):
        raise ConfigurationError(f"ROUTER_EMBEDDER=static: {weights} holds {table.shape}, not (32000, 256).")
    # float32 although the file has float16: 16 MB more, and 7 times as fast to sum.
    return tokenizer, table.astype(np.float32)
