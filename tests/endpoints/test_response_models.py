"""Every operation of the router's own API returns the fields of its declared model."""

from __future__ import annotations

from typing import Any

import orjson

from tests.support import contract
from tests.support.contract import MODELS, Promise, compare
from tests.support.operators import Operator
from tests.support.proxy import CHEAP, STRONG
from tests.support.separable_prompts import easy, lessons

#: Not a success, because the database is away.
AWAY = Promise("GET", "/readyz", 503)
#: Needs a provider that judges, as that of test_judge.py.
JUDGED = Promise("POST", "/v1/router/preferences/judge", 200)


def test_a_response_that_does_not_fit_is_detected() -> None:
    missing, of_another_type, undeclared = b"{}", b'{"version": 1}', b'{"version": "1", "x": 2}'
    for rest in (missing, of_another_type, undeclared):
        body = orjson.dumps({"status": "alive", **orjson.loads(rest)})
        compare(Promise("GET", "/healthz", 200), body)
        assert len(contract.mismatches) == 1
        contract.mismatches.clear()


async def test_every_operation_returns_what_its_model_declares(admin: Operator) -> None:
    """Call each operation once; as in all tests, every response is compared with its model."""
    contract.compared.clear()
    await _as_tenant(admin)
    await _as_operator(admin)
    assert set(MODELS) - contract.compared == {AWAY, JUDGED}


async def _as_tenant(admin: Operator) -> None:
    proxy = admin.proxy
    prompt = {"prompt": easy(1)}
    async with proxy.http() as http:

        async def call(method: str, path: str, body: Any = None) -> Any:
            async with http.request(method, path, json=body) as reply:
                assert reply.status == 200, (path, await reply.text())
                return await reply.json()

        await call("GET", "/healthz")
        await call("GET", "/readyz")
        await call("GET", "/openapi.json")
        models = await call("GET", "/v1/models")
        for model in ("auto", CHEAP):
            assert model in {each["id"] for each in models["data"]}
            await call("GET", f"/v1/models/{model}")
        await call("GET", "/v1/router/status")
        await call("POST", "/v1/router/explain", prompt)
        await proxy.rank(lessons(120))
        await call("GET", "/v1/router/status")
        await call("POST", "/v1/router/explain", {**prompt, "task": "chat"})
        for blind in (False, True):
            await call("POST", "/v1/router/preferences/compare", {**prompt, "models": [CHEAP, STRONG], "blind": blind})
        chat = {"model": "auto", "messages": [{"role": "user", "content": easy(2)}]}
        async with http.post("/v1/chat/completions", json=chat) as reply:
            decision = reply.headers["x-router-decision"]
            await reply.read()
        await proxy.ledger(3)
        await call("GET", f"/v1/router/decisions/{decision}")
        await call("GET", "/v1/router/decisions")
        await call("GET", "/v1/router/decisions/reasons")
        await call("GET", "/v1/router/samples")
        await call("GET", "/v1/router/usage?by=key,model,policy,day,task")
        await call("GET", "/v1/router/savings")
        await call("POST", "/v1/router/backtest", {"settings": {"n0": 3}, "seconds": 2})
        await call("GET", "/v1/router/policies")
        await call("POST", "/v1/router/calibrate", {"target": 0.9, "seconds": 2})
        await call("POST", "/v1/router/calibrate", {"at_most": 0.9, "seconds": 2})
        changes = await call("GET", "/v1/router/policies/auto/changes")
        await call("POST", f"/v1/router/policies/auto/changes/{changes['data'][0]['id']}/undo")
        memories = await call("GET", "/v1/router/memories?limit=1")
        await call("GET", "/v1/router/memories/graph")
        await call("GET", "/v1/router/memories/graph/edges")
        await call("DELETE", f"/v1/router/memories/{memories['data'][0]['id']}")
        await call("DELETE", "/v1/router/memories?all=true")


async def _as_operator(admin: Operator) -> None:
    await admin("GET", "/usage?by=model")
    await admin("POST", "/tenants", {"name": "beta", "models": [CHEAP, STRONG]}, code=201)
    await admin("GET", "/tenants")
    await admin("GET", "/tenants/beta")
    await admin("PATCH", "/tenants/beta", {"memory_cap": 9})
    key = await admin("POST", "/tenants/beta/keys", {"models": [CHEAP]}, code=201)
    await admin("PATCH", f"/tenants/beta/keys/{key['id']}", {"name": "ci"})
    await admin("GET", "/tenants/beta/keys")
    new = await admin("POST", f"/tenants/beta/keys/{key['id']}/rotate", {"grace": "1h"}, code=201)
    for path in ("/tenants/beta/limits", f"/tenants/beta/keys/{new['id']}/limits"):
        await admin("PUT", path, {"requests_per_minute": 5, "day_usd": 1})
        await admin("GET", "/tenants/beta/limits")
        await admin("PUT", path, {})
        await admin("DELETE", path)
    await admin("DELETE", f"/tenants/beta/keys/{new['id']}")
    await admin("PUT", "/tenants/beta/policies/fast", {"models": [CHEAP, STRONG], "tau": "infinity"})
    await admin("GET", "/tenants/beta/policies")
    await admin("DELETE", "/tenants/beta/policies/fast")
    await admin("PUT", f"/tenants/beta/prices/{CHEAP}", {"input_price": 1, "output_price": 2})
    await admin("GET", "/tenants/beta/prices")
    await admin("DELETE", f"/tenants/beta/prices/{CHEAP}")
    await admin("PUT", "/providers/other", {"base_url": "http://127.0.0.1:1/v1"})
    await admin("GET", "/providers")
    await admin("DELETE", "/providers/other")
    await admin("PUT", "/models/third", {"provider": "fake", "input_price": 1, "output_price": 1})
    await admin("GET", "/models/third")
    await admin("GET", "/models")
    admin.proxy.services.breakers.record_failure("fake", CHEAP)
    await admin("GET", "/breakers")
    admin.proxy.services.breakers.reset()
    await admin("POST", "/models/refresh")
    await admin("DELETE", "/tenants/beta?confirm=beta")
