"""The commands `pgrouter model`."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from app.cli import main
from tests.support.commands import Command, complaint, printed


def test_prices_are_filled_in_where_they_are_known(acme: Command) -> None:
    acme("model", "add", "small", "--provider", "openai", "--upstream-name", "gpt-4.1-mini")
    model = {model["name"]: model for model in printed(acme("model", "list", "--json"))}["small"]
    assert (model["input_price"], model["cached_input_price"], model["output_price"]) == (0.4, 0.1, 1.6)
    assert model["context_window"] == 1_047_576
    assert model["priced_on"] is not None


def test_a_price_of_ones_own_wins_over_the_list_price(acme: Command) -> None:
    acme("model", "add", "gpt-4.1", "--provider", "openai", "--input-price", "1.5")
    model = {model["name"]: model for model in printed(acme("model", "list", "--json"))}["gpt-4.1"]
    assert (model["input_price"], model["cached_input_price"]) == (1.5, None)
    assert model["output_price"] == 8.0


def test_a_model_keeps_what_is_not_given_again(acme: Command) -> None:
    acme("model", "add", "fast", "--provider", "openai", "--upstream-name", "gpt-4o-mini", "--no-vision")
    acme("model", "add", "fast", "--input-price", "3")
    model = {model["name"]: model for model in printed(acme("model", "list", "--json"))}["fast"]
    assert (model["upstream_name"], model["vision"], model["input_price"], model["output_price"]) == (
        "gpt-4o-mini",
        False,
        3.0,
        0.6,
    )


@pytest.mark.parametrize("price", ["-1", "nan", "inf", "1000001"])
def test_a_price_is_a_number_from_0_to_a_million(price: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nowhere")
    result = CliRunner().invoke(main, ["model", "add", "mine", "--provider", "openai", f"--input-price={price}"])
    assert result.exit_code == 2
    assert "outside 0 to 1,000,000" in result.stderr


def test_a_model_without_a_known_price_is_added_with_a_warning(acme: Command) -> None:
    added = acme("model", "add", "mine", "--provider", "openai")
    assert "no known price" in added.stderr


def test_a_model_needs_a_provider_that_is_there(acme: Command) -> None:
    said = complaint(acme("model", "add", "mine", "--provider", "nowhere", code=1))
    assert "pgrouter provider add nowhere" in said


def test_all_known_models_of_a_provider_are_added_with_prices(acme: Command) -> None:
    acme("model", "add", "--all-known", "openai")
    models = {model["name"]: model for model in printed(acme("model", "list", "--json"))}
    assert {"gpt-4.1", "gpt-4o", "o3"} <= models.keys()
    assert all(model["input_price"] is not None and model["output_price"] is not None for model in models.values())
    assert not [name for name in models if "embedding" in name or "whisper" in name or "image" in name]


def test_all_known_does_not_bring_back_a_disabled_model(acme: Command) -> None:
    acme("model", "disable", "gpt-4o-mini")
    acme("model", "add", "--all-known", "openai")
    assert not {model["name"]: model for model in printed(acme("model", "list", "--json"))}["gpt-4o-mini"]["enabled"]


def test_a_default_model_cannot_be_disabled(acme: Command) -> None:
    said = complaint(acme("model", "disable", "gpt-4o", code=1))
    assert "policy auto of tenant 'acme'" in said
    assert {model["name"]: model for model in printed(acme("model", "list", "--json"))}["gpt-4o"]["enabled"]


def test_a_disabled_model_comes_back_as_it_was(acme: Command) -> None:
    before = acme("model", "list", "--json").stdout
    acme("model", "disable", "gpt-4o-mini")
    assert acme("model", "list", "--json").stdout != before
    acme("model", "enable", "gpt-4o-mini")
    assert acme("model", "list", "--json").stdout == before
