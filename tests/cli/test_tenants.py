"""The commands `pgrouter tenant`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.commands import GOOD, Command, caller_of, complaint, lines, printed


def test_the_key_of_a_new_tenant_is_accepted_by_the_proxy(acme: Command, database: str) -> None:
    made = printed(acme("tenant", "create", "beta", "--json"))
    assert made["api_key"].startswith("rk-")
    caller = caller_of(database, made["api_key"])
    assert caller is not None
    assert (caller.tenant, list(caller.policies)) == ("beta", ["auto"])


def test_auto_starts_with_the_current_cheap_and_strong_model_and_the_dearer_as_default(acme: Command) -> None:
    acme("model", "add", "gpt-4.1", "--provider", "openai")
    policy = printed(acme("tenant", "create", "beta", "--json"))["policy"]
    assert policy == {"policy": "auto", "models": ["gpt-4o-mini", "gpt-4.1"], "default_model": "gpt-4.1"}


def test_router_candidates_names_the_models_of_auto(acme: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    acme("model", "add", "gpt-4.1", "--provider", "openai")
    monkeypatch.setenv("ROUTER_CANDIDATES", "gpt-4.1, gpt-4o-mini")
    policy = printed(acme("tenant", "create", "beta", "--json"))["policy"]
    assert (policy["models"], policy["default_model"]) == (["gpt-4.1", "gpt-4o-mini"], "gpt-4.1")


def test_without_priced_models_a_tenant_has_no_policy_and_gets_a_warning(run: Command) -> None:
    made = run("tenant", "create", "acme")
    assert "api_key = rk-" in made.stdout
    assert "policy put 'acme' auto" in made.stderr
    assert printed(run("policy", "list", "acme", "--json")) == []


def test_settings_of_a_new_policy_come_from_the_environment(acme: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTER_ALPHA", "0.7")
    monkeypatch.setenv("ROUTER_BACKEND", "cheapest")
    monkeypatch.setenv("ROUTER_GRANULARITY", "step")
    acme("tenant", "create", "beta")
    policy = printed(acme("policy", "list", "beta", "--json"))[0]
    assert (policy["alpha"], policy["backend"], policy["granularity"], policy["k"]) == (0.7, "cheapest", "step", 100)


def test_a_bad_setting_in_the_environment_is_named(acme: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTER_ALPHA", "-1")
    assert "ROUTER_ALPHA=-1 is outside 0 to 100" in complaint(acme("tenant", "create", "beta", code=1))


def test_a_tenant_of_a_name_that_is_taken_is_refused(acme: Command) -> None:
    assert "A tenant of this name already exists" in complaint(acme("tenant", "create", "acme", code=1))


def test_a_misspelt_candidate_leaves_no_tenant_behind(acme: Command) -> None:
    said = complaint(acme("tenant", "create", "beta", "--candidates", "gpt-4o,gtp-4o-mini", code=1))
    assert "'gtp-4o-mini'" in said
    assert [tenant["name"] for tenant in printed(acme("tenant", "list", "--json"))] == ["acme"]


def test_an_unpriced_candidate_leaves_no_tenant_behind(acme: Command) -> None:
    acme("model", "add", "mine", "--provider", "openai")
    assert "mine has no price" in complaint(acme("tenant", "create", "beta", "--candidates", "mine", code=1))
    assert [tenant["name"] for tenant in printed(acme("tenant", "list", "--json"))] == ["acme"]


def test_a_tenant_is_deleted_only_when_it_is_meant(acme: Command) -> None:
    assert "--yes" in acme("tenant", "delete", "acme", code=2).stderr
    assert len(printed(acme("tenant", "list", "--json"))) == 1
    acme("tenant", "delete", "acme", "--yes")
    assert printed(acme("tenant", "list", "--json")) == []


def test_a_tenant_is_changed_and_what_is_not_given_stays(acme: Command, tmp_path: Path) -> None:
    lesson = {"prompt": "two and two", "scores": {"gpt-4o": 1}}
    acme("import", str(lines(tmp_path / "one.jsonl", [lesson])), "--tenant", "acme")
    acme("tenant", "set", "acme", "--memory-cap", "7")
    acme("tenant", "set", "acme", "--no-store-prompts", "--shared")
    told = complaint(acme("tenant", "set", "acme", "--base", "acme", code=1))
    assert told == "pgrouter: A tenant cannot be its own base: name another tenant."
    (tenant,) = [each for each in printed(acme("tenant", "list", "--json")) if each["name"] == "acme"]
    assert (tenant["memory_cap"], tenant["store_prompts"], tenant["route_explicit"]) == (7, False, False)
    assert acme("export", "--tenant", "acme").stdout == "", "the prompts that were stored are erased"


def test_tenants_are_counted_each_for_itself(acme: Command, tmp_path: Path) -> None:
    acme("tenant", "create", "beta", "--no-key", "--memory-cap", "7", "--no-store-prompts", "--route-explicit")
    acme("import", lines(tmp_path / "one.jsonl", [GOOD]), "--tenant", "acme")
    listed = {tenant["name"]: tenant for tenant in printed(acme("tenant", "list", "--json"))}
    assert [(listed[name]["memories"], listed[name]["keys"]) for name in ("acme", "beta")] == [(1, 1), (0, 0)]
    assert (listed["beta"]["memory_cap"], listed["beta"]["store_prompts"], listed["beta"]["route_explicit"]) == (
        7,
        False,
        True,
    )
