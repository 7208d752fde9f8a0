"""A watch that measures how long an event loop stands still."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class LoopWatch:
    """The longest time between two turns of an event loop, in seconds, of which this process was running.

    Time in which the machine ran other processes does not count: a stop takes no longer than the processor time that
    all threads of the process used meanwhile.
    """

    def __init__(self) -> None:
        self.longest = 0.0

    async def run(self) -> None:
        wall, used = time.perf_counter(), time.process_time()
        while True:
            for pause in (0.0, 0.001):
                await asyncio.sleep(pause)
                now, now_used = time.perf_counter(), time.process_time()
                self.longest = max(self.longest, min(now - wall - pause, now_used - used))
                wall, used = now, now_used


@asynccontextmanager
async def watched_loop() -> AsyncIterator[LoopWatch]:
    """Measure the running event loop's longest stop within the context."""
    watch = LoopWatch()
    # As in `serve`: a full collection of all that the tests have loaded takes longer than what is measured.
    gc.collect()
    gc.freeze()
    task = asyncio.create_task(watch.run())
    await asyncio.sleep(0.01)
    watch.longest = 0.0
    try:
        yield watch
    finally:
        await asyncio.sleep(0.01)
        task.cancel()
        gc.unfreeze()
