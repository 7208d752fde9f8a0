"""The commands `pgrouter provider`."""

from __future__ import annotations

from tests.support.commands import Command, complaint, printed


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
