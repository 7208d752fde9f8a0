"""The commands `pgrouter model`."""

from __future__ import annotations

from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli import main
from tests.support.commands import Command, complaint, printed


def test_prices_are_filled_in_where_they_are_known(acme: Command) -> None:
    acme("model", "add", "small", "--provider", "openai", "--upstream-name", "gpt-4.1-mini")
    model = {model["name"]: model for model in printed(acme("model", "list", "--json"))}["small"]
    assert (model["input_price"], model["cached_input_price"], model["output_price"]) == (0.4, 0.1, 1.6)
    assert model["context_window"] == 1_000_000
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


# Settings, and prices of the upstream model


def listed(command: Command, name: str) -> dict[str, Any]:
    found: dict[str, Any] = {model["name"]: model for model in printed(command("model", "list", "--json"))}[name]
    return found


def test_a_model_with_settings_needs_only_a_name_and_its_upstream_model(acme: Command) -> None:
    added = acme("model", "add", "mini-low", "--upstream", "gpt-4o-mini", "--set", "reasoning_effort=low")
    assert "0.6 out, the prices of gpt-4o-mini." in added.stdout
    assert "It sets reasoning_effort=low." in added.stdout
    row = listed(acme, "mini-low")
    assert (row["provider"], row["upstream_name"], row["context_window"]) == ("openai", "gpt-4o-mini", 128_000)
    assert (row["input_price"], row["cached_input_price"], row["output_price"]) == (0.15, 0.075, 0.6)
    assert (row["settings"], row["priced_by"]) == ({"reasoning_effort": "low"}, "gpt-4o-mini")
    table = acme("model", "list").stdout
    assert "reasoning_effort=low" in table
    assert "priced_by" in table


def test_its_prices_follow_those_of_the_upstream_model_unless_it_has_its_own(acme: Command) -> None:
    acme("model", "add", "mini-low", "--upstream", "gpt-4o-mini", "--set", "reasoning_effort=low")
    acme("model", "add", "gpt-4o-mini", "--input-price", "3")
    assert [listed(acme, "mini-low")[each] for each in ("input_price", "output_price")] == [3.0, 0.6]
    acme("model", "add", "mini-low", "--cached-input-price", "0.5")
    row = listed(acme, "mini-low")
    assert [row[each] for each in ("input_price", "cached_input_price", "output_price")] == [3.0, 0.5, 0.6]
    assert row["priced_by"] is None
    acme("model", "add", "gpt-4o-mini", "--input-price", "4")
    assert listed(acme, "mini-low")["input_price"] == 3.0
    acme("model", "add", "mini-low", "--upstream-price")
    assert (listed(acme, "mini-low")["input_price"], listed(acme, "mini-low")["priced_by"]) == (4.0, "gpt-4o-mini")


def test_settings_are_set_and_unset_one_by_one(acme: Command) -> None:
    acme("model", "add", "low", "--upstream", "gpt-4o", "--set", "reasoning_effort=low", "--set", "max_output_tokens=9")
    acme(
        "model",
        "add",
        "low",
        "--set",
        'thinking={"type":"enabled","budget_tokens":1024}',
        "--unset",
        "max_output_tokens",
    )
    assert listed(acme, "low")["settings"] == {
        "reasoning_effort": "low", "thinking.type": "enabled", "thinking.budget_tokens": 1024,
    }  # fmt: skip
    acme("model", "add", "low", "--no-vision")
    acme("model", "disable", "low")
    assert len(listed(acme, "low")["settings"]) == 3
    acme("model", "add", "low", "--unset", "thinking", "--unset", "reasoning_effort")
    assert listed(acme, "low")["settings"] == {}


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--set", "messages=[]"], 1, "`messages` cannot be a setting"),
        (["--set", "reasoning_effort"], 2, "NAME=VALUE"),
        (["--set", "max_output_tokens=many"], 1, "number of tokens"),
        (["--unset", "seed"], 2, "no setting 'seed'"),
        (["--upstream-price", "--input-price", "1"], 2, "exclude"),
    ],
)
def test_what_cannot_be_set_is_refused(acme: Command, options: list[str], code: int, message: str) -> None:
    result = acme("model", "add", "low", "--upstream", "gpt-4o", *options, code=code)
    assert message in " ".join(result.stderr.replace("│", "").split())
    assert "low" not in {model["name"] for model in printed(acme("model", "list", "--json"))}


def test_a_model_under_the_providers_name_has_no_settings(acme: Command) -> None:
    said = complaint(acme("model", "add", "gpt-4o", "--set", "reasoning_effort=low", code=1))
    assert "add a model of another name" in said


def test_the_name_of_a_model_that_its_provider_knows_by_another_is_pointed_out(acme: Command) -> None:
    acme("model", "add", "small", "--upstream", "gpt-4o-mini")
    added = acme("model", "add", "small-low", "--provider", "openai", "--upstream", "small", "--set", "seed=1")
    assert "openai serves small as gpt-4o-mini" in added.stderr


def test_a_new_tenants_policy_has_no_model_with_settings_unless_it_is_named(acme: Command) -> None:
    acme("model", "add", "zz-low", "--upstream", "gpt-4o", "--set", "reasoning_effort=low")
    acme("tenant", "create", "other", "--no-key")
    acme("tenant", "create", "third", "--no-key", "--candidates", "zz-low,gpt-4o")
    found = {
        tenant: next(row for row in printed(acme("policy", "list", tenant, "--json")) if row["name"] == "auto")
        for tenant in ("other", "third")
    }
    assert found["other"]["models"] == ["gpt-4o", "gpt-4o-mini"]
    assert sorted(found["third"]["models"]) == ["gpt-4o", "zz-low"]
    assert found["third"]["default_model"] == "gpt-4o"
