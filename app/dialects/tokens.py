"""Counts the tokens of a text with the tokenizer of its model, or estimates them from its bytes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

#: A function that returns the tokens of a text.
Count = Callable[[str], float]

#: Characters of one text that a tokenizer reads, at 0.1 us each and on the event loop. Longer texts are counted in
#: pieces and extrapolated, with a mean error of 1.5%.
COUNT_CHARS = 4 * 1024
#: Characters of one text that the estimate reads, at 0.001 us each. Longer texts are extrapolated from pieces.
ESTIMATE_CHARS = 64 * 1024
#: Characters of a piece. The time of a tokenizer grows with the square of the length of a word without end.
PIECE = 1024
#: Seconds of loading after which a warning is logged; a tokenizer that is loaded later is still used.
LOAD_SECONDS = 30.0

log = logging.getLogger("pgrouter.tokens")

# Tokens that each byte of UTF-8 adds, and that the start of a run of bytes of one group adds. `python
# scripts/bench_tokens.py --fit` computes these numbers: least squares of the relative error against the mean of
# OpenAI's cl100k and o200k and DeepSeek's tokenizer on prompts, code, JSON and prose in ten languages.
_LETTER, _DIGIT, _SPACE, _BREAK, _MARK = range(5)
_KINDS: tuple[tuple[Iterable[int], int, float], ...] = (
    (range(0x80), _MARK, 0.04),
    (b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", _LETTER, 0.11),
    (b"0123456789", _DIGIT, 0.0),
    (b" ", _SPACE, 0.08),
    (b"\n\r\t", _BREAK, 0.70),
    (range(0x80, 0xC0), _LETTER, 0.09),  # continuation bytes
    (range(0xC0, 0xCE), _LETTER, 1.31),  # Latin beyond ASCII
    (range(0xCE, 0xD4), _LETTER, 0.19),  # Greek, Cyrillic
    (range(0xD4, 0xE2), _LETTER, 0.12),  # Hebrew, Arabic, scripts of India and South East Asia
    (range(0xE2, 0xE3), _LETTER, 0.77),  # typographic and mathematical signs
    (range(0xE3, 0xEA), _LETTER, 0.57),  # kana, Chinese characters
    (range(0xEA, 0xEE), _LETTER, 0.52),  # Hangul
    (range(0xEE, 0xF0), _LETTER, 0.57),  # full-width forms
    (range(0xF0, 0x100), _LETTER, 0.10),  # emoji
)
_STARTS = {_LETTER: 0.19, _DIGIT: 1.73, _SPACE: 0.36, _BREAK: 0.68, _MARK: 0.68}


def _tables() -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.float64]]:
    """Return for each byte its group, its tokens at the start of a text, and its tokens after byte b, at 256 * b."""
    groups, weights = np.zeros(256, np.uint8), np.zeros(256)
    for members, group, weight in _KINDS:
        at = list(members)
        groups[at], weights[at] = group, weight
    starts = np.array([_STARTS[group] for group in range(len(_STARTS))])[groups]
    behind = weights + np.where(groups[:, None] == groups, 0.0, starts)
    return groups, weights + starts, behind.ravel()


_GROUP, _FIRST, _BEHIND = _tables()


def estimate(text: str) -> float:
    """Return the estimated tokens of `text`, without a tokenizer.

    The mean error is 6 to 8% for English and code and mostly 5 to 25% for other languages; that of four characters per
    token is 17% for English and 57 to 65% for Chinese (`scripts/bench_tokens.py`).
    """
    if len(text) <= ESTIMATE_CHARS:
        return _estimate(text)
    pieces = list(_pieces(text, ESTIMATE_CHARS))
    return sum(map(_estimate, pieces)) * len(text) / sum(map(len, pieces))


def _estimate(text: str) -> float:
    if not text:
        return 0.0
    data = np.frombuffer(text.encode("utf-8", "replace"), np.uint8)
    pairs = data[:-1].astype(np.uint16)
    pairs <<= 8
    pairs |= data[1:]
    return float(_FIRST[data[0]] + np.add.reduce(_BEHIND.take(pairs)))


def _pieces(text: str, chars: int) -> Iterator[str]:
    """Yield pieces of `PIECE` characters, `chars` in all, spread evenly over `text`."""
    number = chars // PIECE
    for position in range(number):
        start = position * (len(text) - PIECE) // (number - 1)
        yield text[start : start + PIECE]


def counter(encode: Callable[[str], Any]) -> Count:
    """Return a function that counts tokens with a tokenizer's `encode`.

    For a text longer than `COUNT_CHARS`, it counts pieces and scales the estimate by their ratio of count to estimate.
    """

    def count(text: str) -> float:
        if len(text) <= COUNT_CHARS:
            return sum(len(encode(text[start : start + PIECE])) for start in range(0, len(text), PIECE))
        pieces = list(_pieces(text, COUNT_CHARS))
        return estimate(text) * sum(len(encode(piece)) for piece in pieces) / sum(map(_estimate, pieces))

    return count


@final
class Tokenizers:
    """The tokenizers of OpenAI's models, from the package `tiktoken` if it is installed.

    tiktoken reads a vocabulary from its cache (`TIKTOKEN_CACHE_DIR`) or downloads it. A background thread does this;
    until it has finished, or if it fails, tokens are estimated.
    """

    def __init__(self) -> None:
        self._counters: dict[str, Count | None] = {}
        self._logged = False

    def prepare(self, models: Iterable[str]) -> None:
        """Start to load the tokenizers of these models, given by their providers' names."""
        new = [model for model in models if model not in self._counters]
        if not new:
            return
        self._counters |= dict.fromkeys(new)
        # Daemon threads, so that a download that hangs does not keep the process from ending.
        timer = threading.Timer(
            LOAD_SECONDS, self._log_once, (logging.WARNING, f"no tokenizer was loaded within {LOAD_SECONDS:g} s")
        )
        timer.daemon = True
        timer.start()
        threading.Thread(target=self._load, args=(new, timer), name="tokenizers", daemon=True).start()

    def of(self, models: Iterable[str]) -> Count:
        """Return the first loaded tokenizer of these models, or `estimate` if none is loaded yet."""
        names = list(models)
        for name in names:
            known = self._counters.get(name)
            if known is not None:
                return known
        self.prepare(names)
        return estimate

    def _load(self, models: list[str], timer: threading.Timer) -> None:
        try:
            import tiktoken

            self._fill(tiktoken, models)
        except ImportError:
            self._log_once(logging.INFO, "to count those of OpenAI's models, pip install 'pgrouter[tiktoken]'")
        finally:
            timer.cancel()

    def _fill(self, tiktoken: Any, models: list[str]) -> None:
        for model in models:
            try:
                # Hosts of several vendors' models prefix the vendor: openai/gpt-4o.
                name = tiktoken.encoding_name_for_model(model.rsplit("/", 1)[-1])
            except KeyError:
                continue
            try:
                self._counters[model] = counter(tiktoken.get_encoding(name).encode_ordinary)
            except Exception as error:
                reason = f"{name} could not be loaded ({type(error).__name__}); TIKTOKEN_CACHE_DIR may hold it"
                self._log_once(logging.WARNING, reason)

    def _log_once(self, level: int, reason: str) -> None:
        if not self._logged:
            self._logged = True
            log.log(level, "tokens are estimated: %s", reason)
