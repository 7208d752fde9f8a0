"""Providers and models by the admin API."""

from __future__ import annotations

from typing import Any

from tests.support.operators import Operator
from tests.support.proxy import CHEAP, STRONG


async def test_a_provider_at_anthropic_supports_messages_with_its_own_header(admin: Operator) -> None:
    made = await admin(
        "PUT", "/providers/claude", {"base_url": "https://api.anthropic.com/v1", "key_variable": "A_KEY"}
    )
    assert (made["speaks"], made["key_header"], made["key_variable"]) == (["messages", "chat"], "x-api-key", "A_KEY")
    changed = await admin("PUT", "/providers/claude", {"key_variable": None, "speaks": ["messages"]})
    assert (changed["base_url"], changed["key_variable"]) == ("https://api.anthropic.com/v1", None)
    assert (changed["speaks"], changed["key_header"]) == (["messages"], "x-api-key")
    listed = await admin("GET", "/providers")
    assert [provider["name"] for provider in listed["data"]] == ["claude", "fake"]


async def test_a_provider_goes_only_when_it_serves_nothing(admin: Operator) -> None:
    said = await admin("DELETE", "/providers/fake", code=409)
    assert "still serves models" in said["error"]["message"]
    await admin("PUT", "/providers/idle", {"base_url": "http://127.0.0.1:1/v1"})
    await admin("PATCH", "/tenants/acme", {"default_provider": "idle"})
    assert (await admin("DELETE", "/providers/idle"))["deleted"] is True
    assert (await admin("GET", "/tenants/acme"))["default_provider"] is None
    await admin("DELETE", "/providers/idle", code=404)


async def test_a_provider_that_cannot_be_names_the_field(admin: Operator) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, "base_url"),
        ({"base_url": "ftp://x"}, "base_url"),
        ({"base_url": "http://x", "speaks": ["telnet"]}, "speaks[0]"),
        ({"base_url": "http://x", "key_header": "cookie"}, "key_header"),
        ({"base_url": "http://x", "key_variable": "ROUTER_ADMIN_KEY"}, "key_variable"),
        ({"base_url": "http://x", "key_variable": "DATABASE_URL"}, "key_variable"),
    ]
    for body, param in cases:
        said = await admin("PUT", "/providers/new", body, code=400)
        assert said["error"]["param"] == param
        assert len((await admin("GET", "/providers"))["data"]) == 1


# Models


async def test_a_models_prices_are_filled_in_where_they_are_known(admin: Operator) -> None:
    await admin("PUT", "/providers/openai", {"base_url": "https://api.openai.com/v1"})
    made = await admin("PUT", "/models/small", {"provider": "openai", "upstream_name": "gpt-4o-mini", "vision": False})
    assert (made["input_price"], made["cached_input_price"], made["output_price"]) == (0.15, 0.075, 0.6)
    assert (made["context_window"], made["vision"], made["enabled"]) == (128_000, False, True)
    kept = await admin("PUT", "/models/small", {"input_price": 3, "parallel_tools": True, "max_output": 99})
    assert (kept["input_price"], kept["output_price"], kept["vision"]) == (3.0, 0.6, False)
    assert (kept["parallel_tools"], kept["max_output"]) == (True, 99)


async def test_a_models_name_may_have_slashes(admin: Operator) -> None:
    made = await admin("PUT", "/models/meta/llama-3", {"provider": "fake", "input_price": 1, "output_price": 2})
    assert made["name"] == "meta/llama-3"
    assert (await admin("GET", "/models/meta/llama-3"))["upstream_name"] == "meta/llama-3"


async def test_a_disabled_model_is_neither_listed_nor_served_until_it_is_enabled(admin: Operator) -> None:
    await admin("PUT", f"/models/{CHEAP}", {"enabled": False})
    await admin.comes_to(admin.proxy.key, 404)
    assert (await admin("PUT", f"/models/{CHEAP}", {"tools": True}))["enabled"] is False
    await admin("PUT", f"/models/{CHEAP}", {"enabled": True})
    await admin.comes_to(admin.proxy.key, 200)


async def test_a_policys_default_model_is_not_disabled(admin: Operator) -> None:
    said = await admin("PUT", f"/models/{STRONG}", {"enabled": False}, code=409)
    assert "policy auto of tenant 'acme'" in said["error"]["message"]


async def test_a_model_that_cannot_be_names_the_field(admin: Operator) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, "provider"),
        ({"provider": "nowhere"}, "provider"),
        ({"provider": "fake", "input_price": -1}, "input_price"),
        ({"provider": "fake", "context_window": 2**31}, "context_window"),
        ({"provider": "fake", "tools": 1}, "tools"),
        ({"provider": "fake", "colour": "red"}, "colour"),
    ]
    for body, param in cases:
        assert (await admin("PUT", "/models/new", body, code=400))["error"]["param"] == param
        await admin("GET", "/models/new", code=404)


async def test_a_model_has_settings_and_the_prices_of_its_upstream_model(admin: Operator) -> None:
    body = {"upstream_name": STRONG, "settings": {"thinking": {"budget_tokens": 1024}, "reasoning_effort": "low"}}
    made = await admin("PUT", "/models/low", body)
    assert made["settings"] == {"thinking.budget_tokens": 1024, "reasoning_effort": "low"}
    assert (made["provider"], made["priced_by"], made["input_price"], made["output_price"]) == ("fake", STRONG, 2.5, 10)
    kept = await admin("PUT", "/models/low", {"tools": True, "input_price": 1})
    assert (kept["settings"], kept["priced_by"]) == (made["settings"], None)
    assert (kept["input_price"], kept["output_price"]) == (1.0, 10.0)
    changed = await admin("PUT", "/models/low", {"settings": {"seed": 1}, "upstream_price": True})
    assert (changed["settings"], changed["priced_by"], changed["input_price"]) == ({"seed": 1}, STRONG, 2.5)
    assert (await admin("PUT", "/models/low", {"settings": {}}))["settings"] == {}
    prices = {each["model"]: each for each in (await admin("GET", "/tenants/acme/prices"))["data"]}
    assert (prices["low"]["origin"], prices["low"]["input_price"]) == ("upstream", 2.5)


async def test_what_cannot_be_a_setting_names_the_field(admin: Operator) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"messages": []}, "settings.messages"),
        ({"text": {"format": {}}}, "settings.text.format"),
        ({"max_tokens": "9"}, "settings.max_tokens"),
        ({"seed": None}, "settings.seed"),
    ]
    for settings, param in cases:
        said = await admin("PUT", "/models/low", {"upstream_name": STRONG, "settings": settings}, code=400)
        assert said["error"]["param"] == param
    said = await admin("PUT", "/models/low", {"provider": "fake", "settings": {"seed": 1}}, code=400)
    assert "another name" in said["error"]["message"]
    await admin("GET", "/models/low", code=404)
    said = await admin("PUT", f"/models/{CHEAP}", {"upstream_price": True}, code=400)
    assert said["error"]["param"] == "upstream_price"
