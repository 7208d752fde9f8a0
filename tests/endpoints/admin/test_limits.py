"""Limits and usage by the admin API."""

from __future__ import annotations

from tests.support.operators import Operator
from tests.support.proxy import CHEAP


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
