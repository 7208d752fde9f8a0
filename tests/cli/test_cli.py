"""Promises of the command line, on a real database; `serve` has its own tests."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Coroutine, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
import typer
from typer.testing import CliRunner, Result

from app import entities
from app.api_keys import hash_of, hint_of, make_key
from app.cli import main
from app.cli.keys import expiry
from app.embedded import EmbeddedPostgres
from app.errors import BadRequest, ConfigurationError
from app.operations import list_prices
from app.operations.example_file import ExampleFile
from app.operations.policy_defaults import policy_defaults
from app.store import keys, providers, tenants
from app.store import models as registry
from app.store import policies as policies_store
from app.store.database import Database

T = TypeVar("T")
Command = Callable[..., Result]


@pytest.fixture
def run(database: str, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs a command in this process on a fresh database, and expects the exit code `code`."""
    monkeypatch.setenv("DATABASE_URL", database)
    for name in [name for name in os.environ if name.startswith("ROUTER_")]:
        monkeypatch.delenv(name)

    def invoke(*arguments: str | Path, code: int = 0) -> Result:
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
        assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
        assert "Traceback" not in result.stderr
        return result

    return invoke


@pytest.fixture
def acme(run: Command, database: str) -> Command:
    """The same with the models gpt-4o and gpt-4o-mini at their list prices, and the tenant acme with a key."""

    async def prepare(db: Database) -> None:
        await providers.put_provider(db, "openai", "https://api.openai.com/v1", "OPENAI_API_KEY")
        for name, (paid_in, cached, paid_out) in {"gpt-4o": (2.5, 1.25, 10), "gpt-4o-mini": (0.15, 0.075, 0.6)}.items():
            await registry.put_model(
                db, name, "openai", input_price=paid_in, cached_input_price=cached, output_price=paid_out
            )
        tenant_id = await tenants.create_tenant(db, "acme")
        await policies_store.put_policy(
            db, tenant_id, "auto", backend="knn", models=["gpt-4o", "gpt-4o-mini"], default="gpt-4o"
        )
        await keys.create_key(db, tenant_id, hash_of("rk-acme"), hint_of("rk-acme"))

    asyncio.run(_with(database, prepare))
    return run


async def _with(dsn: str, work: Callable[[Database], Coroutine[Any, Any, T]]) -> T:
    db = Database(dsn, size=1, role=None)
    await db.open()
    try:
        return await work(db)
    finally:
        await db.close()


def printed(result: Result) -> Any:
    return json.loads(result.stdout)


def complaint(result: Result) -> str:
    """What an expected error says: one line on stderr, nothing on stdout."""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, lines
    assert not result.stdout
    return str(lines[0])


def program(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command as a process of its own."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "app", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def caller_of(dsn: str, key: str) -> entities.Caller | None:
    """Whom the proxy would take the bearer of `key` for."""

    return asyncio.run(_with(dsn, lambda db: keys.authenticate(db, hash_of(key))))


def lines(path: Path, rows: Sequence[object]) -> Path:
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


GOOD = {"prompt": "What is 2+2?", "scores": {"gpt-4o": 1, "gpt-4o-mini": 0.1}}


# Tenants and keys


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


def test_without_priced_models_a_tenant_has_no_policy_and_is_told(run: Command) -> None:
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


def test_a_revoked_key_is_refused_and_stays_listed(acme: Command, database: str) -> None:
    made = printed(acme("key", "create", "acme", "--name", "ci", "--json"))
    assert caller_of(database, made["api_key"]) is not None
    acme("key", "revoke", "acme", str(made["key_id"]))
    assert caller_of(database, made["api_key"]) is None
    listed = {key["name"]: key for key in printed(acme("key", "list", "acme", "--json"))}
    assert listed["ci"]["revoked_at"] is not None
    assert made["api_key"].startswith(listed["ci"]["hint"])


def test_another_tenants_key_cannot_be_revoked(acme: Command, database: str) -> None:
    made = printed(acme("key", "create", "acme", "--json"))
    acme("tenant", "create", "beta")
    assert "has no key" in complaint(acme("key", "revoke", "beta", str(made["key_id"]), code=1))
    assert caller_of(database, made["api_key"]) is not None


def test_keys_are_listed_without_what_would_let_anybody_in(acme: Command) -> None:
    made = printed(acme("key", "create", "acme", "--json"))
    told = acme("key", "list", "acme", "--json").stdout
    assert made["api_key"] not in told
    assert hash_of(made["api_key"]).hex() not in told


def test_a_key_is_rk_and_32_bytes() -> None:
    assert len(make_key()) == 46
    assert make_key() != make_key()


NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("12h", NOW + timedelta(hours=12)),
        ("30d", NOW + timedelta(days=30)),
        ("2026-12-31", datetime(2026, 12, 31, tzinfo=UTC)),
        ("2026-12-31T10:00+02:00", datetime(2026, 12, 31, 8, tzinfo=UTC)),
    ],
)
def test_an_expiry_is_a_span_or_a_date(text: str, when: datetime) -> None:
    assert expiry(text, NOW) == when


@pytest.mark.parametrize("text", ["0d", "2026-11-22", "soon", "30", "-1d", "2026-13-01", ""])
def test_an_expiry_that_is_past_or_no_time_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        expiry(text, NOW)


def test_an_unknown_tenant_is_named(run: Command) -> None:
    for command in (["key", "list", "nobody"], ["policy", "list", "nobody"], ["status", "--tenant", "nobody"]):
        assert "no tenant 'nobody'" in complaint(run(*command, code=1))


# Providers and models


def test_prices_are_filled_in_where_they_are_known(acme: Command) -> None:
    acme("model", "add", "small", "--provider", "openai", "--upstream-name", "gpt-4o-mini")
    model = {model["name"]: model for model in printed(acme("model", "list", "--json"))}["small"]
    assert (model["input_price"], model["cached_input_price"], model["output_price"]) == (0.15, 0.075, 0.6)
    assert model["context_window"] == 128_000
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


def test_a_provider_keeps_its_key_variable_when_it_moves(acme: Command) -> None:
    acme("provider", "add", "openai", "--base-url", "http://127.0.0.1:9/v1/")
    provider = printed(acme("provider", "list", "--json"))[0]
    assert (provider["base_url"], provider["key_variable"], provider["models"]) == (
        "http://127.0.0.1:9/v1",
        "OPENAI_API_KEY",
        2,
    )


def test_a_known_provider_is_changed_without_saying_where_it_is(acme: Command) -> None:
    acme("provider", "add", "openai", "--speaks", "chat")
    provider = printed(acme("provider", "list", "--json"))[0]
    assert (provider["base_url"], provider["speaks"]) == ("https://api.openai.com/v1", ["chat"])
    assert "--base-url" in acme("provider", "add", "new", code=2).stderr


def test_a_base_url_that_is_none_is_refused(run: Command) -> None:
    assert "http://" in complaint(run("provider", "add", "x", "--base-url", "ftp://x", code=1))


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


def test_a_price_that_grows_with_the_prompt_is_said_to(acme: Command) -> None:
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


def test_a_share_of_a_price_is_what_people_would_reckon(acme: Command) -> None:
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


def test_old_prices_are_said_to_be_old(acme: Command) -> None:
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


# Policies


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
    # There is nobody to connect to: what is wrong with an option is said first.
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


# Import, export, status


def test_what_is_exported_can_be_imported_elsewhere(acme: Command, tmp_path: Path) -> None:
    taught = [
        {**GOOD, "task": "math", "completion_tokens": {"gpt-4o": 12}},
        {"prompt": "Zwei\nZeilen „ä“", "scores": {"gpt-4o": 0.3}, "source": "human"},
    ]
    acme("import", lines(tmp_path / "a.jsonl", taught), "--tenant", "acme")
    acme("export", "--tenant", "acme", "--output", tmp_path / "b.jsonl.gz")
    acme("tenant", "create", "beta")
    acme("import", tmp_path / "b.jsonl.gz", "--tenant", "beta")
    exported = [json.loads(line) for line in acme("export", "--tenant", "beta").stdout.splitlines()]
    assert exported == [{**taught[0], "source": "import"}, taught[1]]


def test_importing_again_overwrites(acme: Command, tmp_path: Path) -> None:
    file = lines(tmp_path / "a.jsonl", [GOOD, {**GOOD, "prompt": "Another"}])
    acme("import", file, "--tenant", "acme")
    again = printed(acme("import", file, "--tenant", "acme", "--json"))
    assert (again["examples"], again["created"], again["overwritten"], again["memories"]) == (2, 0, 2, 2)


def test_messages_are_taught_as_the_prompt_that_routing_sees(acme: Command, tmp_path: Path) -> None:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello there"}]
    acme("import", lines(tmp_path / "a.jsonl", [{"messages": messages, "scores": {"gpt-4o": 1}}]), "--tenant", "acme")
    assert json.loads(acme("export", "--tenant", "acme").stdout)["prompt"] == "Hello there"


def test_a_file_of_more_than_one_batch_is_taught_whole(acme: Command, tmp_path: Path) -> None:
    rows = [{**GOOD, "prompt": f"Prompt {i}"} for i in range(1001)]
    result = printed(acme("import", lines(tmp_path / "a.jsonl", rows), "--tenant", "acme", "--json"))
    assert (result["created"], result["memories"]) == (1001, 1001)
    assert len(acme("export", "--tenant", "acme").stdout.splitlines()) == 1001


@pytest.mark.parametrize("zipped", [False, True])
def test_csv_is_taught_with_empty_scores_left_unknown(acme: Command, tmp_path: Path, zipped: bool) -> None:
    text = '\ufeffprompt,note,task,q:gpt-4o,q:gpt-4o-mini\n"two\nlines, quoted",x,t,1,\n' + "b" * 200_000 + ",,,0.5,0\n"
    file = tmp_path / ("a.csv.gz" if zipped else "a.csv")
    file.write_bytes(gzip.compress(text.encode()) if zipped else text.encode())
    acme("import", file, "--tenant", "acme", "--source", "judge")
    exported = [json.loads(line) for line in acme("export", "--tenant", "acme").stdout.splitlines()]
    assert sorted(exported, key=lambda row: str(row["prompt"]), reverse=True) == [
        {"prompt": "two\nlines, quoted", "task": "t", "scores": {"gpt-4o": 1}, "source": "judge"},
        {"prompt": "b" * 200_000, "scores": {"gpt-4o": 0.5, "gpt-4o-mini": 0}, "source": "judge"},
    ]


FINE = json.dumps(GOOD)


@pytest.mark.parametrize(
    ("name", "rows", "line", "what"),
    [
        ("a.jsonl", [FINE, "{"], 2, "not JSON"),
        ("a.jsonl", [FINE, "", "[1]"], 3, "not a JSON object"),
        ("a.jsonl", [FINE, '{"prompt": "x", "scores": {"gpt-4o": 1.5}}'], 2, "scores.gpt-4o"),
        ("a.jsonl", [FINE, '{"prompt": "x", "scores": {"gpt-4o": NaN}}'], 2, "not JSON"),
        ("a.jsonl", [FINE, '{"prompt": " ", "scores": {"gpt-4o": 1}}'], 2, "prompt"),
        ("a.jsonl", [FINE, '{"prompt": "\\u0000", "scores": {"gpt-4o": 1}}'], 2, "NUL"),
        ("a.jsonl", [FINE, '{"prompt": "x", "scores": {"gpt-4o": 1}, "score": 1}'], 2, "score"),
        ("a.csv", ["prompt,gpt-4o", "x,1"], 1, "q:MODEL"),
        ("a.csv", ["prompt,q:gpt-4o", '"x\ny",1', "z,high"], 4, "q:gpt-4o: 'high'"),
        ("a.csv", ["prompt,q:gpt-4o", "x,nan"], 2, "finite"),
        ("a.csv", ["prompt,q:gpt-4o", "x,1,2"], 2, "3 columns"),
        ("a.csv", ["prompt,q:gpt-4o", "x,"], 2, "no score"),
    ],
)
def test_a_mistake_is_named_by_its_line(tmp_path: Path, name: str, rows: list[str], line: int, what: str) -> None:
    with pytest.raises(BadRequest) as refused:
        list(ExampleFile(lines(tmp_path / name, rows), "import"))
    assert f"{name} line {line}: " in refused.value.message
    assert what in refused.value.message


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ({"prompt": "x", "scores": {"gpt-4o": 1.5}}, "scores.gpt-4o"),
        ({"prompt": "x", "scores": {"gpt-5o": 1}}, "'gpt-5o'"),
        ({"prompt": "x", "scores": {"gpt-4o": 1}, "completion_tokens": {"gpt-5o": 1}}, "'gpt-5o'"),
        ({"messages": [{"role": "system"}], "scores": {"gpt-4o": 1}}, "no text of a user"),
    ],
)
def test_of_a_file_with_a_mistake_nothing_is_stored(
    acme: Command, tmp_path: Path, wrong: dict[str, Any], what: str
) -> None:
    said = complaint(acme("import", lines(tmp_path / "a.jsonl", [GOOD, wrong]), "--tenant", "acme", code=1))
    assert "line 2: " in said
    assert what in said
    assert printed(acme("tenant", "list", "--json"))[0]["memories"] == 0


def test_a_mistake_after_the_first_batch_stores_nothing_either(acme: Command, tmp_path: Path) -> None:
    rows = [{**GOOD, "prompt": f"Prompt {i}"} for i in range(1001)]
    file = lines(tmp_path / "a.jsonl", [*rows, {"prompt": "x", "scores": {}}])
    assert "line 1002: scores" in complaint(acme("import", file, "--tenant", "acme", code=1))
    assert printed(acme("tenant", "list", "--json"))[0]["memories"] == 0


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b"prompt,q:gpt-4o\na\xff,1\n"),
        ("a.csv", b'prompt,q:gpt-4o\n"a,1\n'),
        ("a.jsonl.gz", gzip.compress(b"x" * 1000)[:20]),
        ("a.jsonl.gz", b"not gzip"),
        ("a.txt", b"x"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises((BadRequest, ConfigurationError), match=re.escape(str(tmp_path / name))) as refused:
        list(ExampleFile(tmp_path / name, "import"))
    assert "\n" not in str(refused.value)


def test_an_empty_file_is_refused(acme: Command, tmp_path: Path) -> None:
    assert "no examples" in complaint(acme("import", lines(tmp_path / "a.jsonl", []), "--tenant", "acme", code=1))


def test_a_file_of_more_than_the_tenant_keeps_is_refused_with_the_command_that_helps(
    acme: Command, tmp_path: Path
) -> None:
    acme("tenant", "create", "small", "--memory-cap", "10")
    rows = [{**GOOD, "prompt": f"Prompt {i}"} for i in range(30)]
    file = lines(tmp_path / "a.jsonl", [*rows, rows[0]])
    said = complaint(acme("import", file, "--tenant", "small", code=1))
    assert "makes 30 memories, but small keeps 10" in said
    assert acme("export", "--tenant", "small").stdout == ""
    _, help_given, _ = said.split("`")
    acme(*help_given.removeprefix("pgrouter ").split())
    acme("import", file, "--tenant", "small")
    assert len(acme("export", "--tenant", "small").stdout.splitlines()) == 30


def test_trimmed_to_what_the_tenant_keeps_a_files_last_memories_are_taught(acme: Command, tmp_path: Path) -> None:
    acme("tenant", "create", "small", "--memory-cap", "10")
    rows = [{**GOOD, "prompt": f"Prompt {i % 25}"} for i in range(30)]
    file = lines(tmp_path / "a.jsonl", rows)
    result = printed(acme("import", file, "--tenant", "small", "--trim", "--json"))
    assert (result["examples"], result["trimmed"], result["memories"]) == (10, 20, 10)
    exported = [json.loads(line)["prompt"] for line in acme("export", "--tenant", "small").stdout.splitlines()]
    assert exported == [row["prompt"] for row in rows[20:]]


def test_memories_that_make_room_for_a_file_are_counted(acme: Command, tmp_path: Path) -> None:
    acme("tenant", "create", "small", "--memory-cap", "10")
    for name in ("a", "b"):
        rows = [{**GOOD, "prompt": f"{name} {i}"} for i in range(8)]
        said = acme("import", lines(tmp_path / f"{name}.jsonl", rows), "--tenant", "small").stdout
    assert "6 older ones were evicted" in said


def test_columns_of_costs_are_passed_over_and_named(acme: Command, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("prompt,task,bench,q:gpt-4o,c:gpt-4o\nHello,t,b,1,0.002\n", encoding="utf-8")
    assert "Ignored columns: bench, c:gpt-4o." in acme("import", file, "--tenant", "acme").stderr
    assert json.loads(acme("export", "--tenant", "acme").stdout) == {
        "prompt": "Hello", "task": "t", "scores": {"gpt-4o": 1}, "source": "import",
    }  # fmt: skip


def test_the_length_of_an_answer_without_a_score_survives_export_and_import(acme: Command, tmp_path: Path) -> None:
    taught = {"prompt": "p", "scores": {"gpt-4o": 1}, "completion_tokens": {"gpt-4o-mini": 7}, "source": "judge"}
    acme("import", lines(tmp_path / "a.jsonl", [taught]), "--tenant", "acme")
    assert json.loads(acme("export", "--tenant", "acme").stdout) == taught


@pytest.mark.server
def test_an_interrupted_import_stores_nothing_and_says_so(acme: Command, database: str, tmp_path: Path) -> None:
    file = lines(tmp_path / "a.jsonl", [{**GOOD, "prompt": f"Prompt {i} " + "word " * 100} for i in range(30_000)])
    acme("tenant", "set", "acme", "--memory-cap", "30000")
    command = [sys.executable, "-m", "app", "import", str(file), "--tenant", "acme"]
    process = subprocess.Popen(
        command, env={**os.environ, "DATABASE_URL": database}, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    asyncio.run(_with(database, _someone_stages))
    process.send_signal(signal.SIGINT)
    said, complaints = process.communicate(timeout=30)
    assert (process.returncode, said) == (130, "")
    assert f"Interrupted: no example of {file} was stored." in complaints
    assert printed(acme("tenant", "list", "--json"))[0]["memories"] == 0


async def _someone_stages(db: Database) -> None:
    query = "select 1 from pg_class where relname = 'staged_examples' and pg_relation_size(oid) > 0"
    async with asyncio.timeout(20):
        while not await db.fetch(query):
            await asyncio.sleep(0.01)


def test_memories_without_their_prompts_are_left_out_of_an_export_and_counted(acme: Command, tmp_path: Path) -> None:
    acme("tenant", "create", "private", "--no-store-prompts")
    acme("import", lines(tmp_path / "a.jsonl", [GOOD]), "--tenant", "private")
    exported = acme("export", "--tenant", "private")
    assert exported.stdout == ""
    assert "1 memories were left out" in exported.stderr


def test_an_export_that_fails_leaves_no_half_a_file(acme: Command, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    acme("export", "--tenant", "acme", "--output", tmp_path / "folder", code=1)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_an_export_to_a_pipe_or_a_device_leaves_it_one(acme: Command, tmp_path: Path) -> None:
    acme("import", lines(tmp_path / "a.jsonl", [GOOD]), "--tenant", "acme")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        acme("export", "--tenant", "acme", "--output", pipe)
        assert pipe.is_fifo()
        assert json.loads(os.read(reader, 65536))["prompt"] == GOOD["prompt"]
    finally:
        os.close(reader)


@pytest.mark.parametrize("there", [True, False])
def test_an_export_to_a_link_writes_the_file_it_leads_to(acme: Command, tmp_path: Path, there: bool) -> None:
    acme("import", lines(tmp_path / "a.jsonl", [GOOD]), "--tenant", "acme")
    (tmp_path / "elsewhere").mkdir()
    file, link = tmp_path / "elsewhere" / "b.jsonl", tmp_path / "link.jsonl"
    link.symlink_to(file)
    if there:
        file.write_text("old")
    acme("export", "--tenant", "acme", "--output", link)
    assert link.is_symlink()
    assert json.loads(file.read_text())["prompt"] == GOOD["prompt"]
    assert [path.name for path in file.parent.iterdir()] == ["b.jsonl"]


def test_status_counts_what_was_taught_and_what_is_missing(acme: Command, tmp_path: Path) -> None:
    acme("import", lines(tmp_path / "a.jsonl", [{**GOOD, "task": "math"}]), "--tenant", "acme")
    acme("tenant", "create", "beta")
    acme_status, beta_status = printed(acme("status", "--json"))
    assert (acme_status["tenant"], acme_status["memories"], acme_status["needed"]) == ("acme", 1, 99)
    assert acme_status["tasks"] == {"math": 1}
    assert (beta_status["tenant"], beta_status["memories"]) == ("beta", 0)
    assert "teach 99 more examples" in acme("status", "--tenant", "acme").stdout


def test_explain_says_who_would_serve_and_why(acme: Command, tmp_path: Path) -> None:
    assert (
        "0 memories of 100: gpt-4o serves until there is more." in acme("explain", "hello", "--tenant", "acme").stdout
    )
    lessons = tmp_path / "lessons.jsonl"
    example = {"prompt": "Say hello in French.", "scores": {"gpt-4o": 1.0, "gpt-4o-mini": 1.0}, "task": "hello"}
    lessons.write_text(json.dumps(example))
    acme("import", lessons, "--tenant", "acme")
    acme("policy", "put", "acme", "quick", "--seed-count", "1", "--explore-share", "0.05", "--explore-labels", "7")
    asked = ("explain", "Say hello in Spanish.", "--tenant", "acme", "--policy", "quick", "--task", "hello")
    said = acme(*asked).stdout
    assert said.startswith("gpt-4o-mini (learned)\ngpt-4o-mini: 1.00 expected at $")
    for shown in ("score", "confidence", "input_price", "score = quality - 0.1 * cost_usd /", "Say hello in French."):
        assert shown in said
    found = json.loads(acme(*asked, "--json").stdout)
    assert [row["model"] for row in found["candidates"]] == ["gpt-4o-mini", "gpt-4o"]
    assert found["neighbours"][0]["scores"] == [1.0, 1.0]
    assert "no policy 'none'" in acme("explain", "x", "--tenant", "acme", "--policy", "none", code=1).stderr
    acme("explain", "x", "--tenant", "acme", "--alpha", "-1", code=2)


def test_status_needs_this_environments_embedder_only_for_tenants_without_one_of_their_own(
    acme: Command, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme("reembed", "--tenant", "acme", "--to", "static")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.setenv("ROUTER_EMBEDDER", "openai:fake")
    for key in (None, "sk-fake"):
        if key:
            monkeypatch.setenv("ROUTER_EMBEDDING_API_KEY", key)
        shown = acme("status", "--json")
        assert [row["tenant"] for row in printed(shown)] == ["acme"]
        assert not shown.stderr
    assert len(asyncio.run(_with(database, lambda db: db.fetch("select from router.spaces")))) == 1
    monkeypatch.delenv("ROUTER_EMBEDDING_API_KEY")
    acme("tenant", "create", "beta")
    shown = acme("status", "--json")
    assert [row["tenant"] for row in printed(shown)] == ["acme"]
    assert "is not available: beta. ROUTER_EMBEDDER=openai:fake needs a key" in shown.stderr
    assert "needs a key" in complaint(acme("status", "--tenant", "beta", code=1))


# The database


def test_migrate_says_from_where_to_where(empty_database: str) -> None:
    first = program("migrate", DATABASE_URL=empty_database)
    assert (first.returncode, first.stderr) == (0, "")
    assert "from revision none to revision" in first.stdout
    again = program("migrate", DATABASE_URL=empty_database)
    assert "already" in again.stdout


def test_migrate_prints_sql_without_a_database() -> None:
    printed_sql = program("migrate", "--sql", DATABASE_URL="postgresql://nobody@127.0.0.1:1/nowhere")
    assert printed_sql.returncode == 0, printed_sql.stderr
    assert "create function router.decide(" in printed_sql.stdout


def test_migrate_to_a_revision_that_is_none_is_one_line(database: str) -> None:
    result = program("migrate", "--revision", "9999", DATABASE_URL=database)
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)


def test_a_database_without_the_schema_names_the_command(empty_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_database)
    result = CliRunner().invoke(main, ["tenant", "list"])
    assert result.exit_code == 1
    assert "pgrouter migrate" in complaint(result)


def test_a_server_that_is_away_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nowhere")
    for command in (["tenant", "list"], ["migrate"]):
        result = CliRunner().invoke(main, command)
        assert result.exit_code == 1
        assert "cannot be used" in complaint(result)


@pytest.mark.parametrize("command", [["tenant", "list"], ["dsn"], ["psql"], ["migrate"]])
def test_without_any_database_every_command_says_how_to_get_one(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("PGROUTER_HOME", str(tmp_path / "home"))
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 1
    assert "pgrouter serve" in complaint(result)
    assert not (tmp_path / "home").exists()


def test_dsn_prints_database_url(run: Command, database: str) -> None:
    assert run("dsn").stdout == f"{database}\n"


def test_psql_gets_its_arguments_as_they_are(database: str) -> None:
    result = program("psql", "-At", "-c", "select 1 + 1", "--no-psqlrc", DATABASE_URL=database)
    assert (result.returncode, result.stdout) == (0, "2\n"), result.stderr


def test_the_embedded_database_is_reached_while_it_runs_and_not_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    with tempfile.TemporaryDirectory(prefix="pgrouter-test-") as name:
        Path(name).chmod(0o755)  # Postgres's account has to get there
        home = Path(name) / "home"
        with EmbeddedPostgres(home, settings={"fsync": "off", "shared_buffers": "16MB"}) as postgres:
            assert program("dsn", PGROUTER_HOME=str(home)).stdout == f"{postgres.dsn}\n"
            asked = program("psql", "-At", "-c", "select current_database()", PGROUTER_HOME=str(home))
            assert (asked.returncode, asked.stdout) == (0, "pgrouter\n"), asked.stderr
        stopped = program("psql", "-At", "-c", "select 1", PGROUTER_HOME=str(home))
        assert (stopped.returncode, stopped.stdout) == (1, "")
        assert "pgrouter serve" in stopped.stderr


def test_psql_hands_on_its_exit_code_and_help(database: str) -> None:
    assert program("psql", "-c", "select nonsense", DATABASE_URL=database).returncode == 1
    assert "psql is the PostgreSQL interactive terminal" in program("psql", "--help", DATABASE_URL=database).stdout


def test_the_password_is_not_in_psqls_arguments(tmp_path: Path) -> None:
    told = tmp_path / "told"
    fake = tmp_path / "psql"
    fake.write_text(f'#!/bin/sh\necho "$@" > {told}\necho "$PGPASSWORD" >> {told}\n')
    fake.chmod(0o755)
    code = (
        "from pathlib import Path; from app import embedded; from app.cli import main; "
        f"embedded.psql = lambda: Path({str(fake)!r}); main(['psql', '-l'])"
    )
    environment = {**os.environ, "DATABASE_URL": "postgresql://me:p%40ss@127.0.0.1:1/x?sslmode=disable"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=60)
    arguments, password = told.read_text().splitlines()
    assert arguments.startswith("--dbname=postgresql://me@127.0.0.1:1/x?sslmode=disable ")
    assert arguments.endswith(" -l")
    assert password == "p@ss"


def test_a_plain_owner_of_the_schema_may_administer(databases: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"cli_owner_{os.getpid()}"
    with databases.fresh(migrated=False) as dsn:
        base, _, path = dsn.rpartition("/")
        databases.execute(f"create role {name} login password 'secret'")
        try:
            databases.execute(f"grant router_app, router_reader to {name}")
            databases.execute(f"alter database {path} owner to {name}")
            _on(dsn, "create extension vector")
            host = base.rpartition("@")[2].removeprefix("postgresql://")
            monkeypatch.setenv("DATABASE_URL", f"postgresql://{name}:secret@{host}/{path}")
            for command in (
                ["migrate"],
                ["provider", "add", "openai", "--base-url", "https://api.openai.com/v1"],
                ["model", "add", "gpt-4o", "--provider", "openai"],
                ["tenant", "create", "one"],
                ["tenant", "create", "two"],
                ["status"],
            ):
                result = CliRunner().invoke(main, command)
                assert result.exit_code == 0, (command, result.stderr)
            listed = printed(CliRunner().invoke(main, ["tenant", "list", "--json"]))
            assert [(tenant["name"], tenant["keys"], tenant["policies"]) for tenant in listed] == [
                ("one", 1, 1),
                ("two", 1, 1),
            ]
        finally:
            _on(dsn, f"drop owned by {name} cascade")
            databases.execute(f"alter database {path} owner to current_user")
            databases.execute(f"drop role {name}")


def _on(dsn: str, statement: str) -> None:
    asyncio.run(_with(dsn, lambda db: db.fetch(statement)))


# Readers


@pytest.fixture
def looker(database: str) -> Iterator[str]:
    """A role of Postgres that is nobody yet."""
    name = "Looker of " + database.rpartition("/")[2]

    def say(statement: str) -> None:
        asyncio.run(_with(database, lambda db: db.fetch(statement)))

    say(f'create role "{name}"')
    yield name
    say(f'drop role "{name}"')


def test_a_reader_is_granted_listed_and_revoked(acme: Command, looker: str) -> None:
    assert acme("reader", "grant", looker, "acme").stdout == f"{looker} may read tenant acme.\n"
    assert acme("reader", "grant", looker, "acme").stdout == f"{looker} may read tenant acme already.\n"
    (row,) = [row for row in printed(acme("reader", "list", "--json")) if row["role"] == looker]
    assert row == {"role": looker, "every": False, "tenants": ["acme"], "member": True}
    acme("reader", "grant", looker, "--all")
    assert f"{looker}  all" in acme("reader", "list").stdout
    assert "reads every tenant: revoke that" in complaint(acme("reader", "revoke", looker, "acme", code=1))
    assert "may no longer read any tenant" in acme("reader", "revoke", looker, "--all").stdout
    assert "was not granted tenant acme" in complaint(acme("reader", "revoke", looker, "acme", code=1))
    assert f"{looker}  nothing" in acme("reader", "list").stdout


def test_a_reader_command_says_what_is_wrong(acme: Command, looker: str) -> None:
    assert 'there is no role "no one"' in complaint(acme("reader", "grant", "no one", "acme", code=1))
    assert "There is no tenant 'nobody'" in complaint(acme("reader", "grant", looker, "nobody", code=1))
    assert "no grant limits what it sees" in complaint(acme("reader", "grant", "router_app", "acme", code=1))
    for arguments in ((looker,), (looker, "acme", "--all")):
        assert "give either one tenant or --all" in acme("reader", "grant", *arguments, code=2).stderr


# What the admin API does too


def test_a_rotated_key_is_replaced(acme: Command, database: str) -> None:
    old = printed(acme("key", "create", "acme", "--name", "ci", "--model", "gpt-4o", "--json"))
    new = printed(acme("key", "rotate", "acme", str(old["key_id"]), "--grace", "1h", "--json"))
    caller = caller_of(database, new["api_key"])
    assert caller is not None
    assert caller.allowed_models is not None
    assert caller_of(database, old["api_key"]) is not None
    last = printed(acme("key", "rotate", "acme", str(new["key_id"]), "--json"))
    assert caller_of(database, new["api_key"]) is None
    listed = {key["key_id"]: key for key in printed(acme("key", "list", "acme", "--json"))}
    assert (listed[last["key_id"]]["name"], listed[last["key_id"]]["models"]) == ("ci", ["gpt-4o"])
    assert "no valid key" in complaint(acme("key", "rotate", "acme", str(new["key_id"]), code=1))
    assert "--grace" in acme("key", "rotate", "acme", str(last["key_id"]), "--grace", "soon", code=2).stderr


def test_a_key_for_a_model_that_is_not_there_is_not_made(acme: Command) -> None:
    assert "there is no model nothing" in complaint(acme("key", "create", "acme", "--model", "nothing", code=1))
    assert len(printed(acme("key", "list", "acme", "--json"))) == 1


def test_a_provider_at_anthropic_is_known_by_its_url(acme: Command) -> None:
    acme("provider", "add", "claude", "--base-url", "https://api.anthropic.com/v1", "--key-variable", "A_KEY")
    acme(
        "provider", "add", "local", "--base-url", "http://127.0.0.1:9/v1", "--speaks", "chat", "--key-header", "api-key"
    )
    found = {row["name"]: (row["speaks"], row["key_header"]) for row in printed(acme("provider", "list", "--json"))}
    assert found["claude"] == (["messages", "chat"], "x-api-key")
    assert found["local"] == (["chat"], "api-key")
    assert found["openai"][1] == "authorization"
    assert "--speaks" in acme("provider", "add", "x", "--base-url", "http://x", "--speaks", "telnet", code=2).stderr


def test_a_provider_is_removed_once_it_serves_nothing(acme: Command) -> None:
    acme("provider", "add", "idle", "--base-url", "http://127.0.0.1:9/v1")
    acme("tenant", "set", "acme", "--default-provider", "idle")
    assert printed(acme("tenant", "list", "--json"))[0]["default_provider"] == "idle"
    acme("provider", "remove", "idle")
    assert printed(acme("tenant", "list", "--json"))[0]["default_provider"] is None
    assert "still serves models" in complaint(acme("provider", "remove", "openai", code=1))
    assert "no provider 'idle'" in complaint(acme("provider", "remove", "idle", code=1))
    assert "there is no provider idle" in complaint(acme("tenant", "set", "acme", "--default-provider", "idle", code=1))
