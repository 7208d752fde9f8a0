"""A streamed comparison: each answer as it comes, honest when blind, paid and bounded as one that is not streamed."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from scripts.fake_provider.server import Running
from tests.support.fake_provider import until_disconnected
from tests.support.proxy import CHEAP, STRONG, Proxy
from tests.support.rest import post
from tests.support.separable_prompts import easy
from tests.support.streams import cut

#: What the fake provider streams.
STREAMED = "é0 é1 é2 é3 é4 "
PATH = "/v1/router/preferences/compare"
BODY = {"prompt": easy(1), "models": [CHEAP, STRONG], "stream": True}


async def events(proxy: Proxy, key: str | None = None, **fields: Any) -> list[tuple[str, Any]]:
    async with proxy.http(key) as http, http.post(PATH, json={**BODY, **fields}) as reply:
        assert (reply.status, reply.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        return parsed(await reply.read())


def parsed(body: bytes) -> list[tuple[str, Any]]:
    found = []
    for event in cut(body):
        if event.startswith(b":"):
            continue
        name, data = event.strip().split(b"\n")
        found.append((name.removeprefix(b"event: ").decode(), orjson.loads(data.removeprefix(b"data: "))))
    return found


def text_of(found: list[tuple[str, Any]], label: str) -> str:
    return "".join(data["text"] for name, data in found if name == "delta" and data["label"] == label)


async def test_each_answer_comes_in_pieces_and_ends_with_tokens_cost_and_time(proxy: Proxy) -> None:
    found = await events(proxy)
    assert [(name, data["model"]) for name, data in found[:2]] == [("start", CHEAP), ("start", STRONG)]
    assert text_of(found, "A") == text_of(found, "B") == STREAMED
    done = {data["label"]: data for name, data in found if name == "done"}
    assert done["A"]["cost_usd"] == pytest.approx((11 * 0.15 + 7 * 0.6) / 1e6)
    assert (done["B"]["completion_tokens"], done["B"]["finish_reason"], done["B"]["error"]) == (7, "stop", None)
    assert found[-1][0] == "end"
    assert found[-1][1]["labels"] == {"A": CHEAP, "B": STRONG}
    rows = await proxy.ledger(2)
    assert {(row["status"], row["completion_tokens"], row["streamed"]) for row in rows} == {(200, 7, True)}
    assert all(row["first_token_ms"] is not None for row in rows)


async def test_a_blind_stream_identifies_no_model_before_its_end(proxy: Proxy, upstream: Running) -> None:
    upstream.script(STRONG, "status=400")
    found = await events(proxy, blind=True)
    before = orjson.dumps(found[:-1]).decode()
    for secret in (CHEAP, STRONG, "cost", "latency", "tokens", "fake"):
        assert secret not in before, secret
    (failed,) = [data for name, data in found if name == "done" and data["error"]]
    name, end = found[-1]
    assert (name, set(end["labels"].values())) == ("end", {CHEAP, STRONG})
    assert end["labels"][failed["label"]] == STRONG
    (error,) = [each["error"] for each in end["answers"] if each["error"]]
    assert error["message"] != failed["error"]["message"]
    _, whole = await post(proxy, PATH, {**BODY, "stream": False, "blind": True})
    assert whole["labels"] == end["labels"]


@pytest.mark.parametrize("plan", ["drop", "status=500", "die-after=3", "error-after=2", "die"])
async def test_one_models_failure_is_its_own(proxy: Proxy, upstream: Running, plan: str) -> None:
    upstream.script(CHEAP, plan)
    found = await events(proxy)
    done = {data["model"]: data for name, data in found if name == "done"}
    assert done[CHEAP]["error"] is not None
    assert done[STRONG]["error"] is None
    assert text_of(found, "B") == STREAMED
    assert found[-1][0] == "end"


async def test_a_stream_without_usage_is_estimated(proxy: Proxy, upstream: Running) -> None:
    upstream.script(CHEAP, "no-usage")
    await events(proxy)
    rows = {row["usage_estimated"]: row for row in await proxy.ledger(2)}
    assert rows[True]["completion_tokens"] > 0
    assert rows[False]["completion_tokens"] == 7


async def test_a_client_that_leaves_ends_every_answer(proxy: Proxy, upstream: Running) -> None:
    for model in (CHEAP, STRONG):
        upstream.script(model, "gap=0.2;chunks=100")
    async with proxy.http() as http, http.post(PATH, json=BODY) as reply:
        await reply.content.readuntil(b"event: delta")
        reply.close()
    await until_disconnected(upstream)
    rows = await proxy.ledger(2)
    assert {(row["status"], row["usage_estimated"]) for row in rows} == {(499, True)}


async def test_limits_refuse_a_model_as_they_do_without_a_stream(proxy: Proxy) -> None:
    await proxy.admin.fetch("select router.put_limits($1, null, 1, null, null, null)", proxy.tenant_id)
    proxy.services.directory.invalidate()
    await asyncio.sleep(0.3)
    found = await events(proxy)
    statuses = sorted(data["error"]["status"] if data["error"] else 200 for name, data in found if name == "done")
    assert statuses == [200, 429]


async def test_a_bad_request_is_an_error_and_no_stream(proxy: Proxy) -> None:
    status, error = await post(proxy, PATH, {**BODY, "models": [CHEAP]})
    assert (status, error["error"]["param"]) == (400, "models")


async def test_a_provider_that_refuses_stream_options_is_asked_without(proxy: Proxy) -> None:
    proxy.services.refusals.without_stream_options.add("fake")
    found = await events(proxy)
    assert text_of(found, "A") == STREAMED
