"""The rule that chooses the candidates of `auto` if none are named, on invented lists."""

from __future__ import annotations

from datetime import date

import pytest

from app.operations import list_prices
from app.operations.default_candidates import FACTOR, default_candidates
from app.operations.list_prices import Price


def price(paid_in: float, paid_out: float, context_window: int | None = 128_000) -> Price:
    return Price(paid_in, None, paid_out, context_window, date(2026, 1, 1))


KNOWN = {
    "gpt-4o": price(2.5, 10),
    "gpt-4o-mini": price(0.15, 0.6),
    "gpt-4.1": price(2, 8),
    "gpt-4.1-mini": price(0.4, 1.6),
}


def test_the_dearest_of_the_newest_version_is_the_strong_one() -> None:
    assert default_candidates(KNOWN) == ("gpt-4.1-mini", "gpt-4.1")


def test_new_models_appear() -> None:
    new = {**KNOWN, "gpt-7-sol": price(3, 12), "gpt-7-luna": price(0.2, 0.8)}
    assert default_candidates(new, new) == ("gpt-7-luna", "gpt-7-sol")


def test_models_that_the_provider_lists_no_more_disappear() -> None:
    assert default_candidates(KNOWN, ["gpt-4o", "gpt-4o-mini"]) == ("gpt-4o-mini", "gpt-4o")


def test_if_the_newest_version_has_no_cheap_model_an_older_one_gives_it() -> None:
    assert default_candidates(KNOWN, ["gpt-4.1", "gpt-4o", "gpt-4o-mini"]) == ("gpt-4o-mini", "gpt-4.1")


def test_names_without_a_known_price_do_not_count() -> None:
    assert default_candidates(KNOWN, [*KNOWN, "gpt-9", "llama-70b"]) == ("gpt-4.1-mini", "gpt-4.1")
    assert default_candidates(KNOWN, ["gpt-9", "llama-70b"]) == ()


def test_a_provider_that_lists_nothing_has_no_candidates() -> None:
    assert default_candidates(KNOWN, []) == ()
    assert default_candidates({}) == ()


def test_one_model_alone_is_the_only_candidate() -> None:
    assert default_candidates(KNOWN, ["gpt-4o"]) == ("gpt-4o",)


def test_models_of_nearly_the_same_price_are_no_pair() -> None:
    near = {"gpt-8": price(4, 16), "gpt-8-mini": price(4.1 / FACTOR, 16.1 / FACTOR)}
    assert default_candidates(near) == ("gpt-8",)


@pytest.mark.parametrize(
    "name",
    [
        "gpt-9-2027-01-31",
        "gpt-9-0131",
        "gpt-9-latest",
        "gpt-9-preview",
        "gpt-9-search-api",
        "gpt-9-audio",
        "gpt-9-realtime",
        "gpt-9-codex",
        "gpt-9-pro",
        "gpt-9-cyber",
        "chat-large",
    ],
)
def test_snapshots_aliases_and_special_variants_do_not_count(name: str) -> None:
    assert default_candidates({**KNOWN, name: price(20, 80)}) == ("gpt-4.1-mini", "gpt-4.1")


def test_models_of_unknown_context_window_do_not_count() -> None:
    assert default_candidates({**KNOWN, "gpt-9": price(20, 80, None)}) == ("gpt-4.1-mini", "gpt-4.1")


def test_the_data_of_genai_prices_has_a_pair_for_openai() -> None:
    known = list_prices.chat_models("openai")
    cheap, strong = default_candidates(known)
    assert known[cheap].input + known[cheap].output <= (known[strong].input + known[strong].output) / FACTOR
