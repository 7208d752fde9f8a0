"""Promises of the admin API: what an operator may do with the master key, and nobody without it."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import aiohttp
import asyncpg
import pytest

from app.errors import ConfigurationError
from app.settings import Settings
from tests.conftest import ProxyFactory
from tests.support.operators import ADMIN, MASTER, Operator
from tests.support.proxy import CHEAP, STRONG, Proxy

# The master key


async def test_without_a_master_key_there_is_no_administration(proxy: Proxy) -> None:
    async with proxy.http() as http:
        for path in (f"{ADMIN}/tenants", f"{ADMIN}/anything", ADMIN, "/v1/router/nothing"):
            async with http.get(path) as reply:
                assert reply.status == 404
                assert (await reply.json())["error"]["code"] == "unknown_url", path


async def test_nothing_but_the_master_key_lets_an_operator_in(admin: Operator) -> None:
    for key in [None, "tenant", MASTER[:-1], MASTER + "x", "ümlaut"]:
        headers = {} if key is None else {"authorization": f"Bearer {admin.proxy.key if key == 'tenant' else key}"}
        async with aiohttp.ClientSession(admin.proxy.url, headers=headers) as http:
            for path in ("/tenants", "/models/refresh", "/nothing"):
                async with http.get(f"{ADMIN}{path}") as reply:
                    assert reply.status == 401
                    assert (await reply.json())["error"]["code"] == "invalid_api_key"


async def test_the_master_key_is_no_tenants_key(admin: Operator) -> None:
    assert await admin.serves(MASTER) == 401


def test_a_master_key_that_can_be_guessed_is_refused_and_not_said() -> None:
    with pytest.raises(ConfigurationError, match="ROUTER_ADMIN_KEY has 31 characters") as refused:
        Settings.from_environment({"ROUTER_ADMIN_KEY": "k" * 31})
    assert "kkk" not in str(refused.value)
    settings = Settings.from_environment({"ROUTER_ADMIN_KEY": MASTER})
    assert settings.admin_key == MASTER
    assert MASTER not in repr(settings)


async def test_the_master_key_is_never_logged(admin: Operator, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await admin("GET", "/tenants")
    await admin("GET", "/nothing", code=404)
    assert MASTER not in caplog.text


async def test_a_login_that_does_not_own_the_schema_is_told_so(admin: Operator, database: str) -> None:
    parts = urlsplit(database)
    name = f"{parts.path.lstrip('/')}_app"
    await admin.proxy.admin.fetch(f"create role {name} login password 'p' in role router_app")
    owner = admin.proxy.services.owner
    address = parts.netloc.rpartition("@")[2]
    owner._dsn = urlunsplit(parts._replace(netloc=f"{name}:p@{address}"))
    try:
        said = await admin("GET", "/tenants", code=403)
        assert "a login that owns the schema `router`" in said["error"]["message"]
        assert said["error"]["code"] == "forbidden"
    finally:
        await owner.close()
        owner._db = None
        await admin.proxy.admin.fetch(f"drop role {name}")


async def test_a_database_that_is_away_is_503(admin: Operator) -> None:
    admin.proxy.services.owner._dsn = "postgresql://nobody@127.0.0.1:1/nowhere"
    assert (await admin("GET", "/tenants", code=503))["error"]["code"] == "memory_unavailable"


async def test_requests_are_counted_by_their_whole_path(admin: Operator) -> None:
    await admin("GET", "/tenants/acme/keys")
    async with admin.http.get("/metrics") as reply:
        assert f'route="{ADMIN}/tenants/{{tenant}}/keys",status="200"' in await reply.text()


# Tenants


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


async def test_a_tenant_is_deleted_only_when_its_name_is_said_again(admin: Operator) -> None:
    assert (await admin("DELETE", "/tenants/acme", code=400))["error"]["param"] == "confirm"
    await admin("DELETE", "/tenants/acme?confirm=beta", code=400)
    assert (await admin("DELETE", "/tenants/acme?confirm=acme"))["deleted"] is True
    await admin("GET", "/tenants/acme", code=404)
    await admin.comes_to(admin.proxy.key, 401)


# Keys


async def test_a_key_is_made_for_some_models_until_a_day(admin: Operator) -> None:
    made = await admin(
        "POST", "/tenants/acme/keys", {"name": "ci", "expires_at": "2099-01-01", "models": [CHEAP]}, code=201
    )
    assert (made["name"], made["models"], made["expires_at"]) == ("ci", [CHEAP], "2099-01-01T00:00:00+00:00")
    caller = await admin.proxy.services.directory.caller(made["api_key"])
    cheap = (await admin.proxy.services.directory.catalog()).get(CHEAP)
    assert caller.allowed_models == frozenset({cheap.model_id})
    changed = await admin("PATCH", f"/tenants/acme/keys/{made['id']}", {"models": None, "expires_at": None})
    assert (changed["name"], changed["models"], changed["expires_at"]) == ("ci", None, None)
    changed = await admin("PATCH", f"/tenants/acme/keys/{made['id']}", {"models": [STRONG], "expires_at": "30d"})
    assert changed["models"] == [STRONG]
    assert changed["expires_at"] is not None


async def test_listing_keys_shows_nothing_that_lets_anybody_in(admin: Operator) -> None:
    made = await admin("POST", "/tenants/acme/keys", {}, code=201)
    listed = await admin("GET", "/tenants/acme/keys")
    assert made["api_key"] not in str(listed)
    assert set(listed["data"][1]) == {
        "object", "id", "hint", "name", "created_at", "expires_at", "revoked_at", "models"
    }  # fmt: skip


async def test_a_rotated_key_works_through_its_grace_and_the_new_one_at_once(admin: Operator) -> None:
    old = await admin("POST", "/tenants/acme/keys", {"name": "ci", "models": [CHEAP]}, code=201)
    await admin("PUT", f"/tenants/acme/keys/{old['id']}/limits", {"requests_per_minute": 50, "day_usd": 3})
    await admin.proxy.admin.fetch("update router.meters set day_usd = 2 where day_usd = 0")
    new = await admin("POST", f"/tenants/acme/keys/{old['id']}/rotate", {"grace": "1h"}, code=201)
    assert (new["name"], new["models"], new["replaces"]["id"]) == ("ci", [CHEAP], old["id"])
    assert new["replaces"]["expires_at"] is not None
    assert [await admin.serves(key["api_key"]) for key in (old, new)] == [200, 200]
    limits = {row["key_id"]: row for row in (await admin("GET", "/tenants/acme/limits"))["data"]}
    assert [limits[key["id"]]["requests_per_minute"] for key in (old, new)] == [50, 50]
    assert limits[new["id"]]["day_spent_usd"] >= 2, "what the old key has spent is spent"


async def test_a_key_rotated_without_grace_is_refused_at_once(admin: Operator) -> None:
    old = await admin("POST", "/tenants/acme/keys", {}, code=201)
    assert await admin.serves(old["api_key"]) == 200
    new = await admin("POST", f"/tenants/acme/keys/{old['id']}/rotate", code=201)
    assert new["replaces"]["revoked_at"] is not None
    await admin.comes_to(old["api_key"], 401)
    assert await admin.serves(new["api_key"]) == 200
    await admin("POST", f"/tenants/acme/keys/{old['id']}/rotate", code=404)


async def test_a_grace_does_not_outlast_the_keys_own_end(admin: Operator) -> None:
    old = await admin("POST", "/tenants/acme/keys", {"expires_at": "2h"}, code=201)
    new = await admin("POST", f"/tenants/acme/keys/{old['id']}/rotate", {"grace": "30d"}, code=201)
    assert new["replaces"]["expires_at"] == old["expires_at"] == new["expires_at"]


async def test_a_revoked_key_is_refused_and_stays_listed(admin: Operator) -> None:
    assert await admin.serves(admin.proxy.key) == 200
    assert (await admin("DELETE", f"/tenants/acme/keys/{admin.proxy.key_id}"))["revoked_at"] is not None
    await admin.comes_to(admin.proxy.key, 401)
    assert len((await admin("GET", "/tenants/acme/keys"))["data"]) == 1


async def test_a_change_reaches_other_processes(admin: Operator, proxies: ProxyFactory) -> None:
    async with proxies() as other, aiohttp.ClientSession(other.url) as http:
        elsewhere = Operator(other, http)
        made = await admin("POST", "/tenants/acme/keys", {}, code=201)
        await elsewhere.comes_to(made["api_key"], 200)
        await admin("DELETE", f"/tenants/acme/keys/{made['id']}")
        await elsewhere.comes_to(made["api_key"], 401)


async def test_another_tenants_key_is_not_there(admin: Operator) -> None:
    await admin("POST", "/tenants", {"name": "beta"}, code=201)
    path = f"/tenants/beta/keys/{admin.proxy.key_id}"
    await admin("DELETE", path, code=404)
    await admin("PATCH", path, {"name": "mine"}, code=404)
    await admin("POST", f"{path}/rotate", code=404)
    assert await admin.serves(admin.proxy.key) == 200


async def test_a_key_that_has_no_number_is_not_there(admin: Operator) -> None:
    for number in ["0", "-1", "x", "99999999999", "²", "%00"]:
        await admin("DELETE", f"/tenants/acme/keys/{quote(number, safe='%')}", code=404)


async def test_a_key_that_cannot_be_names_the_field(admin: Operator) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"expires_at": "2020-01-01"}, "expires_at"),
        ({"expires_at": "soon"}, "expires_at"),
        ({"models": ["nothing"]}, "models"),
        ({"name": "\0"}, "name"),
        ({"key": "mine"}, "key"),
    ]
    for body, param in cases:
        assert (await admin("POST", "/tenants/acme/keys", body, code=400))["error"]["param"] == param


# Providers


async def test_a_provider_at_anthropic_speaks_messages_with_its_own_header(admin: Operator) -> None:
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


# Policies and prices


async def test_a_policy_is_put_changed_and_deleted(admin: Operator) -> None:
    path = "/tenants/acme/policies/frugal"
    made = await admin("PUT", path, {"models": [CHEAP, STRONG], "default_model": CHEAP, "alpha": 1, "tau": "infinity"})
    assert (made["name"], made["default_model"], made["alpha"], made["tau"]) == ("frugal", CHEAP, 1.0, "infinity")
    kept = await admin("PUT", path, {"backend": "weighted", "weights": [1, 3]})
    assert (kept["backend"], kept["weights"], kept["alpha"], kept["tau"]) == ("weighted", [1.0, 3.0], 1.0, "infinity")
    listed = (await admin("GET", "/tenants/acme/policies"))["data"]
    assert [policy["name"] for policy in listed] == ["auto", "frugal"]
    assert (await admin("DELETE", path))["deleted"] is True
    await admin("DELETE", path, code=404)


async def test_a_policy_that_cannot_be_names_the_field(admin: Operator) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"alpha": -1}, "alpha"),
        ({"k": 1.5}, "k"),
        ({"tau": 0}, "tau"),
        ({"backend": "best"}, "backend"),
        ({"weights": [1]}, "weights"),
        ({"models": ["nothing"]}, "models"),
        ({"aplha": 1}, "aplha"),
    ]
    for body, param in cases:
        before = await admin("GET", "/tenants/acme/policies")
        said = (await admin("PUT", "/tenants/acme/policies/auto", body, code=400))["error"]
        assert said["param"] == param
        assert await admin("GET", "/tenants/acme/policies") == before


async def test_a_policys_name_that_cannot_be_is_refused(admin: Operator) -> None:
    said = await admin("PUT", "/tenants/acme/policies/%20x", {}, code=400)
    assert "a policy's name has" in said["error"]["message"].lower()


async def test_a_tenant_pays_what_was_set_until_it_is_unset(admin: Operator) -> None:
    path = f"/tenants/acme/prices/{CHEAP}"
    await admin("PUT", path, {"input_price": 1, "output_price": 5, "priced_on": "2026-01-31"})
    rows = {row["model"]: row for row in (await admin("GET", "/tenants/acme/prices"))["data"]}
    assert (rows[CHEAP]["input_price"], rows[CHEAP]["origin"], rows[STRONG]["origin"]) == (1.0, "tenant", "model")
    assert rows[CHEAP]["priced_on"] == "2026-01-31"
    assert (await admin("DELETE", path))["deleted"] is True
    await admin("DELETE", path, code=404)
    await admin("PUT", "/tenants/acme/prices/nothing", {"input_price": 1, "output_price": 5}, code=404)
    assert (await admin("PUT", path, {"input_price": 1}, code=400))["error"]["param"] == "output_price"
    late = {"input_price": 1, "output_price": 5, "priced_on": "2999-01-01"}
    assert (await admin("PUT", path, late, code=400))["error"]["param"] == "priced_on"


# Limits


async def test_a_tenant_and_its_keys_are_limited_until_they_are_not(admin: Operator) -> None:
    key = await admin("POST", "/tenants/acme/keys", {"name": "ci"}, code=201)
    path = f"/tenants/acme/keys/{key['id']}/limits"
    made = await admin("PUT", "/tenants/acme/limits", {"month_usd": 100, "tokens_per_minute": 1000})
    assert (made["key_id"], made["month_usd"], made["month_left_usd"], made["day_usd"]) == (None, 100.0, 100.0, None)
    assert (await admin("PUT", path, {"requests_per_minute": 5}))["requests_left"] == 5
    listed = (await admin("GET", "/tenants/acme/limits"))["data"]
    assert [(row["key_id"], row["key"]) for row in listed] == [(None, None), (key["id"], "ci")]
    assert (await admin("PUT", "/tenants/acme/limits", {"day_usd": 1}))["month_usd"] is None, (
        "all limits are set at once"
    )
    assert (await admin("DELETE", path))["deleted"] is True
    assert (await admin("PUT", "/tenants/acme/limits", {}))["day_usd"] is None
    assert (await admin("GET", "/tenants/acme/limits"))["data"] == []


async def test_limits_that_cannot_be_are_refused(admin: Operator) -> None:
    for body, param in [
        ({"day_usd": -1}, "day_usd"),
        ({"requests_per_minute": 0}, "requests_per_minute"),
        ({"x": 1}, "x"),
    ]:
        assert (await admin("PUT", "/tenants/acme/limits", body, code=400))["error"]["param"] == param
    await admin("PUT", "/tenants/acme/keys/999/limits", {"day_usd": 1}, code=404)
    await admin("PUT", "/tenants/nobody/limits", {"day_usd": 1}, code=404)


# What there is not


async def test_what_is_not_there_says_so_in_openais_shape(admin: Operator) -> None:
    for method, path, code in [
        ("GET", "/nothing", 404),
        ("GET", "", 404),
        ("PUT", "/tenants", 405),
        ("GET", "/tenants/nobody", 404),
        ("GET", "/tenants/nobody/keys", 404),
        ("GET", "/tenants/nobody/policies", 404),
        ("GET", "/tenants/nobody/prices", 404),
        ("GET", "/tenants/a%00b", 404),
        ("GET", "/models/nothing", 404),
    ]:
        assert set((await admin(method, path, code=code))["error"]) == {"message", "type", "param", "code"}


async def test_a_body_that_is_no_object_is_refused(admin: Operator) -> None:
    for body in (b"", b"[]", b"{", b"\xff"):
        async with admin.http.post(f"{ADMIN}/tenants", data=body) as reply:
            assert reply.status == 400


async def test_the_owners_connections_are_made_when_they_are_needed(admin: Operator) -> None:
    count = "select count(*) from pg_stat_activity where datname = current_database()"
    async with asyncpg.create_pool(admin.proxy.admin.dsn, min_size=1, max_size=1) as pool:
        before = await pool.fetchval(count)
        await admin("GET", "/tenants")
        assert await pool.fetchval(count) > before


async def test_an_operator_sees_what_every_tenant_used(admin: Operator) -> None:
    await admin("POST", "/tenants", {"name": "idle"}, code=201)
    assert await admin.serves(admin.proxy.key) == 200
    await admin.proxy.ledger()
    said = await admin("GET", "/usage?since=1d&by=model")
    assert said["by"] == ["tenant", "model"]
    assert [(row["tenant"], row["model"], row["requests"]) for row in said["data"]] == [("acme", CHEAP, 1)]
    assert said["total"]["cost_usd"] > 0
    refused = await admin("GET", "/usage?by=colour", code=400)
    assert refused["error"]["param"] == "by"
