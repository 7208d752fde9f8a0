"""The cost of a request, the one formula that comparisons and reservations share."""

from __future__ import annotations

import pytest

from app.entities import cost_usd


def test_prompt_and_answer_are_charged_at_their_prices_per_million_tokens() -> None:
    assert cost_usd(2.5, 10, 1000, 100) == pytest.approx(0.0035)


def test_cached_tokens_are_charged_at_their_own_price() -> None:
    assert cost_usd(2.5, 10, 1000, 100, cached_tokens=400, cached_input_price=1.25) == pytest.approx(0.003)


def test_without_a_price_of_their_own_cached_tokens_cost_as_much_as_others() -> None:
    assert cost_usd(2.5, 10, 1000, 100, cached_tokens=400) == cost_usd(2.5, 10, 1000, 100)


def test_more_cached_tokens_than_the_prompt_has_are_not_charged() -> None:
    assert cost_usd(2, 10, 100, 0, cached_tokens=10**6, cached_input_price=1) == pytest.approx(100 / 1e6)


@pytest.mark.parametrize(("paid_in", "paid_out"), [(None, 10), (2.5, None), (None, None)])
def test_a_model_without_both_prices_has_no_cost(paid_in: float | None, paid_out: float | None) -> None:
    assert cost_usd(paid_in, paid_out, 1000, 100) is None
