"""The scopes of API keys: every operation needs one, and a key without it gets 403."""

from __future__ import annotations

import re
from typing import Any

import aiohttp
import pytest

from app.api_keys import hash_of, hint_of, make_key
from app.endpoints.openapi.operation import DocumentedPath
from app.endpoints.openapi.paths import documented_paths, served_routes
from app.key_scopes import SCOPES
from app.server.app import routes
from app.store import keys
from tests.support.operators import Operator
from tests.support.proxy import CHEAP, Proxy

OPERATIONS = [each for each in documented_paths(routes) if each.operation.key == "tenant"]
#: The operations of the router's own API, with the scope that each is meant to need.
TABLE = {
    "GET /v1/models": "any",
    "GET /v1/models/{name}": "any",
    "POST /v1/router/preferences/rank": "teach",
    "POST /v1/router/preferences/compare": "ask",
    "POST /v1/router/preferences/judge": "ask",
    "POST /v1/router/memories/import": "teach",
    "GET /v1/router/memories/export": "teach",
    "GET /v1/router/status": "teach",
    "GET /v1/router/memories": "teach",
    "DELETE /v1/router/memories": "manage",
    "DELETE /v1/router/memories/{memory_id}": "manage",
    "POST /v1/router/explain": "teach",
    "GET /v1/router/decisions": "manage",
    "GET /v1/router/decisions/stream": "manage",
    "GET /v1/router/decisions/reasons": "manage",
    "GET /v1/router/decisions/{decision_id}": "ask",
    "GET /v1/router/samples": "teach",
    "GET /v1/router/memories/graph": "teach",
    "GET /v1/router/memories/graph/edges": "teach",
    "POST /v1/router/backtest": "manage",
    "POST /v1/router/calibrate": "manage",
    "GET /v1/router/policies": "manage",
    "GET /v1/router/policies/{policy}/changes": "manage",
    "POST /v1/router/policies/{policy}/changes/{change}/undo": "manage",
    "GET /v1/router/savings": "manage",
    "GET /v1/router/usage": "manage",
}


async def key_with(proxy: Proxy, *scopes: str, models: list[str] | None = None) -> str:
    key = make_key()
    await keys.create_key(
        proxy.admin, proxy.tenant_id, hash_of(key), hint_of(key), models=models, scopes=scopes or None
    )
    return key


async def call(
    http: aiohttp.ClientSession, each: DocumentedPath, body: dict[str, Any] | None = None
) -> tuple[int, Any]:
    path = re.sub(r"\{\w+\}", "1", each.path)
    async with http.request(each.method, path, json=body) as response:
        found = await response.json() if response.content_type == "application/json" else None
        error = found.get("error") if isinstance(found, dict) else None
        return response.status, error or {}


def test_every_operation_for_tenants_needs_a_scope() -> None:
    assert [f"{each.method} {each.path}" for each in OPERATIONS if each.operation.scope is None] == []
    assert {each.operation.scope for each in OPERATIONS} == {*SCOPES, "any"}
    own = {
        f"{each.method} {each.path}": each.operation.scope
        for each in OPERATIONS
        if each.path.startswith(("/v1/router/", "/v1/models"))
    }
    assert own == TABLE
    assert {each.operation.scope for each in OPERATIONS if f"{each.method} {each.path}" not in TABLE} == {"ask"}


def test_no_route_is_without_a_description_and_so_without_a_scope() -> None:
    documented = {(each.method, each.route or each.path) for each in documented_paths(routes)}
    served = {(method, path) for method, path, _ in served_routes(routes)}
    assert served - documented == set()


@pytest.mark.parametrize("scope", SCOPES)
async def test_a_key_with_one_scope_may_call_its_operations_and_no_others(proxy: Proxy, scope: str) -> None:
    async with proxy.http(await key_with(proxy, scope)) as http:
        for each in OPERATIONS:
            needed = each.operation.scope
            assert needed is not None
            status, error = await call(http, each)
            refused = needed not in ("any", scope)
            name = f"{each.method} {each.path}"
            assert status != 401, name
            lacks = f"This API key lacks the scope `{needed}`, which this path needs; it has: {scope}."
            assert (status == 403 and error.get("message") == lacks) == refused, (name, status, error)
            if refused:
                # Errors of Anthropic's API have no code.
                assert error.get("code", "scope_missing") == "scope_missing"


async def test_a_refused_call_changes_nothing_and_asks_nobody(proxy: Proxy, upstream: Any) -> None:
    await proxy.rank([{"prompt": "hello", "scores": {CHEAP: 1}}])
    upstream.clear()
    async with proxy.http(await key_with(proxy, "ask")) as http:
        for method, path, body in (
            ("DELETE", "/v1/router/memories?all=true", None),
            ("POST", "/v1/router/preferences/rank", {"prompt": "bye", "scores": {CHEAP: 1}}),
        ):
            async with http.request(method, path, json=body) as response:
                assert response.status == 403
    async with proxy.http(await key_with(proxy, "teach", "manage")) as http:
        for path in ("/v1/chat/completions", "/v1/messages", "/v1/files", "/v1/router/preferences/compare"):
            async with http.post(
                path, json={"model": CHEAP, "messages": [{"role": "user", "content": "x"}]}
            ) as response:
                assert response.status == 403
        async with http.get("/v1/router/memories") as response:
            assert [memory["prompt"] for memory in (await response.json())["data"]] == ["hello"]
    assert upstream.log() == []


async def test_anthropics_clients_get_the_refusal_in_their_shape(proxy: Proxy) -> None:
    async with proxy.http(await key_with(proxy, "teach")) as http, http.post("/v1/messages", json={}) as response:
        body = await response.json()
    assert (response.status, body["type"]) == (403, "error")
    assert "`ask`" in body["error"]["message"]


async def test_a_key_for_some_models_may_not_delete_memories_unless_it_may_manage(proxy: Proxy) -> None:
    for scopes, status in (((), 403), (("ask", "teach"), 403), (("ask", "manage"), 200)):
        async with proxy.http(await key_with(proxy, *scopes, models=[CHEAP])) as http:
            async with http.delete("/v1/router/memories?all=true") as response:
                assert response.status == status, scopes
            async with http.get("/v1/models") as response:
                assert response.status == 200
    async with proxy.http(await key_with(proxy)) as http, http.delete("/v1/router/memories?all=true") as response:
        assert response.status == 200, "a key without scopes of its own may do everything"


async def test_scopes_are_made_changed_rotated_and_listed(admin: Operator) -> None:
    made = await admin("POST", "/tenants/acme/keys", {"scopes": ["teach", "ask", "teach"]}, code=201)
    assert made["scopes"] == ["ask", "teach"]
    path = f"/tenants/acme/keys/{made['id']}"
    assert (await admin("PATCH", path, {"name": "labels"}))["scopes"] == ["ask", "teach"]
    assert (await admin("PATCH", path, {"scopes": ["teach"]}))["scopes"] == ["teach"]
    caller = await admin.proxy.services.directory.caller(made["api_key"])
    for _ in range(100):
        caller = await admin.proxy.services.directory.caller(made["api_key"])
        if caller.scopes == {"teach"}:
            break
    assert caller.scopes == {"teach"}, "the change reaches the authentication cache"
    assert (await admin("POST", f"{path}/rotate", code=201))["scopes"] == ["teach"]
    other = await admin("POST", "/tenants/acme/keys", {}, code=201)
    path = f"/tenants/acme/keys/{other['id']}"
    assert other["scopes"] == ["ask", "teach", "manage"]
    assert (await admin("PATCH", path, {"models": [CHEAP]}))["scopes"] == ["ask", "teach"]
    assert (await admin("PATCH", path, {"scopes": ["manage"]}))["scopes"] == ["manage"]
    assert (await admin("PATCH", path, {"scopes": None}))["scopes"] == ["ask", "teach"]
    for wrong in ([], ["admin"], "ask", ["ask", None]):
        refused = await admin("POST", "/tenants/acme/keys", {"scopes": wrong}, code=400)
        assert refused["error"]["param"].startswith("scopes")


async def test_the_database_refuses_scopes_that_do_not_exist(proxy: Proxy) -> None:
    from app.errors import BadRequest

    for wrong in (["admin"], ["ask", None], ["Ask"]):
        with pytest.raises(BadRequest) as caught:
            await keys.create_key(proxy.admin, proxy.tenant_id, b"x" * 32, "rk-1", scopes=wrong)  # type: ignore[arg-type]
        assert caught.value.param == "scopes"
    with pytest.raises(Exception, match="api_keys_scopes_check"):
        await proxy.admin.fetch("update router.api_keys set scopes = '{ask,other}'")
