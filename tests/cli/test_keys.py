"""The commands `pgrouter key`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import typer

from app.api_keys import hash_of, make_key
from app.cli.keys import expiry
from tests.support.commands import Command, caller_of, complaint, printed


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


def test_keys_are_listed_without_their_secrets(acme: Command) -> None:
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


# The same operations as in the admin API


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


def test_scopes_are_given_changed_and_listed(acme: Command, database: str) -> None:
    made = printed(acme("key", "create", "acme", "--scope", "teach", "--scope", "ask", "--json"))
    assert made["scopes"] == ["ask", "teach"]
    number = str(made["key_id"])

    def listed() -> list[str]:
        return next(
            key["scopes"] for key in printed(acme("key", "list", "acme", "--json")) if key["key_id"] == int(number)
        )

    assert listed() == ["ask", "teach"]
    acme("key", "change", "acme", number, "--scope", "manage")
    assert listed() == ["manage"]
    caller = caller_of(database, made["api_key"])
    assert caller is not None
    assert caller.scopes == {"manage"}
    acme("key", "change", "acme", number, "--default-scopes", "--name", "all")
    assert listed() == ["ask", "teach", "manage"]
    assert "the scopes are ask, teach and manage" in complaint(acme("key", "create", "acme", "--scope", "root", code=1))
    assert "has no key" in complaint(acme("key", "change", "acme", "999", "--name", "x", code=1))
