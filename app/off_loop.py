"""Work on large request bodies, which runs in a thread so that the event loop goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

#: Bytes from which on work on a body runs in a thread; handing it over takes about 0.1 ms.
LARGE = 256 * 1024

#: Few threads, because each large body takes several times its size while it is parsed.
_threads = ThreadPoolExecutor(2, thread_name_prefix="large-bodies")


async def off_loop(size: int, work: Callable[[], T]) -> T:
    """Return the result of `work` on a body of `size` bytes: in a thread if it is large, else at once."""
    if size < LARGE:
        return work()
    return await asyncio.get_running_loop().run_in_executor(_threads, work)
