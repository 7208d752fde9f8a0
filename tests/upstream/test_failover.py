"""Who is asked, how often and how long: retries, deadlines, breakers, failover, hedging; and the record of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, cast

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.entities import Model
from app.errors import UpstreamUnavailable
from app.upstream.answer import Answer
from app.upstream.backoff import FIRST, LONGEST, backoff, retry_after
from app.upstream.breaker import CLOSED, FAILURES, HALF_OPEN, OPEN, PAUSE, Breakers
from app.upstream.breaker import LONGEST as LONGEST_PAUSE
from app.upstream.client import Reply
from app.upstream.failover import Failover, RetryPolicy
from scripts.fake_provider.server import Running
from tests.conftest import ProxyFactory
from tests.support.models import model
from tests.support.proxy import CHEAP, STRONG, Proxy

A, B, C = (model(name, model_id=number) for number, name in enumerate("abc"))


class Said:
    """What a provider says, as `Failover` sees it; `stalls`: its body never ends."""

    def __init__(self, status: int, *, stalls: bool = False, **headers: Any) -> None:
        self.status, self.stalls, self.closed = status, stalls, False
        self.arrived = not stalls
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.headers = [(b"content-length", b"2"), *((n.encode(), v.encode()) for n, v in named.items())]

    def header(self, name: bytes) -> bytes | None:
        return dict(self.headers).get(name)

    async def read(self) -> bytes:
        if self.stalls:
            await asyncio.Event().wait()
        return b"{}"

    def close(self) -> None:
        self.closed = True


LOST = UpstreamUnavailable("The provider cannot be reached.")
LATE = UpstreamUnavailable("The provider did not answer in time.", timed_out=True)
Script = Sequence[int | Said | UpstreamUnavailable | asyncio.Event]


@dataclass
class World:
    """Providers that do what they are told, and a clock that only sleeping moves."""

    scripts: dict[str, list[Any]]
    routed: bool = True
    patience: RetryPolicy = field(default_factory=RetryPolicy)
    breakers: Breakers | None = None
    now: float = 1000.0
    asked: list[str] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    within: list[float] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.breakers = self.breakers or Breakers(lambda: self.now)
        self.failover = Failover(self.breakers, self.patience, self.send, time.perf_counter(), routed=self.routed)

    async def send(self, asked: Model, within: float) -> Reply:
        self.asked.append(asked.name)
        self.within.append(within)
        step = self.scripts[asked.name].pop(0)
        if isinstance(step, asyncio.Event):
            try:
                await step.wait()
            except asyncio.CancelledError:
                self.cancelled.append(asked.name)
                raise
            step = self.scripts[asked.name].pop(0)
        if isinstance(step, UpstreamUnavailable):
            raise step
        reply = Said(step) if isinstance(step, int) else step
        self.said.append(reply)
        return cast(Reply, reply)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds + 1e-3

    async def answer(self, *models: Model) -> Answer:
        return await self.failover.answer(models)

    @property
    def attempts(self) -> list[tuple[str, str, str]]:
        return [(each.model.name, each.why, each.outcome) for each in self.failover.attempts]

    @property
    def open(self) -> list[Any]:
        return [each for each in self.said if not each.closed]


@pytest.fixture(autouse=True)
def _no_real_sleep(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting before a retry moves the world's clock alone, where there is one."""
    if "proxy" in request.fixturenames or "proxies" in request.fixturenames:
        return
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        if WORLDS:
            await WORLDS[-1].sleep(seconds)
        await real(0)

    monkeypatch.setattr("app.upstream.failover.asyncio.sleep", sleep)


WORLDS: list[World] = []


def world(
    routed: bool = True, patience: RetryPolicy | None = None, breakers: Breakers | None = None, **scripts: Script
) -> World:
    made = World({name: list(script) for name, script in scripts.items()}, routed, patience or RetryPolicy(), breakers)
    WORLDS.append(made)
    return made


def status(answer: Answer) -> int:
    assert answer.reply is not None
    return answer.reply.status


# ---- who is asked


async def test_the_first_of_the_ranking_that_answers_well_serves() -> None:
    it = world(a=[503], b=[LOST], c=[200])
    answer = await it.answer(A, B, C)
    assert (status(answer), answer.whole) == (200, b"{}")
    assert it.attempts == [("a", "chosen", "503"), ("b", "fallback", "unreachable"), ("c", "fallback", "200")]
    assert it.slept == [], "nobody waits while there is another to ask"
    assert it.open == [answer.reply], "what is not passed on is closed"


@pytest.mark.parametrize("wrong", [400, 402, 413, 422])
async def test_a_request_that_is_wrong_is_asked_once(wrong: int) -> None:
    it = world(a=[wrong])
    assert status(await it.answer(A, B)) == wrong
    assert it.asked == ["a"]


@pytest.mark.parametrize("fault", [401, 403, 404])
async def test_what_another_model_may_do_better_is_asked_of_it_and_not_again(fault: int) -> None:
    it = world(a=[fault], b=[fault])
    assert status(await it.answer(A, B)) == fault
    assert it.asked == ["a", "b"]


@pytest.mark.parametrize("fault", [401, 403, 404])
async def test_what_names_its_model_gets_its_answer_at_once(fault: int) -> None:
    it = world(routed=False, a=[fault])
    assert status(await it.answer(A)) == fault
    assert (it.asked, it.slept) == (["a"], [])


@pytest.mark.parametrize("ill", [408, 409, 429, 500, 503, 529, LOST])
@pytest.mark.parametrize("routed", [True, False])
async def test_what_may_pass_is_asked_again(ill: Any, routed: bool) -> None:
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


# ---- for how long


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [({"retry_after": "2"}, 2), ({"retry_after": "0.5"}, 0.5), ({"retry_after_ms": "1500"}, 1.5),
     ({"retry_after_ms": "1500", "retry_after": "4"}, 1.5), ({"retry_after_ms": "soon", "retry_after": "4"}, 4),
     ({"retry_after": "0"}, 0)],
)  # fmt: skip
async def test_a_provider_is_asked_again_when_it_says(headers: dict[str, Any], seconds: float) -> None:
    it = world(a=[Said(429, **headers), 200])
    assert status(await it.answer(A)) == 200
    assert it.slept == [pytest.approx(seconds, abs=0.1)]


async def test_the_one_that_is_ready_first_is_asked_first() -> None:
    it = world(a=[Said(429, retry_after="4")], b=[Said(503, retry_after="1"), 200])
    assert status(await it.answer(A, B)) == 200
    assert it.asked == ["a", "b", "b"]


async def test_who_wants_to_be_asked_later_than_anybody_waits_is_passed_on_at_once() -> None:
    it = world(patience=RetryPolicy(retry_wait=5), a=[Said(429, retry_after="6")])
    assert status(await it.answer(A)) == 429
    assert (it.asked, it.slept) == (["a"], [])


async def test_nobody_is_asked_again_past_the_end_of_the_requests_time() -> None:
    it = world(patience=RetryPolicy(total=1), a=[Said(429, retry_after="3")])
    assert status(await it.answer(A)) == 429
    assert it.slept == []
    assert 0 < it.within[0] <= 1, "and no attempt has more time than the request"


async def test_an_answer_that_begins_and_does_not_end_in_time_is_given_up() -> None:
    stalled = Said(200, stalls=True)
    it = world(patience=RetryPolicy(total=0.05), a=[stalled])
    with pytest.raises(UpstreamUnavailable) as late:
        await it.answer(A)
    assert (late.value.status, stalled.closed) == (504, True)


NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ({b"retry-after": format_datetime(NOW + timedelta(seconds=90), usegmt=True).encode()}, 90),
        ({b"retry-after": format_datetime(NOW - timedelta(seconds=90), usegmt=True).encode()}, 0),
        ({b"retry-after": b"Tue, 01 Jan 2030 12:00:05 -0000"}, 5),
        ({b"retry-after": b"Tue, 01 Jan 2030 13:00:05 +0100"}, 5),
        ({b"retry-after": b"soon"}, None),
        ({b"retry-after": b"-1"}, None),
        ({b"retry-after": b"nan"}, None),
        ({b"retry-after": b"inf"}, None),
        ({b"retry-after": b"\xff"}, None),
        ({b"retry-after": b""}, None),
        ({b"retry-after": b"Tue, 01 Jan 99999999999999999999 12:00:00 GMT"}, None),
        ({b"retry-after": b"Tue, 01 Jan 2030 12:00:00 +99999999999999999999"}, None),
        ({}, None),
    ],
)
def test_seconds_and_dates_are_understood_and_nothing_else(said: dict[bytes, bytes], seconds: float | None) -> None:
    assert retry_after(said, NOW) == seconds


@given(st.binary(max_size=40))
def test_no_retry_after_is_too_odd(said: bytes) -> None:
    found = retry_after({b"retry-after": said}, NOW)
    assert found is None or found >= 0


@given(st.integers(0, 50))
def test_a_wait_is_half_to_all_of_one_that_doubles(repeated: int) -> None:
    whole = min(LONGEST, FIRST * 2**repeated)
    assert whole / 2 <= backoff(repeated) <= whole


def test_waits_are_spread() -> None:
    assert len({backoff(3) for _ in range(20)}) > 10


# ---- breakers


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def broken(clock: Clock) -> Breakers:
    """`a` has failed so often that it is passed over."""
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


def test_a_probe_whose_client_left_is_given_to_the_next() -> None:
    clock = Clock()
    breakers = broken(clock)
    clock.now += PAUSE
    assert breakers.allows("p", "a")
    breakers.record_abort("p", "a")
    assert breakers.allows("p", "a")


def test_who_says_when_to_come_again_is_left_alone_until_then() -> None:
    clock = Clock()
    breakers = Breakers(clock)
    breakers.record_failure("p", "a", 30)
    clock.now += 29
    assert not breakers.allows("p", "a")
    clock.now += 1
    assert breakers.allows("p", "a")


def test_nobody_is_left_alone_for_ever_because_a_probe_was_told_so() -> None:
    clock = Clock()
    breakers = broken(clock)
    clock.now += PAUSE
    assert breakers.allows("p", "a")
    breakers.record_failure("p", "a", 1e8)
    clock.now += LONGEST_PAUSE
    assert breakers.allows("p", "a")


async def test_a_model_that_is_not_well_is_passed_over() -> None:
    breakers = broken(Clock())
    it = world(breakers=breakers, b=[200])
    assert status(await it.answer(A, B)) == 200
    assert it.attempts == [("a", "chosen", "open"), ("b", "fallback", "200")]
    assert it.asked == ["b"]
    assert [each.called for each in it.failover.attempts] == [False, True]


async def test_where_nobody_is_well_the_first_serves() -> None:
    breakers = broken(Clock())
    for _ in range(FAILURES):
        breakers.record_failure("p", "b")
    it = world(breakers=breakers, a=[200])
    assert status(await it.answer(A, B)) == 200
    assert it.attempts == [("a", "chosen", "open"), ("b", "fallback", "open"), ("a", "chosen", "200")]


async def test_the_only_model_and_one_that_was_named_are_asked_however_ill() -> None:
    for routed in (True, False):
        it = world(routed=routed, breakers=broken(Clock()), a=[200])
        assert status(await it.answer(A)) == 200


@pytest.mark.parametrize("fine", [200, 400, 404, 422])
async def test_a_wrong_request_is_no_sign_of_an_ill_model(fine: int) -> None:
    breakers = Breakers()
    for _ in range(3 * FAILURES):
        await world(breakers=breakers, a=[fine]).answer(A)
    assert state(breakers) == CLOSED


@pytest.mark.parametrize("ill", [401, 429, 500, 503, LOST, LATE])
async def test_a_model_that_fails_again_and_again_is_passed_over(ill: Any) -> None:
    breakers = Breakers()
    for _ in range(FAILURES):
        it = world(patience=RetryPolicy(retries=0), breakers=breakers, a=[ill], b=[200])
        await it.answer(A, B)
    assert state(breakers) == OPEN


# ---- hedging

HEDGING = RetryPolicy(retries=0, hedge=0.001)


async def test_a_model_that_keeps_one_waiting_gets_company_and_the_first_good_answer_wins() -> None:
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


async def test_where_both_fail_the_next_is_asked_and_both_again_later() -> None:
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


# ---- through a proxy


async def ask(proxy: Proxy, name: str, **headers: str) -> aiohttp.ClientResponse:
    body = {"model": name, "messages": [{"role": "user", "content": "hi"}]}
    async with proxy.http() as http, http.post("/v1/chat/completions", json=body, headers=headers) as response:
        await response.read()
        return response


async def test_the_attempts_are_in_the_answer_and_in_the_ledger(proxy: Proxy, upstream: Running) -> None:
    upstream.script(STRONG, "status=503;retry-after=9")
    response = await ask(proxy, "auto")
    assert (response.status, response.headers["x-router-model"], response.headers["x-router-reason"]) == (
        200, CHEAP, "fallback",
    )  # fmt: skip
    first, second = response.headers["x-router-attempts"].split(", ")
    assert first.startswith(f"{STRONG};why=chosen;status=503;ms=")
    assert second.startswith(f"{CHEAP};why=fallback;status=200;ms=")
    await proxy.ledger()
    decision = response.headers["x-router-decision"]
    async with proxy.http() as http, http.get(f"/v1/router/decisions/{decision}") as found:
        row = await found.json()
    assert (row["attempts"], row["model"], row["api"]) == (2, CHEAP, "chat")
    assert row["tried"] == [STRONG, CHEAP]
    assert row["tried_why"] == ["chosen", "fallback"]
    assert row["tried_outcome"] == ["503", "200"]
    assert min(row["tried_ms"]) > 0
    again = await ask(proxy, "auto")
    assert again.headers["x-router-attempts"].startswith(f"{STRONG};why=chosen;status=open;ms=0.0, {CHEAP};")
    assert len(upstream.log()) == 3, "who asked to be left alone is"


async def test_one_attempt_needs_no_arrays(proxy: Proxy) -> None:
    response = await ask(proxy, "auto")
    (row,) = await proxy.ledger()
    assert (row["attempts"], row["tried"], row["tried_why"]) == (1, None, None)
    decision = response.headers["x-router-decision"]
    async with proxy.http() as http, http.get(f"/v1/router/decisions/{decision}") as found:
        told = await found.json()
    assert (told["tried"], told["tried_why"], told["tried_outcome"]) == ([STRONG], ["chosen"], ["200"])


async def test_what_names_its_model_is_retried_and_not_failed_over(proxy: Proxy, upstream: Running) -> None:
    upstream.script(CHEAP, "status=503;retry-after=0;times=1")
    response = await ask(proxy, CHEAP)
    assert response.status == 200
    assert "x-router-attempts" not in response.headers
    assert len(upstream.log()) == 2
    (row,) = await proxy.ledger()
    assert (row["attempts"], row["tried_outcome"], row["tried_why"]) == (2, ["503", "200"], ["chosen", "retry"])


@pytest.mark.parametrize("wrong", [400, 404])
async def test_a_clients_mistakes_open_no_breaker(proxy: Proxy, upstream: Running, wrong: int) -> None:
    upstream.script(CHEAP, f"status={wrong}")
    for _ in range(FAILURES + 1):
        assert (await ask(proxy, CHEAP)).status == wrong
    assert list(proxy.services.breakers.states()) == []


async def test_the_provider_sees_that_the_loser_of_a_hedge_is_stopped(proxies: ProxyFactory, upstream: Running) -> None:
    async with proxies(hedge=0.05) as proxy:
        upstream.clear()
        upstream.script(STRONG, "hang")
        response = await ask(proxy, "auto")
        assert (response.headers["x-router-model"], response.headers["x-router-reason"]) == (CHEAP, "fallback")
        assert ";why=hedge;status=200" in response.headers["x-router-attempts"]
        for _ in range(100):
            if upstream.log()[0]["disconnected"]:
                break
            await asyncio.sleep(0.02)
        assert upstream.log()[0]["disconnected"]
        (row,) = await proxy.ledger()
        assert row["tried_outcome"] == ["cancelled", "200"]
        upstream.clear()


async def test_the_requests_time_ends_a_body_that_stalls(proxies: ProxyFactory, upstream: Running) -> None:
    async with proxies(total_timeout=0.3) as proxy:
        upstream.clear()
        response = await ask(proxy, CHEAP, **{"x-fake": "hang-after=5"})
        assert response.status == 504
        upstream.clear()
