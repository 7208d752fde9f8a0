"""Circuit breakers: they open, probe and close, and failover skips open ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from app.upstream.breaker import CLOSED, FAILURES, HALF_OPEN, OPEN, PAUSE, TENANTS, Breakers
from app.upstream.breaker import LONGEST as LONGEST_PAUSE
from app.upstream.failover import RetryPolicy
from tests.support.failover_world import LATE, LOST, A, B, status, world

pytestmark = pytest.mark.usefixtures("no_real_sleep")

# ---- breakers


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def broken(clock: Clock) -> Breakers:
    """`a` has failed so often that it is skipped."""
    breakers = Breakers(clock)
    for _ in range(FAILURES):
        assert breakers.allows("p", "a")
        breakers.record_failure("p", "a")
    return breakers


def state(breakers: Breakers) -> int:
    return {name: state for _, name, state in breakers.states()}.get("a", CLOSED)


def test_a_breaker_opens_lets_one_through_and_closes() -> None:
    clock = Clock()
    breakers = broken(clock)
    assert (state(breakers), breakers.allows("p", "a"), breakers.allows("p", "b")) == (OPEN, False, True)
    clock.now += PAUSE - 1
    assert not breakers.allows("p", "a")
    clock.now += 1
    assert [breakers.allows("p", "a") for _ in range(3)] == [True, False, False], "one probe"
    assert state(breakers) == HALF_OPEN
    breakers.record_success("p", "a")
    assert state(breakers) == CLOSED
    assert [breakers.allows("p", "a") for _ in range(3)] == [True] * 3


def test_a_probe_that_fails_opens_it_for_twice_as_long_up_to_the_longest() -> None:
    clock = Clock()
    breakers = broken(clock)
    pauses: list[float] = []
    for pause in (PAUSE, 2 * PAUSE, 4 * PAUSE, 8 * PAUSE, LONGEST_PAUSE, LONGEST_PAUSE):
        clock.now += pause - 0.001
        assert not breakers.allows("p", "a"), pauses
        clock.now += 0.001
        assert breakers.allows("p", "a"), pauses
        breakers.record_failure("p", "a")
        pauses.append(pause)


def test_a_probe_whose_client_left_goes_to_the_next_request() -> None:
    clock = Clock()
    breakers = broken(clock)
    clock.now += PAUSE
    assert breakers.allows("p", "a")
    breakers.record_abort("p", "a")
    assert breakers.allows("p", "a")


def test_retry_after_opens_the_breaker_until_then() -> None:
    clock = Clock()
    breakers = Breakers(clock)
    breakers.record_failure("p", "a", 30)
    clock.now += 29
    assert not breakers.allows("p", "a")
    clock.now += 1
    assert breakers.allows("p", "a")


def test_a_very_long_retry_after_opens_no_breaker_for_ever() -> None:
    clock = Clock()
    breakers = broken(clock)
    clock.now += PAUSE
    assert breakers.allows("p", "a")
    breakers.record_failure("p", "a", 1e8)
    clock.now += LONGEST_PAUSE
    assert breakers.allows("p", "a")


async def test_a_model_with_an_open_breaker_is_skipped() -> None:
    breakers = broken(Clock())
    it = world(breakers=breakers, b=[200])
    assert status(await it.answer(A, B)) == 200
    assert it.attempts == [("a", "chosen", "open"), ("b", "fallback", "200")]
    assert it.asked == ["b"]
    assert [each.called for each in it.failover.attempts] == [False, True]


async def test_if_all_breakers_are_open_the_first_model_serves() -> None:
    breakers = broken(Clock())
    for _ in range(FAILURES):
        breakers.record_failure("p", "b")
    it = world(breakers=breakers, a=[200])
    assert status(await it.answer(A, B)) == 200
    assert it.attempts == [("a", "chosen", "open"), ("b", "fallback", "open"), ("a", "chosen", "200")]


async def test_the_only_model_and_a_named_one_are_called_whatever_the_breaker() -> None:
    for routed in (True, False):
        it = world(routed=routed, breakers=broken(Clock()), a=[200])
        assert status(await it.answer(A)) == 200


@pytest.mark.parametrize("fine", [200, 400, 404, 422])
async def test_a_bad_request_does_not_open_the_breaker(fine: int) -> None:
    breakers = Breakers()
    for _ in range(3 * FAILURES):
        await world(breakers=breakers, a=[fine]).answer(A)
    assert state(breakers) == CLOSED


@pytest.mark.parametrize("ill", [401, 429, 500, 503, LOST, LATE])
async def test_a_model_that_fails_repeatedly_is_skipped(ill: Any) -> None:
    breakers = Breakers()
    for _ in range(FAILURES):
        it = world(patience=RetryPolicy(retries=0), breakers=breakers, a=[ill], b=[200])
        await it.answer(A, B)
    assert state(breakers) == OPEN


# ---- breakers of several tenants


def fail(breakers: Breakers, tenant: int, times: int, **how: Any) -> None:
    for _ in range(times):
        breakers.of(tenant).record_failure("p", "a", **how)


def test_one_tenants_failures_close_a_model_for_that_tenant_alone() -> None:
    breakers = Breakers(Clock())
    fail(breakers, 1, 10 * FAILURES)
    fail(breakers, 1, 1, retry_after=60)
    assert not breakers.of(1).allows("p", "a")
    assert breakers.of(2).allows("p", "a")
    assert state(breakers) == OPEN, "an operator sees it"


def test_failures_of_several_tenants_close_a_model_for_all() -> None:
    for counts in ((FAILURES, 2), (3, 2), (2, 2, 1), (1, 1, 1, 1, 1)):
        breakers = Breakers(Clock())
        for tenant, times in enumerate(counts):
            assert breakers.of(99).allows("p", "a"), counts
            fail(breakers, tenant, times)
        assert not breakers.of(99).allows("p", "a"), counts


def test_an_answer_for_anybody_shows_that_it_is_not_the_model() -> None:
    breakers = Breakers(Clock())
    for _ in range(20):
        fail(breakers, 1, 2)
        breakers.of(2).record_failure("p", "a")
        breakers.of(3).record_success("p", "a")
    assert breakers.of(3).allows("p", "a")
    assert not breakers.of(1).allows("p", "a"), "its own requests fail all the same"


def test_two_tenants_that_are_asked_to_wait_close_a_model_for_all_until_then() -> None:
    clock = Clock()
    breakers = Breakers(clock)
    fail(breakers, 1, 1, retry_after=30)
    assert breakers.of(3).allows("p", "a")
    fail(breakers, 2, 1, retry_after=30)
    clock.now += 29
    assert not breakers.of(3).allows("p", "a")
    clock.now += 1
    assert breakers.of(3).allows("p", "a")


def test_a_tenant_whose_probes_fail_does_not_keep_others_from_probing() -> None:
    clock = Clock()
    breakers = Breakers(clock)
    fail(breakers, 1, FAILURES)
    fail(breakers, 2, FAILURES)
    clock.now += PAUSE
    assert breakers.of(1).allows("p", "a")
    fail(breakers, 1, 1)
    assert [breakers.of(3).allows("p", "a") for _ in range(3)] == [True, False, False], "a probe of its own"
    breakers.of(3).record_success("p", "a")
    assert [breakers.of(tenant).allows("p", "a") for tenant in (1, 2, 3, 3)] == [True] * 4, "closed for all"


def test_a_faulty_request_is_no_success_either() -> None:
    clock = Clock()
    breakers = broken(clock)
    clock.now += PAUSE
    assert breakers.allows("p", "a")
    breakers.of(0).record_nothing("p", "a")
    assert state(breakers) == HALF_OPEN
    assert breakers.allows("p", "a"), "the next request probes"


def test_denied_access_counts_only_if_nothing_of_the_callers_went_up() -> None:
    for denied in (401, 403):
        breakers = Breakers(Clock())
        for _ in range(3 * FAILURES):
            breakers.of(1, lambda: True).record_failure("p", "a", None, denied)
        assert breakers.of(1).allows("p", "a")
        for _ in range(FAILURES):
            breakers.of(1, lambda: False).record_failure("p", "a", None, denied)
        assert not breakers.of(1).allows("p", "a")


def test_failures_of_many_tenants_take_bounded_memory() -> None:
    breakers = Breakers(Clock())
    for tenant in range(3 * TENANTS):
        fail(breakers, tenant, 1)
    (known,) = breakers._models.values()
    assert len(known.tenants) == TENANTS


async def test_a_request_says_nothing_of_a_model_by_its_own_fault() -> None:
    breakers = Breakers(Clock())
    for fault in (400, 402, 404, 413, 415, 422):
        fail(breakers, 0, FAILURES - 1)
        await world(breakers=breakers, a=[fault]).answer(A)
        fail(breakers, 0, 1)
        assert not breakers.of(0).allows("p", "a"), fault
        breakers.reset()


# ---- answers that go on, and clients that leave


def test_answers_that_are_cut_open_the_breaker_although_each_had_begun() -> None:
    breakers = Breakers(Clock())
    for _ in range(FAILURES):
        assert breakers.allows("p", "a")
        breakers.record_begin("p", "a")
        breakers.record_failure("p", "a")
    assert state(breakers) == OPEN


def test_the_end_of_an_answer_that_began_before_a_failure_closes_nothing() -> None:
    clock = Clock()
    breakers = Breakers(clock)
    began = breakers.record_begin("p", "a")
    clock.now += 1
    for _ in range(FAILURES):
        breakers.record_failure("p", "a")
    breakers.record_success("p", "a", began=began)
    assert state(breakers) == OPEN
    clock.now += PAUSE
    assert breakers.allows("p", "a")
    breakers.record_success("p", "a", began=breakers.record_begin("p", "a"))
    assert state(breakers) == CLOSED


def test_a_probe_whose_answer_goes_on_holds_up_others_for_one_pause() -> None:
    clock = Clock()
    breakers = broken(clock)
    clock.now += PAUSE
    assert breakers.allows("p", "a")
    breakers.record_begin("p", "a")
    assert not breakers.allows("p", "a")
    clock.now += PAUSE
    assert breakers.allows("p", "a")


def test_clients_that_wait_in_vain_are_marks_for_their_own_tenant() -> None:
    clock = Clock()
    breakers = Breakers(clock)
    for _ in range(FAILURES):
        breakers.record_waiting("p", "a", 7)
    assert not breakers.allows("p", "a", 7)
    assert breakers.allows("p", "a", 8)
    assert breakers.allows("p", "a")
    clock.now += PAUSE
    assert [breakers.allows("p", "a", 7) for _ in range(2)] == [True, False]
    breakers.record_begin("p", "a", 7)
    assert state(breakers) == HALF_OPEN
    breakers.record_success("p", "a", 7)
    assert breakers.allows("p", "a", 7)


def test_an_answer_ends_the_count_of_marks() -> None:
    breakers = Breakers(Clock())
    for _ in range(3):
        for _ in range(FAILURES - 1):
            breakers.record_waiting("p", "a", 7)
        breakers.record_success("p", "a", 7)
    assert breakers.allows("p", "a", 7)
