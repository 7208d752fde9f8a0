"""POST /v1/router/preferences/judge: a model suggests scores, paid like any question, and none is made up."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from app.store import providers
from tests.support.proxy import CHEAP, STRONG, Proxy
from tests.support.raw_provider import provider
from tests.support.rest import post

PATH = "/v1/router/preferences/judge"
BODY = {"prompt": "Add 2 and 3", "answers": {"A": "It is 6.", "B": "It is 5.", "C": "5"}}


@asynccontextmanager
async def judging(proxy: Proxy, reply: Any = None) -> AsyncIterator[list[Any]]:
    """Have a provider judge that gives 1 to answers with a 5, or `reply`; yields the requests that it got."""
    asked: list[Any] = []

    async def serve(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = int(re.search(rb"content-length: (\d+)", head.lower())[1])  # type: ignore[index]
        body = orjson.loads(await reader.readexactly(length))
        asked.append(body)
        material = body["messages"][1]["content"]
        found = re.findall(r"--- answer (\d+) \w+\n(.*?)\n--- end", material, re.DOTALL)
        scores = [{"answer": int(n), "score": float("5" in text), "reason": "sum"} for n, text in found]
        text = orjson.dumps({"scores": scores}).decode() if reply is None else reply
        answer = orjson.dumps(
            {
                "choices": [{"message": {"content": text}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
            }
        )
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(answer) + answer
        )
        await writer.drain()

    async with provider(serve) as url:
        await providers.put_provider(proxy.admin, "fake", url, None)
        proxy.services.directory.invalidate()
        yield asked


async def test_scores_come_back_under_their_labels_whatever_the_order(proxy: Proxy) -> None:
    async with judging(proxy) as asked:
        for _ in range(3):
            status, judged = await post(proxy, PATH, {**BODY, "answered_by": [CHEAP], "instructions": "Be strict."})
            assert status == 200
            assert {label: each["score"] for label, each in judged["scores"].items()} == {"A": 0, "B": 1, "C": 1}
    assert judged["scores"]["A"]["reason"] == "sum"
    assert (judged["model"], judged["is_candidate"]) == (STRONG, False)
    assert judged["cost_usd"] == pytest.approx((100 * 2.5 + 10 * 10) / 1e6)
    assert "Be strict." in asked[0]["messages"][0]["content"]
    rows = await proxy.ledger(3)
    assert {(row["prompt_tokens"], row["completion_tokens"], row["reason"]) for row in rows} == {(100, 10, "off")}


async def test_a_judge_of_its_own_answer_says_so(proxy: Proxy) -> None:
    async with judging(proxy):
        _, judged = await post(proxy, PATH, {**BODY, "answered_by": [CHEAP, STRONG]})
        assert (judged["model"], judged["is_candidate"]) == (STRONG, True)
        _, judged = await post(proxy, PATH, {**BODY, "answered_by": [STRONG]})
        assert (judged["model"], judged["is_candidate"]) == (CHEAP, False)
        _, judged = await post(proxy, PATH, {**BODY, "model": CHEAP})
        assert (judged["model"], judged["is_candidate"]) == (CHEAP, None)


@pytest.mark.parametrize("reply", ["B is best.", '{"scores": [{"answer": 1, "score": 10}]}', "", [], 5])
async def test_a_reply_that_cannot_be_read_is_an_error_that_is_paid(proxy: Proxy, reply: str) -> None:
    async with judging(proxy, reply):
        status, error = await post(proxy, PATH, BODY)
    assert (status, error["error"]["code"]) == (502, "judge_failed")
    assert STRONG in error["error"]["message"]
    (row,) = await proxy.ledger(1)
    assert row["completion_tokens"] == 10


async def test_a_reply_in_parts_is_read(proxy: Proxy) -> None:
    scores = orjson.dumps({"scores": {"1": 1, "2": 1, "3": 1}}).decode()
    async with judging(proxy, [{"type": "thinking", "thinking": []}, {"type": "text", "text": scores}]):
        status, judged = await post(proxy, PATH, BODY)
    assert status == 200
    assert {each["score"] for each in judged["scores"].values()} == {1}


async def test_limits_refuse_the_judge(proxy: Proxy) -> None:
    await proxy.admin.fetch("select router.put_limits($1, null, null, null, 0, null)", proxy.tenant_id)
    proxy.services.directory.invalidate()
    await asyncio.sleep(0.3)
    async with judging(proxy) as asked:
        status, _ = await post(proxy, PATH, BODY)
    assert (status, asked) == (402, [])


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"answers": {}}, "answers"),
        ({"model": "gpt-none"}, "model"),
        ({"answered_by": [CHEAP, "gpt-none"]}, "answered_by[1]"),
        ({"prompt": " "}, "prompt"),
        ({"instructions": "x" * 5000}, "instructions"),
        ({"scores": {}}, "scores"),
    ],
)
async def test_a_bad_question_is_refused_by_its_field(proxy: Proxy, change: Any, param: str) -> None:
    status, error = await post(proxy, PATH, {**BODY, **change})
    assert (status, error["error"]["param"]) == (400, param)
