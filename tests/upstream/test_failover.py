"""Failover: which model is tried next, and when a failure is final."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.errors import UpstreamUnavailable
from app.upstream.backoff import FIRST
from app.upstream.failover import RetryPolicy
from tests.support.failover_world import LATE, LOST, A, B, C, status, world

pytestmark = pytest.mark.usefixtures("no_real_sleep")


async def test_the_first_of_the_ranking_that_answers_well_serves() -> None:
    it = world(a=[503], b=[LOST], c=[200])
    answer = await it.answer(A, B, C)
    assert (status(answer), answer.whole) == (200, b"{}")
    assert it.attempts == [("a", "chosen", "503"), ("b", "fallback", "unreachable"), ("c", "fallback", "200")]
    assert it.slept == [], "no wait while another model is left"
    assert it.open == [answer.reply], "replies that are not forwarded are closed"


@pytest.mark.parametrize("wrong", [400, 413, 422])
async def test_a_bad_request_is_sent_once(wrong: int) -> None:
    it = world(a=[wrong])
    assert status(await it.answer(A, B)) == wrong
    assert it.asked == ["a"]


@pytest.mark.parametrize("fault", [401, 402, 403, 404, 410])
async def test_an_error_that_another_model_may_not_have_goes_to_the_next_without_retries(fault: int) -> None:
    it = world(a=[fault], b=[fault])
    assert status(await it.answer(A, B)) == fault
    assert it.asked == ["a", "b"]


@pytest.mark.parametrize("fault", [401, 403, 404])
async def test_a_request_that_names_its_model_gets_a_final_error_at_once(fault: int) -> None:
    it = world(routed=False, a=[fault])
    assert status(await it.answer(A)) == fault
    assert (it.asked, it.slept) == (["a"], [])


@pytest.mark.parametrize("ill", [408, 409, 429, 500, 503, 529, LOST])
@pytest.mark.parametrize("routed", [True, False])
async def test_a_temporary_error_is_retried(ill: Any, routed: bool) -> None:
    it = world(routed=routed, a=[ill, ill, 200])
    assert status(await it.answer(A)) == 200
    assert [why for _, why, _ in it.attempts] == ["chosen", "retry", "retry"]
    assert 0.5 * FIRST <= it.slept[0] <= FIRST <= it.slept[1] <= 2 * FIRST


async def test_after_so_many_rounds_the_last_answer_is_passed_on() -> None:
    it = world(patience=RetryPolicy(retries=1), a=[500, 503], b=[502, 500])
    answer = await it.answer(A, B)
    assert (status(answer), answer.attempt.model) == (500, B)
    assert it.asked == ["a", "b", "a", "b"]
    assert it.open == [answer.reply]


async def test_with_no_answer_at_all_it_is_an_error() -> None:
    it = world(patience=RetryPolicy(retries=0), a=[503], b=[LOST])
    with pytest.raises(UpstreamUnavailable):
        await it.answer(A, B)
    assert it.open == []


async def test_a_provider_that_took_too_long_is_not_asked_again() -> None:
    it = world(a=[LATE])
    with pytest.raises(UpstreamUnavailable) as late:
        await it.answer(A)
    assert late.value.status == 504
    assert it.attempts == [("a", "chosen", "timeout")]


async def test_a_client_that_leaves_between_two_attempts_leaves_nothing_open() -> None:
    it = world(a=[503, asyncio.Event()])
    task = asyncio.create_task(it.answer(A))
    while len(it.asked) < 2:
        await asyncio.wait({task}, timeout=0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert it.open == []
    assert it.attempts == [("a", "chosen", "503"), ("a", "retry", "cancelled")]
