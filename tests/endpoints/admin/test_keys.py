"""Keys by the admin API."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import aiohttp

from tests.support.operators import Operator
from tests.support.proxy import CHEAP, STRONG, ProxyFactory


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


async def test_listing_keys_shows_no_secret(admin: Operator) -> None:
    made = await admin("POST", "/tenants/acme/keys", {}, code=201)
    listed = await admin("GET", "/tenants/acme/keys")
    assert made["api_key"] not in str(listed)
    assert set(listed["data"][1]) == {
        "object", "id", "hint", "name", "created_at", "expires_at", "revoked_at", "models", "scopes"
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
    assert limits[new["id"]]["day_spent_usd"] >= 2, "the spending of the old key counts"


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
