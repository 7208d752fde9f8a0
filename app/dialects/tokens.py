"""How many tokens a text has: by its model's own tokenizer where that is at hand, else estimated from its bytes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

#: Tokens of a text.
Count = Callable[[str], float]

#: Characters that a tokenizer reads of one text, at 0.1 us each and on the event loop; what is longer is counted in
#: pieces and extrapolated, 1.5% off on average.
COUNTED = 4 * 1024
#: Characters that the estimate reads, at 0.001 us each.
ESTIMATED = 64 * 1024
#: A tokenizer is given no longer piece than this, for one endless word takes it time that grows with its square.
PIECE = 1024
#: After so many seconds of loading the log says that tokens are estimated; a tokenizer that comes later is still used.
LOAD_SECONDS = 30.0

log = logging.getLogger("pgrouter.tokens")

# What a byte of UTF-8 adds, and what a run of bytes of one group adds where it starts. `python scripts/bench_tokens.py
# --fit` finds these numbers: least squares of the relative error against the mean of OpenAI's cl100k and o200k and
# DeepSeek's tokenizer on prompts, code, JSON and prose in ten languages.
_LETTER, _DIGIT, _SPACE, _BREAK, _MARK = range(5)
_KINDS: tuple[tuple[Iterable[int], int, float], ...] = (
    (range(0x80), _MARK, 0.04),
    (b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", _LETTER, 0.11),
    (b"0123456789", _DIGIT, 0.0),
    (b" ", _SPACE, 0.08),
    (b"\n\r\t", _BREAK, 0.70),
    (range(0x80, 0xC0), _LETTER, 0.09),  # all bytes of a character but its first
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
    """Of each byte its group, what it adds at the beginning of a text, and behind another: at 256 * that + this."""
    groups, weights = np.zeros(256, np.uint8), np.zeros(256)
    for members, group, weight in _KINDS:
        at = list(members)
        groups[at], weights[at] = group, weight
    starts = np.array([_STARTS[group] for group in range(len(_STARTS))])[groups]
    behind = weights + np.where(groups[:, None] == groups, 0.0, starts)
    return groups, weights + starts, behind.ravel()


_GROUP, _FIRST, _BEHIND = _tables()


def estimate(text: str) -> float:
    """Tokens of `text` for a tokenizer that is not here: 6 to 8% off for English and code, mostly 5 to 25% elsewhere.

    Four characters a token are 17% off for English and 57 to 65% for Chinese (`scripts/bench_tokens.py`). Past
    `ESTIMATED` characters it is extrapolated from pieces.
    """
    if len(text) <= ESTIMATED:
        return _estimate(text)
    read = list(_pieces(text, ESTIMATED))
    return sum(map(_estimate, read)) * len(text) / sum(map(len, read))


def _estimate(text: str) -> float:
    if not text:
        return 0.0
    data = np.frombuffer(text.encode("utf-8", "replace"), np.uint8)
    pairs = data[:-1].astype(np.uint16)
    pairs <<= 8
    pairs |= data[1:]
    return float(_FIRST[data[0]] + np.add.reduce(_BEHIND.take(pairs)))


def _pieces(text: str, most: int) -> Iterator[str]:
    """Pieces of `text` of `PIECE` characters, `most` together, evenly from its beginning to its end."""
    number = most // PIECE
    for position in range(number):
        start = position * (len(text) - PIECE) // (number - 1)
        yield text[start : start + PIECE]


def counter(encode: Callable[[str], Any]) -> Count:
    """Counts by a tokenizer's `encode`, a text longer than `COUNTED` by what its pieces are to their estimate."""

    def count(text: str) -> float:
        if len(text) <= COUNTED:
            return sum(len(encode(text[start : start + PIECE])) for start in range(0, len(text), PIECE))
        read = list(_pieces(text, COUNTED))
        return estimate(text) * sum(len(encode(piece)) for piece in read) / sum(map(_estimate, read))

    return count


@final
class Tokenizers:
    """The tokenizers of OpenAI's models, by `tiktoken` if that is installed.

    tiktoken reads a vocabulary from its cache (`TIKTOKEN_CACHE_DIR`) or fetches it. That is done on a thread of its
    own, which nobody waits for: until it is done, and if it cannot be, tokens are estimated.
    """

    def __init__(self) -> None:
        self._counters: dict[str, Count | None] = {}
        self._said = False

    def prepare(self, models: Iterable[str]) -> None:
        """Begin to load the tokenizers of these models, by the provider's names for them."""
        new = [model for model in models if model not in self._counters]
        if not new:
            return
        self._counters |= dict.fromkeys(new)
        # Daemons: a download that hangs must not keep the process from ending.
        late = threading.Timer(LOAD_SECONDS, self._say, (logging.WARNING, f"none was loaded in {LOAD_SECONDS:g} s"))
        late.daemon = True
        late.start()
        threading.Thread(target=self._load, args=(new, late), name="tokenizers", daemon=True).start()

    def of(self, models: Iterable[str]) -> Count:
        """What counts the tokens of a request that any of these models may serve: the first tokenizer that is there."""
        names = list(models)
        for name in names:
            known = self._counters.get(name)
            if known is not None:
                return known
        self.prepare(names)
        return estimate

    def _load(self, models: list[str], late: threading.Timer) -> None:
        try:
            import tiktoken

            self._fill(tiktoken, models)
        except ImportError:
            self._say(logging.INFO, "pip install 'pgrouter[tiktoken]' counts those of OpenAI's models")
        finally:
            late.cancel()

    def _fill(self, tiktoken: Any, models: list[str]) -> None:
        for model in models:
            try:
                # A host of many makers' models calls them openai/gpt-4o.
                name = tiktoken.encoding_name_for_model(model.rsplit("/", 1)[-1])
            except KeyError:
                continue
            try:
                self._counters[model] = counter(tiktoken.get_encoding(name).encode_ordinary)
            except Exception as error:
                why = f"{name} could not be loaded ({type(error).__name__}); TIKTOKEN_CACHE_DIR may hold it"
                self._say(logging.WARNING, why)

    def _say(self, level: int, why: str) -> None:
        if not self._said:
            self._said = True
            log.log(level, "tokens are estimated: %s", why)
