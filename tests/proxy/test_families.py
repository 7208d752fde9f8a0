"""Families of paths that are passed through: none spends under a budget of 0, and none leads past the limits."""

from __future__ import annotations

import orjson
import pytest

from app.proxy.families import Effect
from app.proxy.paths import forwarded
from app.store import limits
from scripts.fake_provider.server import Running
from tests.support.proxy import Proxy, key_for_cheap
from tests.support.raw_http import Asked, exchange
from tests.support.raw_provider import call

PAID = [
    ("POST", "/v1/images/generations"), ("POST", "/v1/images/edits"), ("POST", "/v1/images/variations"),
    ("POST", "/v1/audio/speech"), ("POST", "/v1/audio/transcriptions"), ("POST", "/v1/audio/translations"),
    ("POST", "/v1/videos"), ("POST", "/v1/videos/video_1/remix"), ("POST", "/v1/moderations"),
    ("POST", "/v1/assistants"), ("POST", "/v1/threads"), ("POST", "/v1/threads/runs"),
    ("POST", "/v1/threads/t/runs"), ("POST", "/v1/threads/t/runs/r/submit_tool_outputs"),
    ("POST", "/v1/vector_stores"), ("POST", "/v1/vector_stores/vs_1/search"), ("POST", "/v1/containers"),
    ("POST", "/v1/evals"), ("POST", "/v1/conversations"), ("POST", "/v1/files"), ("POST", "/v1/uploads"),
    ("POST", "/v1/rerank"), ("POST", "/v1/some/day/new"), ("PUT", "/v1/some/day/new"), ("GET", "/v1/some/day/new"),
    ("POST", "/v1/images/generations/"), ("POST", "/v1//audio/speech"), ("POST", "/v1/audio%2Fspeech"),
    ("PATCH", "/v1/images/generations"),
]  # fmt: skip
BULK = [
    ("POST", "/v1/batches"), ("POST", "/v1/messages/batches"), ("POST", "/v1/fine_tuning/jobs"), ("PUT", "/v1/batches"),
    ("POST", "/v1/fine_tuning/jobs/ftjob-1/resume"), ("POST", "/v1/evals/e/runs"), ("POST", "/v1/batches/"),
    ("POST", "/v1/BATCHES"), ("POST", "/v1/%62atches"), ("POST", "/v1/batches;a=b"), ("POST", "/v1/openai/batches"),
    ("POST", "/v1/fine-tunes"), ("POST", "/v1/vector_stores/vs_1/file_batches/../../batches"),
]  # fmt: skip
FREE = [
    ("GET", "/v1/files"), ("GET", "/v1/files/f/content"), ("DELETE", "/v1/files/f"), ("GET", "/v1/batches/b"),
    ("POST", "/v1/batches/b/cancel"), ("POST", "/v1/messages/batches/b/cancel"), ("GET", "/v1/messages/batches/b"),
    ("POST", "/v1/responses/r/cancel"), ("GET", "/v1/responses/r"), ("GET", "/v1/videos/v/content"),
    ("GET", "/v1/chat/completions"), ("POST", "/v1/fine_tuning/jobs/j/cancel"), ("HEAD", "/v1/files/f"),
    ("POST", "/v1/threads/t/runs/r/cancel"),
]  # fmt: skip
CLOSED = [
    ("POST", "/v1/realtime/sessions"), ("POST", "/v1/realtime/client_secrets"), ("GET", "/v1/realtime"),
    ("POST", "/v1/realtime/calls"), ("POST", "/v1/realtime/transcription_sessions"), ("POST", "/v1/chatkit/sessions"),
    ("POST", "/v1/real%74ime/sessions"), ("POST", "/v1/openai/realtime/sessions"), ("POST", "/v1//Realtime;x/sessions"),
    ("GET", "/v1/organization/costs"), ("POST", "/v1/organization/admin_api_keys"), ("GET", "/v1/organizations/o"),
    ("GET", "/v1/key"), ("POST", "/v1/keys"), ("GET", "/v1/credits"), ("POST", "/v1/auth/keys"),
    ("GET", "/v1/dashboard/billing/usage"),
]  # fmt: skip


async def statuses(proxy: Proxy, requests: list[tuple[str, str]], key: str = "") -> dict[tuple[str, str], int]:
    """Return the status of each request, sent as it is spelt."""
    body = orjson.dumps({"model": "gpt-image-1", "prompt": "a cat"})
    return {
        each: (await exchange(proxy.url, key or proxy.key, Asked(*each, b"" if each[0] == "HEAD" else body))).status
        for each in requests
    }


async def test_a_budget_of_zero_buys_nothing(proxy: Proxy, upstream: Running) -> None:
    await limits.put_limits(proxy.admin, proxy.tenant_id, day_usd=0)
    found = await statuses(proxy, [*PAID, *BULK])
    assert {each: status for each, status in found.items() if status not in (400, 402, 403)} == {}
    assert {found[each] for each in PAID} == {402}
    assert upstream.log() == []


async def test_what_was_paid_for_can_still_be_fetched_and_counts_as_a_request(proxy: Proxy, upstream: Running) -> None:
    await limits.put_limits(proxy.admin, proxy.tenant_id, requests=len(FREE), day_usd=0)
    assert set((await statuses(proxy, FREE)).values()).isdisjoint((402, 403, 429))
    assert len(upstream.log()) == len(FREE)
    assert set((await statuses(proxy, FREE[:1])).values()) == {429}


@pytest.mark.parametrize("limit", [{"requests": 60}, {"tokens": 10_000}, {"month_usd": 5.0}])
async def test_a_caller_with_limits_orders_nothing_that_they_cannot_count(
    proxy: Proxy, upstream: Running, limit: dict[str, float]
) -> None:
    assert (await call(proxy, "POST", "/v1/batches", json={}))[0] != 403
    upstream.clear()
    await limits.put_limits(proxy.admin, proxy.tenant_id, **limit)  # type: ignore[arg-type]
    proxy.services.directory.invalidate()
    assert set((await statuses(proxy, BULK)).values()) <= {400, 403}
    assert upstream.log() == []
    status, body = await call(proxy, "POST", "/v1/batches", json={})
    assert (status, orjson.loads(body)["error"]["code"]) == (403, "uncountable")
    assert (await call(proxy, "POST", "/v1/images/generations", json={"model": "m", "prompt": "a cat"}))[0] == 200


async def test_paths_that_lead_past_the_router_are_closed(proxy: Proxy, upstream: Running) -> None:
    assert set((await statuses(proxy, CLOSED)).values()) == {404}
    assert upstream.log() == []
    _, body = await call(proxy, "POST", "/v1/realtime/sessions", json={})
    assert b"past the limits" in body


async def test_a_key_for_some_models_opens_none_of_them(proxy: Proxy, upstream: Running) -> None:
    key = await key_for_cheap(proxy)
    found = await statuses(proxy, [*PAID, *BULK, *FREE, *CLOSED], key)
    assert set(found.values()) <= {400, 403, 404}
    assert upstream.log() == []


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/embeddings"])
async def test_no_other_method_asks_a_model(proxy: Proxy, upstream: Running, method: str, path: str) -> None:
    came = await exchange(proxy.url, proxy.key, Asked(method, path, b'{"model": "strong"}'))
    assert (came.status, f"POST {path}".encode() in came.body) == (404, True)
    assert upstream.log() == []


def test_the_effect_of_each() -> None:
    for requests, effect in ((PAID, Effect.PAID), (BULK[:-1], Effect.BULK), (FREE, Effect.FREE)):
        for method, path in requests:
            assert forwarded({"method": method, "path": path, "raw_path": path.encode()}).effect is effect, path
