"""Tenants by the admin API."""

from __future__ import annotations

from typing import Any

from tests.support.operators import Operator
from tests.support.proxy import CHEAP, STRONG


async def test_a_new_tenants_key_works_at_once(admin: Operator) -> None:
    made = await admin("POST", "/tenants", {"name": "beta", "memory_cap": 7, "models": [CHEAP, STRONG]}, code=201)
    assert made["api_key"].startswith("rk-")
    assert made["policy"] == {"policy": "auto", "models": [CHEAP, STRONG], "default_model": STRONG}
    assert (made["object"], made["name"], made["memory_cap"], made["keys"]) == ("router.tenant", "beta", 7, 1)
    assert await admin.serves(made["api_key"]) == 200
    listed = await admin("GET", "/tenants")
    assert [tenant["name"] for tenant in listed["data"]] == ["acme", "beta"]
    assert made["api_key"] not in str(listed)


async def test_a_tenant_is_changed_where_it_is_named_and_nowhere_else(admin: Operator) -> None:
    await admin("POST", "/tenants", {"name": "base", "key": False}, code=201)
    await admin("PATCH", "/tenants/base", {"shared": True})
    changed = await admin("PATCH", "/tenants/acme", {"base": "base", "default_provider": "fake"})
    assert (changed["base"], changed["default_provider"], changed["store_prompts"]) == ("base", "fake", True)
    changed = await admin("PATCH", "/tenants/acme", {"base": None, "store_prompts": False})
    assert (changed["base"], changed["default_provider"], changed["store_prompts"]) == (None, "fake", False)
    assert (await admin("PATCH", "/tenants/acme", {"default_provider": None}))["default_provider"] is None


async def test_a_tenant_that_cannot_be_is_refused_and_not_half_made(admin: Operator) -> None:
    cases: list[tuple[dict[str, Any], int, str | None]] = [
        ({"name": "acme"}, 409, None),
        ({"name": " no"}, 400, "name"),
        ({}, 400, "name"),
        ({"name": "x", "memory_cap": 0}, 400, "memory_cap"),
        ({"name": "x", "memory_cap": "7"}, 400, "memory_cap"),
        ({"name": "x", "budget": 7}, 400, "budget"),
        ({"name": "x", "models": ["nothing"]}, 400, None),
        ({"name": "x", "models": ["\0"]}, 400, "models[0]"),
    ]
    for body, code, param in cases:
        said = await admin("POST", "/tenants", body, code=code)
        assert said["error"]["param"] == param
        assert [tenant["name"] for tenant in (await admin("GET", "/tenants"))["data"]] == ["acme"]


async def test_a_change_to_what_is_not_there_is_refused(admin: Operator) -> None:
    cases = [
        ({"base": "nobody"}, "base"),
        ({"default_provider": "nobody"}, "default_provider"),
        ({"shared": None}, "shared"),
    ]
    for body, param in cases:
        assert (await admin("PATCH", "/tenants/acme", body, code=400))["error"]["param"] == param


async def test_a_tenant_is_deleted_only_if_its_name_is_repeated(admin: Operator) -> None:
    assert (await admin("DELETE", "/tenants/acme", code=400))["error"]["param"] == "confirm"
    await admin("DELETE", "/tenants/acme?confirm=beta", code=400)
    assert (await admin("DELETE", "/tenants/acme?confirm=acme"))["deleted"] is True
    await admin("GET", "/tenants/acme", code=404)
    await admin.comes_to(admin.proxy.key, 401)
