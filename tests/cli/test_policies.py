"""The commands `pgrouter policy`."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from app.cli import main
from app.errors import ConfigurationError
from app.operations.policy_defaults import policy_defaults
from tests.support.commands import Command, complaint, printed


def test_a_policy_keeps_what_is_not_given_again(acme: Command) -> None:
    acme("policy", "put", "acme", "auto", "--backend", "weighted", "--weights", "1,3", "--alpha", "0.5")
    acme("policy", "put", "acme", "auto", "--tau", "inf")
    policy = printed(acme("policy", "list", "acme", "--json"))[0]
    assert (policy["backend"], policy["models"], policy["weights"], policy["alpha"]) == (
        "weighted",
        ["gpt-4o", "gpt-4o-mini"],
        [1, 3],
        0.5,
    )


def test_a_new_policy_is_added_beside_auto_and_deleted_again(acme: Command) -> None:
    acme("policy", "put", "acme", "frugal", "--models", "gpt-4o-mini,gpt-4o", "--default", "gpt-4o-mini")
    policies = {policy["name"]: policy for policy in printed(acme("policy", "list", "acme", "--json"))}
    assert policies["frugal"]["default_model"] == "gpt-4o-mini"
    acme("policy", "delete", "acme", "frugal")
    assert [policy["name"] for policy in printed(acme("policy", "list", "acme", "--json"))] == ["auto"]
    assert "no policy 'frugal'" in complaint(acme("policy", "delete", "acme", "frugal", code=1))


def test_another_tenants_policy_cannot_be_deleted(acme: Command) -> None:
    acme("tenant", "create", "beta")
    acme("policy", "delete", "beta", "auto")
    assert [policy["name"] for policy in printed(acme("policy", "list", "acme", "--json"))] == ["auto"]


@pytest.mark.parametrize(
    "option",
    [
        "--alpha=-1",
        "--alpha=nan",
        "--k=0",
        "--k=1.5",
        "--tau=0",
        "--confidence-floor=2",
        "--explore-share=0.3",
        "--granularity=x",
        "--weights=1,-1",
    ],
)
def test_a_setting_out_of_range_is_named(option: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # There is no database at this address: options are checked before connecting.
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nowhere")
    result = CliRunner().invoke(main, ["policy", "put", "acme", "auto", option])
    assert result.exit_code == 2
    assert option.partition("=")[0] in result.stderr


def test_weights_that_do_not_match_the_models_change_nothing(acme: Command) -> None:
    before = acme("policy", "list", "acme", "--json").stdout
    assert "--weights" in acme("policy", "put", "acme", "auto", "--weights", "1", code=2).stderr
    assert acme("policy", "list", "acme", "--json").stdout == before


def test_a_disabled_candidate_is_dropped_when_the_policy_is_put_again(acme: Command) -> None:
    acme("model", "disable", "gpt-4o-mini")
    assert "gpt-4o-mini: disabled" in acme("policy", "put", "acme", "auto", "--k", "50").stderr
    assert printed(acme("policy", "list", "acme", "--json"))[0]["models"] == ["gpt-4o"]


def test_routing_switched_off_for_the_process_is_not_written_into_new_policies() -> None:
    assert policy_defaults({"ROUTER_BACKEND": "none"}).backend == "knn"
    with pytest.raises(ConfigurationError, match="ROUTER_BACKEND"):
        policy_defaults({"ROUTER_BACKEND": "best"})


def test_changes_are_listed_and_undone(acme: Command) -> None:
    before = printed(acme("policy", "list", "acme", "--json"))
    acme("policy", "put", "acme", "auto", "--alpha", "0.5", "--models", "gpt-4o")
    newest = printed(acme("policy", "changes", "acme", "auto", "--json"))[0]
    assert (newest["changed_by"], newest["cause"], newest["old_settings"]["alpha"]) == ("cli", "put", 0.1)
    change = str(newest["change_id"])
    assert "alpha 0.1 -> 0.5" in acme("policy", "changes", "acme").stdout
    acme("policy", "put", "acme", "auto", "--k", "7")
    assert "changed since" in complaint(acme("policy", "undo", "acme", change, code=1))
    assert "Undid change" in acme("policy", "undo", "acme", change, "--force").stdout
    assert printed(acme("policy", "list", "acme", "--json")) == [{**before[0], "k": 7}]
    acme("tenant", "create", "beta", "--no-key")
    assert "has no change" in complaint(acme("policy", "undo", "beta", change, code=1))
