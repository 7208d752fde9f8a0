"""Token counts: close in any language, bounded for any text, and no request waits for a vocabulary."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import groupby
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dialects import tokens
from app.dialects.tokens import Tokenizers, estimate

#: Texts with their numbers of tokens in OpenAI's o200k_base, and in the older cl100k_base.
KNOWN = [
    ("The quick brown fox jumps over the lazy dog, and nobody was surprised by it at all.", 19, 19),
    ("Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May.", 24, 25),
    ("请用简单的语言解释一下什么是机器学习，并举两个日常生活中的例子。", 21, 34),
    ("機械学習とは何かを簡単な言葉で説明し、日常生活の例を二つ挙げてください。", 31, 47),
    ("Объясни простыми словами, что такое машинное обучение, и приведи два примера из жизни.", 22, 38),
    ("Erkläre in einfachen Worten, was maschinelles Lernen ist, und nenne zwei Beispiele aus dem Alltag.", 23, 30),
    ("def mean(values):\n    total = 0\n    for value in values:\n        total += value\n    return total\n", 25, 25),
    ('{"id": 7, "name": "Ada", "tags": ["x", "y"], "score": 0.25}', 29, 29),
]


@pytest.mark.parametrize(("text", "newer", "older"), KNOWN)
def test_an_estimate_is_near_what_tokenizers_count(text: str, newer: int, older: int) -> None:
    assert 0.8 * min(newer, older) < estimate(text) < 1.25 * max(newer, older)


@given(text=st.text(st.sampled_from("aZ09 \n\t.,é中😀\ud800\0к"), min_size=1, max_size=40))
def test_an_estimate_is_the_sum_of_its_bytes_and_of_the_beginnings_of_its_runs(text: str) -> None:
    group_and_weight = {byte: kind[1:] for kind in tokens._KINDS for byte in kind[0]}
    found = [group_and_weight[byte] for byte in text.encode("utf-8", "replace")]
    runs = [group for group, _ in groupby(group for group, _ in found)]
    expected = sum(weight for _, weight in found) + sum(tokens._STARTS[group] for group in runs)
    assert estimate(text) == pytest.approx(expected, rel=1e-12)


def test_nothing_has_no_tokens() -> None:
    assert estimate("") == 0
    assert tokens.counter(list)("") == 0


@pytest.mark.parametrize("text", ["\ud800", "\0", "😀" * 10, "é" * 100_000, "a" * 10**6, " " * 10**6, "中" * 10**5])
def test_any_text_is_counted(text: str) -> None:
    assert 0 < estimate(text) <= 1.5 * len(text)
    assert tokens.counter(list)(text) == pytest.approx(len(text))


def test_a_tokenizer_never_sees_more_than_a_part_of_a_long_text() -> None:
    seen: list[str] = []

    def encode(text: str) -> list[str]:
        seen.append(text)
        return text.split()

    text = "one two three four five six seven eight nine ten. " * 20_000
    assert tokens.counter(encode)(text) == pytest.approx(200_000, rel=0.02)
    assert sum(map(len, seen)) <= tokens.COUNT_CHARS
    assert max(map(len, seen)) <= tokens.PIECE


def test_a_text_within_the_bound_is_counted_whole() -> None:
    assert tokens.counter(list)("x" * tokens.COUNT_CHARS) == tokens.COUNT_CHARS


# Loading. `tiktoken` is the boundary to the network: it downloads vocabularies that its cache does not have.


class Library(SimpleNamespace):
    """Replaces the package tiktoken; `get` loads a vocabulary."""

    def __init__(self, get: Callable[[str], Any]) -> None:
        super().__init__(get_encoding=get)

    @staticmethod
    def encoding_name_for_model(model: str) -> str:
        if not model.startswith("gpt-"):
            raise KeyError(model)
        return "o200k_base"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[str], Any]], Tokenizers]:
    """Return tokenizers with a tiktoken that loads its vocabularies this way."""

    def install(get: Callable[[str], Any]) -> Tokenizers:
        monkeypatch.setitem(sys.modules, "tiktoken", Library(get))
        return Tokenizers()

    return install


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Set at the end, so that no thread is left waiting."""
    event = threading.Event()
    yield event
    event.set()


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


def test_a_model_of_openai_is_counted_by_its_tokenizer(installed: Any) -> None:
    tokenizers = installed(lambda name: SimpleNamespace(encode_ordinary=list))
    tokenizers.prepare(["gpt-4o", "openai/gpt-5", "claude-sonnet-4-5"])
    until(lambda: tokenizers.of(["openai/gpt-5"])("x" * 40) == 40)
    assert tokenizers.of(["gpt-4o"])("x" * 40) == 40
    assert tokenizers.of(["claude-sonnet-4-5"]) is estimate
    assert tokenizers.of(["claude-sonnet-4-5", "gpt-4o"])("x" * 40) == 40


def test_a_model_that_comes_later_is_loaded_when_it_is_first_asked_for(installed: Any) -> None:
    tokenizers = installed(lambda name: SimpleNamespace(encode_ordinary=list))
    assert tokenizers.of(["claude-x"]) is estimate
    tokenizers.of(["gpt-4o"])
    until(lambda: tokenizers.of(["gpt-4o"]) is not estimate)


def test_no_request_waits_for_a_vocabulary_that_does_not_load(
    installed: Any, gate: threading.Event, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tokens, "LOAD_SECONDS", 0.05)
    tokenizers = installed(lambda name: gate.wait(30) and SimpleNamespace(encode_ordinary=list))
    tokenizers.prepare(["gpt-4o"])
    assert tokenizers.of(["gpt-4o"]) is estimate
    until(lambda: "tokens are estimated" in caplog.text)
    gate.set()
    until(lambda: tokenizers.of(["gpt-4o"]) is not estimate)


def test_a_vocabulary_that_cannot_be_loaded_is_logged_once(installed: Any, caplog: pytest.LogCaptureFixture) -> None:
    asked: list[str] = []

    def get(name: str) -> Any:
        asked.append(name)
        raise ConnectionError("no network")

    tokenizers = installed(get)
    tokenizers.prepare(["gpt-4o", "gpt-5"])
    until(lambda: len(asked) == 2)
    for _ in range(3):
        assert tokenizers.of(["gpt-4o", "gpt-5"]) is estimate
    until(lambda: bool(caplog.records))
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "o200k_base" in caplog.text
    assert len(asked) == 2


def test_without_the_package_tokens_are_estimated(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "tiktoken", None)
    caplog.set_level(logging.INFO)
    tokenizers = Tokenizers()
    tokenizers.prepare(["gpt-4o"])
    until(lambda: "pgrouter[tiktoken]" in caplog.text)
    assert tokenizers.of(["gpt-4o"]) is estimate
