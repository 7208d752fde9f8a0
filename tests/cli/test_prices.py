"""List prices, shares of them, and the commands `pgrouter price`."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from app.operations import list_prices
from tests.support.commands import Command, printed


def test_prices_of_a_host_that_the_data_does_not_have_are_not_guessed() -> None:
    assert list_prices.lookup("gpt-4o", "my-cluster", "http://10.0.0.1/v1") is None
    assert list_prices.lookup("gpt-4o", "my-account", "https://api.openai.com/v1") is not None


def test_a_price_with_tiers_is_the_lowest_tiers_and_one_that_changed_is_the_days() -> None:
    tiered = list_prices.lookup("gemini-2.5-pro", "google")
    assert tiered is not None
    assert (tiered.input, tiered.output) == (1.25, 10.0)
    changed = [list_prices.lookup("o3", "openai", now=datetime(year, 12, 1, tzinfo=UTC)) for year in (2024, 2025)]
    assert [price and price.input for price in changed] == [10.0, 2.0]


def test_a_price_is_as_old_as_the_data_it_is_from(acme: Command) -> None:
    listed = list_prices.lookup("gpt-4o", "openai")
    assert listed is not None
    assert date(2025, 1, 1) < listed.on <= datetime.now(UTC).date()
    acme("model", "add", "gpt-4.1", "--provider", "openai")
    model = {model["name"]: model for model in printed(acme("model", "list", "--json"))}["gpt-4.1"]
    assert model["priced_on"] == listed.on.isoformat()


def test_a_vector_costs_what_its_prompt_costs() -> None:
    listed = list_prices.lookup("text-embedding-3-small", "openai")
    assert listed is not None
    assert (listed.input, listed.output) == (0.02, 0.0)


def test_a_price_with_a_part_for_each_request_is_none() -> None:
    assert list_prices.lookup("sonar", "perplexity") is None


def test_a_price_that_grows_with_the_prompt_gets_a_warning(acme: Command) -> None:
    acme("provider", "add", "google", "--base-url", "http://127.0.0.1:9/v1")
    assert (
        "costs more from 200000 prompt tokens" in acme("model", "add", "gemini-2.5-pro", "--provider", "google").stderr
    )


def test_cached_tokens_may_be_priced_as_a_share_of_input(acme: Command) -> None:
    acme("model", "add", "gpt-4o", "--cache-share", "0.1")
    acme(
        "model",
        "add",
        "mine",
        "--provider",
        "openai",
        "--input-price",
        "2",
        "--output-price",
        "4",
        "--cache-share",
        "0.25",
    )
    models = {model["name"]: model for model in printed(acme("model", "list", "--json"))}
    assert [models[name]["cached_input_price"] for name in ("gpt-4o", "mine")] == [0.25, 0.5]
    assert (
        "--cached-input-price"
        in acme("model", "add", "gpt-4o", "--cache-share", "0.1", "--cached-input-price", "1", code=2).stderr
    )
    assert "0 to 1" in acme("model", "add", "gpt-4o", "--cache-share", "1.5", code=2).stderr


def test_a_share_of_a_price_is_rounded_as_expected(acme: Command) -> None:
    acme("price", "set", "acme", "gpt-4o", "--input-price", "3", "--output-price", "5", "--cache-share", "0.1")
    listed = {row["model"]: row for row in printed(acme("price", "list", "acme", "--json"))}
    assert listed["gpt-4o"]["cached_input_price"] == 0.3


# Prices of a tenant's own


def test_a_tenant_pays_what_was_set_until_it_is_unset(acme: Command) -> None:
    acme("price", "set", "acme", "gpt-4o", "--input-price", "1", "--output-price", "5", "--cache-share", "0.5")
    listed = {row["model"]: row for row in printed(acme("price", "list", "acme", "--json"))}
    assert listed["gpt-4o"] == {
        "model": "gpt-4o", "provider": "openai", "input_price": 1.0, "cached_input_price": 0.5, "output_price": 5.0,
        "priced_on": datetime.now(UTC).date().isoformat(), "origin": "tenant",
    }  # fmt: skip
    assert listed["gpt-4o-mini"]["origin"] == "model"
    acme("price", "unset", "acme", "gpt-4o")
    assert {row["origin"] for row in printed(acme("price", "list", "acme", "--json"))} == {"model"}
    assert "no price of its own" in acme("price", "unset", "acme", "gpt-4o").stderr


def test_old_prices_get_a_warning(acme: Command) -> None:
    both = ("--input-price", "1", "--output-price", "5")
    acme("price", "set", "acme", "gpt-4o", *both, "--priced-on", "2024-05-06")
    said = acme("price", "list", "acme")
    assert "2024-05-06" in said.stdout
    assert "days: gpt-4o. Set new ones by `pgrouter price set acme MODEL`." in said.stderr
    acme("price", "unset", "acme", "gpt-4o")
    acme("model", "add", "gpt-4o", "--provider", "openai", "--input-price", "2", "--output-price", "9")
    assert acme("price", "list", "acme").stderr == ""
    assert acme("model", "list").stderr == ""


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["gpt-4o", "--input-price", "1"], 2, "--output-price"),
        (["gpt-4o", "--input-price", "nan", "--output-price", "1"], 2, "0 to 1,000,000"),
        (["gpt-4o", "--input-price", "1", "--output-price", "1", "--priced-on", "soon"], 2, "not a date"),
        (["gpt-4o", "--input-price", "1", "--output-price", "1", "--priced-on", "2999-01-01"], 2, "in the future"),
        (["nothing", "--input-price", "1", "--output-price", "1"], 1, "there is no model nothing"),
    ],
)
def test_a_price_that_cannot_be_is_refused(acme: Command, arguments: list[str], code: int, said: str) -> None:
    assert said in acme("price", "set", "acme", *arguments, code=code).stderr
