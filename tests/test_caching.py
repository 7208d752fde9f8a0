"""The LRU cache and the shared calls that directory, affinity and embedders are built on."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from app.caching import LRU, SingleFlight


def test_a_full_cache_evicts_the_entry_that_was_used_least_recently() -> None:
    cache = LRU[str, int](2)
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache.get("a", None) == 1
    cache.put("c", 3)
    assert ("a" in cache, "b" in cache, "c" in cache, len(cache)) == (True, False, True, 2)


def test_a_peek_does_not_keep_an_entry_from_eviction() -> None:
    cache = LRU[str, int](2)
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache.peek("a", None) == 1
    cache.put("c", 3)
    assert cache.peek("a", None) is None


def test_a_value_that_is_stored_again_counts_as_used() -> None:
    cache = LRU[str, int](2)
    cache.put("a", 1)
    cache.put("b", 2)
    cache.put("a", 3)
    cache.put("c", 4)
    assert (cache.get("a", None), cache.get("b", None)) == (3, None)


def test_a_stored_none_differs_from_an_absent_entry() -> None:
    cache = LRU[str, int | None](2)
    cache.put("a", None)
    assert (cache.get("a", 0), cache.get("b", 0)) == (None, 0)
    cache.discard("a")
    cache.discard("b")
    assert "a" not in cache


def test_a_cache_of_size_zero_stores_nothing() -> None:
    cache = LRU[str, int](0)
    cache.put("a", 1)
    assert len(cache) == 0


class Calls:
    """A call that ends when the test decides, and the number of its starts."""

    def __init__(self) -> None:
        self.started = 0
        self.cancelled = 0
        self.end = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self) -> int:
        self.started += 1
        try:
            await self.end.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        return self.started


async def test_callers_with_one_key_share_one_call() -> None:
    flight, call = SingleFlight[str, int](), Calls()
    callers = [asyncio.create_task(flight.run("a", call)) for _ in range(3)]
    other = asyncio.create_task(flight.run("b", call))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    call.end.set()
    assert await asyncio.gather(*callers) == [2, 2, 2]
    assert await other == 2
    assert call.started == 2


async def test_the_next_caller_after_the_end_starts_a_new_call() -> None:
    flight, call = SingleFlight[str, int](), Calls()
    call.end.set()
    assert [await flight.run("a", call), await flight.run("a", call)] == [1, 2]


async def test_a_cancelled_caller_does_not_end_the_call_of_the_others() -> None:
    flight, call = SingleFlight[str, int](), Calls()
    leaving, staying = (asyncio.create_task(flight.run("a", call)) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.sleep(0)
    call.end.set()
    assert await staying == 1
    assert leaving.cancelled()


async def test_an_error_reaches_every_caller_and_is_not_remembered() -> None:
    flight, call = SingleFlight[str, int](), Calls()
    call.end.set()
    call.error = ValueError("no")
    results = await asyncio.gather(*(flight.run("a", call) for _ in range(2)), return_exceptions=True)
    assert [str(result) for result in results] == ["no", "no"]
    call.error = None
    assert await flight.run("a", call) == 2


async def test_an_error_that_no_caller_waits_for_is_not_logged() -> None:
    flight, call = SingleFlight[str, int](), Calls()
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    call.error = ValueError("no")
    caller = asyncio.create_task(flight.run("a", call))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    del caller
    call.end.set()
    for _ in range(3):
        await asyncio.sleep(0)
    gc.collect()
    assert reported == []


async def test_closing_cancels_the_calls_that_run() -> None:
    flight, call = SingleFlight[str, int](), Calls()
    caller = asyncio.create_task(flight.run("a", call))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await flight.close()
    assert (call.started, call.cancelled) == (1, 1)
    with pytest.raises(asyncio.CancelledError):
        await caller
