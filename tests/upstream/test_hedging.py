"""Hedged requests: a second model is called while the first is slow."""

from __future__ import annotations

import asyncio

import pytest

from app.entities import Model
from app.upstream.client import Reply
from app.upstream.failover import RetryPolicy
from tests.support.failover_world import A, B, C, status, world

pytestmark = pytest.mark.usefixtures("no_real_sleep")

# ---- hedging


HEDGING = RetryPolicy(retries=0, hedge=0.001)


async def test_a_slow_model_is_hedged_and_the_first_good_answer_wins() -> None:
    it = world(patience=HEDGING, a=[asyncio.Event()], b=[200])
    answer = await it.answer(A, B)
    assert answer.attempt.model is B
    assert it.attempts == [("a", "chosen", "cancelled"), ("b", "hedge", "200")]
    assert it.cancelled == ["a"], "the loser is stopped"
    assert it.open == [answer.reply]


async def test_the_first_may_still_win() -> None:
    slow = asyncio.Event()
    it = world(patience=HEDGING, a=[slow, 200], b=[asyncio.Event()])
    task = asyncio.create_task(it.answer(A, B))
    while len(it.asked) < 2:
        await asyncio.wait({task}, timeout=0.001)
    slow.set()
    assert (await task).attempt.model is A
    assert it.attempts == [("a", "chosen", "200"), ("b", "hedge", "cancelled")]


async def test_a_hedge_that_fails_leaves_the_first_to_answer() -> None:
    slow = asyncio.Event()
    it = world(patience=HEDGING, a=[slow, 200], b=[503])
    task = asyncio.create_task(it.answer(A, B))
    while not it.said:
        await asyncio.wait({task}, timeout=0.001)
    slow.set()
    answer = await task
    assert answer.attempt.model is A
    assert it.open == [answer.reply]


async def test_if_both_fail_the_next_is_called_and_both_are_retried_later() -> None:
    first = asyncio.Event()
    it = world(patience=RetryPolicy(retries=1, hedge=0.001), a=[first, 503, 503], b=[503, 503], c=[503, 200])
    task = asyncio.create_task(it.answer(A, B, C))
    while not it.said:
        await asyncio.wait({task}, timeout=0.001)
    first.set()
    answer = await task
    assert answer.attempt.model is C
    assert it.asked == ["a", "b", "c", "a", "b", "c"]
    assert it.open == [answer.reply]


async def test_a_quick_answer_needs_no_hedge() -> None:
    it = world(patience=RetryPolicy(hedge=60), a=[200])
    assert status(await it.answer(A, B)) == 200
    assert it.asked == ["a"]


async def test_a_client_that_leaves_stops_both() -> None:
    it = world(patience=HEDGING, a=[asyncio.Event()], b=[asyncio.Event()])
    task = asyncio.create_task(it.answer(A, B))
    while len(it.asked) < 2:
        await asyncio.wait({task}, timeout=0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(it.cancelled) == ["a", "b"]


async def test_a_client_that_leaves_while_the_loser_ends_leaves_no_answer_open(monkeypatch: pytest.MonkeyPatch) -> None:
    it = world(patience=HEDGING, a=[asyncio.Event()], b=[200])
    ending, send = asyncio.Event(), it.send

    async def slow_to_end(model: Model, within: float) -> Reply:
        try:
            return await send(model, within)
        except asyncio.CancelledError:
            ending.set()
            await asyncio.sleep(0.01)
            raise

    monkeypatch.setattr(it.failover, "_send", slow_to_end)
    task = asyncio.create_task(it.answer(A, B))
    await ending.wait()
    assert len(it.open) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert it.open == []
