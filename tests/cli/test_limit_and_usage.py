"""The commands `pgrouter limit` and `pgrouter usage`."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import asyncpg
import pytest

from tests.support.commands import Command, complaint


def listed(acme: Command) -> list[dict[str, Any]]:
    """The limits of acme."""
    found: list[dict[str, Any]] = json.loads(acme("limit", "list", "acme", "--json").stdout)
    return found


def test_limits_are_set_one_by_one_and_dropped(acme: Command) -> None:
    said = acme("limit", "set", "acme", "--requests-per-minute", "1200", "--day-usd", "5").stdout
    assert said == "acme may use 1,200 requests a minute, 5 USD a day.\n"
    said = acme("limit", "set", "acme", "--tokens-per-minute", "90000", "--day-usd", "2.5").stdout
    assert said == "acme may use 1,200 requests a minute, 90,000 tokens a minute, 2.5 USD a day.\n"
    assert acme("limit", "drop", "acme", "--requests-per-minute").stdout == (
        "acme may use 90,000 tokens a minute, 2.5 USD a day.\n"
    )
    (row,) = listed(acme)
    assert (row["key_id"], row["requests_per_minute"], row["tokens_left"], row["day_left_usd"]) == (
        None, None, 90000, 2.5,
    )  # fmt: skip
    assert acme("limit", "drop", "acme").stderr == "acme has no limits.\n"
    assert listed(acme) == []
    assert "acme has no limits" in acme("limit", "list", "acme").stderr


def test_a_key_has_limits_of_its_own(acme: Command) -> None:
    (key,) = json.loads(acme("key", "list", "acme", "--json").stdout)
    number = str(key["key_id"])
    assert acme("limit", "set", "acme", "--key", number, "--month-usd", "20").stdout == (
        f"Key {number} of acme may use 20 USD a month.\n"
    )
    acme("limit", "set", "acme", "--day-usd", "1")
    assert [(row["key_id"], row["day_usd"], row["month_usd"]) for row in listed(acme)] == [
        (None, 1, None),
        (key["key_id"], None, 20),
    ]
    table = acme("limit", "list", "acme").stdout.splitlines()
    assert table[0].split()[:3] == ["key_id", "key", "requests_per_minute"]
    assert [line.split()[:2] for line in table[1:]] == [["-", "(all)"], [number, key["hint"]]]
    acme("limit", "drop", "acme", "--key", number)
    assert [row["key_id"] for row in listed(acme)] == [None]


def test_a_limit_that_cannot_be_set_is_an_error(acme: Command) -> None:
    assert "has no key 999" in complaint(acme("limit", "set", "acme", "--key", "999", "--day-usd", "1", code=1))
    assert "no tenant 'nobody'" in complaint(acme("limit", "set", "nobody", "--day-usd", "1", code=1))
    assert (
        "no limit is given; give one of --requests-per-minute, --tokens-per-minute"
        in acme("limit", "set", "acme", code=2).stderr
    )


@pytest.mark.parametrize("option", ["--day-usd=-1", "--month-usd=nan", "--day-usd=inf", "--requests-per-minute=0"])
def test_a_limit_is_a_number_that_can_be_kept(acme: Command, option: str) -> None:
    assert "Invalid value" in acme("limit", "set", "acme", option, code=2).stderr
    assert listed(acme) == []


@pytest.fixture
def used(acme: Command, database: str) -> Command:
    """The same after three requests: gpt-4o twice, once by the key and policy auto, and gpt-4o-mini by auto."""

    async def serve() -> None:
        owner = await asyncpg.connect(database)
        try:
            tenant, policy, key = await owner.fetchrow(
                "select t.tenant_id, p.policy_id, k.key_id"
                " from router.tenants as t join router.policies as p using (tenant_id)"
                " join router.api_keys as k using (tenant_id)"
            )
            models = {
                row["name"]: row["model_id"] for row in await owner.fetch("select name, model_id from router.models")
            }
            for model, entry in (
                ("gpt-4o", {"policy_id": policy, "key_id": key}),
                ("gpt-4o", {"prompt_tokens": None, "usage_unexplained": "partial"}),
                ("gpt-4o-mini", {"policy_id": policy}),
            ):
                await owner.execute(
                    "select router.log_decisions(array[jsonb_populate_record(null::router.decision_entry, $1)])",
                    json.dumps(
                        {
                            "decision_id": str(await owner.fetchval("select uuidv7()")), "requested": "auto",
                            "reason": "learned", "attempts": 1, "status": 200, "streamed": False,
                            "completion_tokens": 100, "overhead_ms": 1, "duration_ms": 2, "tenant_id": tenant,
                            "model_id": models[model], "prompt_tokens": 1000, **entry,
                        }
                    ),
                )  # fmt: skip
        finally:
            await owner.close()

    asyncio.run(serve())
    return acme


def test_usage_is_a_table_by_model_with_a_total(used: Command) -> None:
    result = used("usage", "--tenant", "acme")
    head, *rows, total = [line.split() for line in result.stdout.splitlines()]
    assert head == [
        "model", "requests", "failed", "unexplained", "in", "cached", "out", "reasoning", "USD", "baseline",
        "saved", "share",
    ]  # fmt: skip
    assert rows == [
        ["gpt-4o", "2", "0", "1", "1,000", "0", "200", "0", "0.0035", "0.0035", "0.0000", "67%"],
        ["gpt-4o-mini", "1", "0", "0", "1,000", "0", "100", "0", "0.0002", "0.0035", "0.0033", "33%"],
    ]
    assert total == ["total", "3", "0", "1", "2,000", "0", "300", "0", "0.0037", "0.0070", "0.0033", "100%"]
    assert result.stderr.startswith("1 request is of unknown cost")
    assert "1 request had usage that could not be explained" in result.stderr


def test_usage_by_key_names_it(used: Command) -> None:
    (key,) = json.loads(used("key", "list", "acme", "--json").stdout)
    lines = used("usage", "--tenant", "acme", "--by", "key,policy").stdout.splitlines()
    assert any(line.startswith(f"{key['key_id']} {key['hint']}  auto") for line in lines)


def test_usage_as_json_equals_the_endpoints(used: Command) -> None:
    found = json.loads(used("usage", "--tenant", "acme", "--by", "day,policy", "--since", "30d", "--json").stdout)
    assert found["by"] == ["day", "policy"]
    assert sorted(row["requests"] for row in found["data"]) == [1, 2]
    assert [found["total"][name] for name in ("requests", "unknown", "unexplained")] == [3, 1, 1]


def test_usage_of_nothing_is_reported(acme: Command) -> None:
    assert "acme: no requests since" in acme("usage", "--tenant", "acme").stderr


@pytest.mark.parametrize(("option", "said"), [("--by=weather", "'weather' is not one of"), ("--since=soon", "'soon'")])
def test_a_bad_query_of_usage_is_an_error(acme: Command, option: str, said: str) -> None:
    assert said in acme("usage", "--tenant", "acme", option, code=2).stderr
