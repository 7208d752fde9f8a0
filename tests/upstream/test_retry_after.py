"""Retry-After, back-off and the deadline of a request."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import UpstreamUnavailable
from app.upstream.backoff import FIRST, LONGEST, backoff, retry_after
from app.upstream.failover import RetryPolicy
from tests.support.failover_world import A, B, Said, status, world

pytestmark = pytest.mark.usefixtures("no_real_sleep")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [({"retry_after": "2"}, 2), ({"retry_after": "0.5"}, 0.5), ({"retry_after_ms": "1500"}, 1.5),
     ({"retry_after_ms": "1500", "retry_after": "4"}, 1.5), ({"retry_after_ms": "soon", "retry_after": "4"}, 4),
     ({"retry_after": "0"}, 0)],
)  # fmt: skip
async def test_a_provider_is_retried_after_its_retry_after(headers: dict[str, Any], seconds: float) -> None:
    it = world(a=[Said(429, **headers), 200])
    assert status(await it.answer(A)) == 200
    assert it.slept == [pytest.approx(seconds, abs=0.1)]


async def test_the_model_that_is_ready_first_is_retried_first() -> None:
    it = world(a=[Said(429, retry_after="4")], b=[Said(503, retry_after="1"), 200])
    assert status(await it.answer(A, B)) == 200
    assert it.asked == ["a", "b", "b"]


async def test_a_retry_after_beyond_the_deadline_is_passed_on_at_once() -> None:
    it = world(patience=RetryPolicy(retry_wait=5), a=[Said(429, retry_after="6")])
    assert status(await it.answer(A)) == 429
    assert (it.asked, it.slept) == (["a"], [])


async def test_no_retry_begins_after_the_deadline() -> None:
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
