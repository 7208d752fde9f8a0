"""Bounded caches and shared calls: an LRU cache, and a table of calls that run once per key at a time."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
D = TypeVar("D")


class LRU(Generic[K, V]):
    """A mapping of up to `size` entries that evicts the entry that was used least recently.

    For one thread or one event loop. A lookup takes about 0.1 us more than that of a dict.
    """

    __slots__ = ("_entries", "_size")

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: OrderedDict[K, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: K) -> bool:
        return key in self._entries

    def get(self, key: K, default: D) -> V | D:
        """Return the value of `key` and mark it as used, or return `default`."""
        try:
            value = self._entries[key]
        except KeyError:
            return default
        self._entries.move_to_end(key)
        return value

    def peek(self, key: K, default: D) -> V | D:
        """Return the value of `key` without marking it as used, or return `default`."""
        return self._entries.get(key, default)

    def put(self, key: K, value: V) -> None:
        """Store `value`, mark it as used and evict the oldest entry if there are more than `size`."""
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > self._size:
            self._entries.popitem(last=False)

    def discard(self, key: K) -> None:
        """Remove the entry of `key`, if there is one."""
        self._entries.pop(key, None)


class SingleFlight(Generic[K, V]):
    """Asynchronous calls that run once per key at a time: callers with the same key share one call and its result.

    Nothing is cached: after a call has ended, the next one with its key starts anew.
    """

    __slots__ = ("_running",)

    def __init__(self) -> None:
        self._running: dict[K, asyncio.Task[V]] = {}

    def start(self, key: K, call: Callable[[], Coroutine[Any, Any, V]]) -> asyncio.Task[V]:
        """Return the running call of `key`; if there is none, start `call()` as a task."""
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.create_task(call())
            task.add_done_callback(lambda done: self._end(key, done))
        return task

    async def run(self, key: K, call: Callable[[], Coroutine[Any, Any, V]]) -> V:
        """Return the result of the call of `key`, or raise its error.

        If this caller is cancelled, the call continues for the other callers.
        """
        return await asyncio.shield(self.start(key, call))

    async def close(self) -> None:
        """Cancel the running calls and wait until they have ended."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _end(self, key: K, task: asyncio.Task[V]) -> None:
        del self._running[key]
        if not task.cancelled():
            # If every caller was cancelled, asyncio would log an error as "never retrieved".
            task.exception()
