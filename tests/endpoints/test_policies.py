"""Calibration, and the history of policies, over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from app.store import policies as policies_store
from tests.support.proxy import CHEAP, STRONG, Proxy
from tests.support.separable_prompts import easy, lessons

CHOSEN = ("alpha", "k", "tau", "n0", "n0_task")


async def call(proxy: Proxy, path: str, body: Any = None, *, key: str | None = None, post: bool = True) -> Any:
    """Call the API; return the status and the JSON of the response."""
    async with proxy.http(key) as http:
        sent = http.post(f"/v1/router/{path}", json=body or {}) if post else http.get(f"/v1/router/{path}")
        async with sent as reply:
            return reply.status, orjson.loads(await reply.read())


async def settings(proxy: Proxy, key: str | None = None) -> Any:
    status, body = await call(proxy, "policies", key=key, post=False)
    assert status == 200
    return body["data"]


async def changes(proxy: Proxy, key: str | None = None) -> Any:
    status, body = await call(proxy, "policies/auto/changes", key=key, post=False)
    assert status == 200
    return body["data"]


async def test_a_target_is_applied_and_undone(proxy: Proxy) -> None:
    await proxy.rank(lessons(200))
    before = await settings(proxy)
    wanted = {"policy": "auto", "target": 0.9, "tune": False}
    status, planned = await call(proxy, "calibrate", {**wanted, "dry_run": True})
    assert (status, planned["written"], planned["before"]["alpha"]) == (200, False, 0.3)
    assert await settings(proxy) == before
    assert len(await changes(proxy)) == 1
    status, done = await call(proxy, "calibrate", wanted)
    assert (status, done["written"]) == (200, True)
    assert done["after"] == planned["after"]
    assert done["quality_ratio_low"] >= 0.9
    assert sum(done["shares"].values()) == pytest.approx(1)
    (now,) = await settings(proxy)
    assert {name: now[name] for name in CHOSEN} == done["after"]
    newest = (await changes(proxy))[0]
    assert (newest["cause"], newest["changed_by"], newest["key_id"]) == ("calibrate", "key", proxy.key_id)
    assert (newest["before"], newest["after"]) == ({"alpha": 0.3}, {"alpha": now["alpha"]})
    assert (newest["target"], newest["undoable"], newest["operator_only"]) == (0.9, True, False)
    status, undone = await call(proxy, f"policies/auto/changes/{newest['id']}/undo")
    assert status == 200
    assert [undone["policy"]] == await settings(proxy) == before
    assert (await changes(proxy))[0]["undoes"] == newest["id"]
    status, refused = await call(proxy, f"policies/auto/changes/{newest['id']}/undo")
    assert (status, refused["error"]["code"]) == (409, "conflict")
    assert "changed since" in refused["error"]["message"]


async def test_a_target_that_the_memory_does_not_support_changes_nothing(proxy: Proxy) -> None:
    await proxy.rank([{"prompt": easy(seed), "scores": {CHEAP: 0.5, STRONG: 0.5}} for seed in range(200)])
    before = await settings(proxy)
    status, refused = await call(proxy, "calibrate", {"target": 1.2, "tune": False})
    assert (status, refused["error"]["code"]) == (422, "unsupported_by_memory")
    assert "the best supported target is 1" in refused["error"]["message"]
    assert await settings(proxy) == before
    assert len(await changes(proxy)) == 1


async def test_a_certificate_is_applied_and_undone(proxy: Proxy) -> None:
    await proxy.rank(lessons(200))
    before = await settings(proxy)
    wanted = {"at_most": 0.2, "delta": 0.05, "by": 0.1, "tune": False}
    status, planned = await call(proxy, "calibrate", {**wanted, "dry_run": True})
    assert (status, planned["target"], planned["at_most"], planned["by"]) == (200, None, 0.2, 0.1)
    assert (planned["confidence"], planned["written"]) == (0.95, False)
    assert planned["worse_share"] < 0.2
    assert planned["rows"] == (planned["memories"] + 1) // 2
    status, done = await call(proxy, "calibrate", wanted)
    assert (status, done["after"]) == (200, planned["after"])
    newest = (await changes(proxy))[0]
    assert (newest["cause"], newest["at_most"], newest["target"]) == ("calibrate", 0.2, None)
    status, saved = await call(proxy, "savings", post=False)
    (row,) = saved["data"]
    assert (row["at_most"], row["confidence"], row["target"]) == (0.2, 0.95, None)
    assert row["expected_worse_share"] == done["worse_share"]
    assert "certified: at most 20% worse than strong by more than 0.1 with 95% confidence" in row["verdict"]
    status, _ = await call(proxy, f"policies/auto/changes/{newest['id']}/undo")
    assert (status, await settings(proxy)) == (200, before)


async def test_a_share_that_the_memory_does_not_support_changes_nothing(proxy: Proxy) -> None:
    await proxy.rank(lessons(200))
    before = await settings(proxy)
    status, refused = await call(proxy, "calibrate", {"at_most": 0.001, "tune": False})
    assert (status, refused["error"]["code"], refused["error"]["param"]) == (422, "unsupported_by_memory", "at_most")
    assert "the best supported share is 0.0" in refused["error"]["message"]
    assert "Teach more examples" in refused["error"]["message"]
    assert await settings(proxy) == before


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "target"),
        ({"target": 0.9, "at_most": 0.05}, "at_most"),
        ({"target": 0.9, "by": 0.1}, "by"),
        ({"target": 0.9, "delta": 0.1}, "delta"),
        ({"at_most": 0.05, "delta": 0.1, "confidence": 0.9}, "delta"),
        ({"at_most": 0}, "at_most"),
        ({"at_most": 5}, "at_most"),
        ({"at_most": 0.05, "by": 1}, "by"),
        ({"at_most": 0.05, "delta": 0}, "delta"),
    ],
)
async def test_a_goal_that_is_missing_or_doubled_is_named(proxy: Proxy, body: Any, field: str) -> None:
    status, refused = await call(proxy, "calibrate", body)
    assert (status, refused["error"]["param"]) == (400, field)


async def test_too_few_memories_are_named(proxy: Proxy) -> None:
    status, refused = await call(proxy, "calibrate", {"target": 0.9})
    assert status == 422
    assert "30 are needed" in refused["error"]["message"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "target"),
        ({"target": 0}, "target"),
        ({"target": "0.9"}, "target"),
        ({"target": 0.9, "confidence": 1}, "confidence"),
        ({"target": 0.9, "dry_run": "yes"}, "dry_run"),
        ({"target": 0.9, "alpha": 1}, "alpha"),
    ],
)
async def test_a_wrong_field_is_named(proxy: Proxy, body: Any, param: str) -> None:
    status, refused = await call(proxy, "calibrate", body)
    assert (status, refused["error"]["param"]) == (400, param)


async def test_a_policy_that_does_not_learn_is_refused(proxy: Proxy) -> None:
    _, key = await proxy.new_tenant("other", backend="none")
    status, refused = await call(proxy, "calibrate", {"target": 0.9}, key=key)
    assert status == 400
    assert "does not learn" in refused["error"]["message"]


async def test_one_measurement_of_a_tenant_at_a_time(proxy: Proxy) -> None:
    await proxy.rank(lessons(200))
    body = {"target": 0.9, "dry_run": True}
    statuses = [status for status, _ in await asyncio.gather(*(call(proxy, "calibrate", body) for _ in range(3)))]
    assert sorted(statuses) == [200, 429, 429]


async def test_another_tenants_policy_is_out_of_reach(proxy: Proxy) -> None:
    _, other = await proxy.new_tenant("other")
    await policies_store.put_policy(
        proxy.admin, proxy.tenant_id, "secret", backend="none", default=STRONG, models=(STRONG,)
    )
    theirs = await changes(proxy)
    before = await settings(proxy)
    assert [each["name"] for each in await settings(proxy, other)] == ["auto"]
    status, _ = await call(proxy, "calibrate", {"policy": "secret", "target": 0.9}, key=other)
    assert status == 404
    assert (await call(proxy, "policies/secret/changes", key=other, post=False))[0] == 404
    for change in (theirs[0]["id"], 2**63, 10**30):
        status, refused = await call(proxy, f"policies/auto/changes/{change}/undo", {"force": True}, key=other)
        assert (status, refused["error"]["code"]) == (404, "not_found")
    assert await settings(proxy) == before


async def test_what_an_operator_set_a_key_cannot_undo(proxy: Proxy) -> None:
    await policies_store.put_policy(
        proxy.admin, proxy.tenant_id, "auto", backend="knn", default=CHEAP, models=(CHEAP,), by="admin"
    )
    newest = (await changes(proxy))[0]
    assert (newest["changed_by"], newest["key_id"], newest["operator_only"]) == ("admin", None, True)
    assert newest["before"] == {"default_model": STRONG, "models": [CHEAP, STRONG], "weights": [1, 1]}
    status, refused = await call(proxy, f"policies/auto/changes/{newest['id']}/undo")
    assert (status, refused["error"]["code"]) == (403, "operator_only")
    assert "default_model, models, weights" in refused["error"]["message"]


async def test_an_infinite_width_is_a_word(proxy: Proxy) -> None:
    await policies_store.put_policy(
        proxy.admin, proxy.tenant_id, "auto", backend="knn", default=STRONG, models=(CHEAP, STRONG),
        settings={"tau": float("inf")},
    )  # fmt: skip
    assert (await changes(proxy))[0]["after"] == {"tau": "infinity"}
    assert (await settings(proxy))[0]["tau"] == "infinity"
