"""Policies and prices by the admin API."""

from __future__ import annotations

from typing import Any

from tests.support.operators import Operator
from tests.support.proxy import CHEAP, STRONG


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
