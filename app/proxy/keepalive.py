"""Keep-alive comments of event streams, for clients and load balancers that close silent connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

#: A comment, which clients of server-sent events ignore.
KEEP_ALIVE = b": keep-alive\n\n"


async def paced(chunks: AsyncGenerator[bytes, None], seconds: float) -> AsyncGenerator[bytes | None, None]:
    """Yield the chunks, and None whenever `seconds` have passed without one."""
    following = aiter(chunks)
    task: asyncio.Future[bytes] | None = None
    try:
        while True:
            task = asyncio.ensure_future(anext(following))
            while not (await asyncio.wait({task}, timeout=seconds))[0]:
                yield None
            try:
                yield task.result()
            except StopAsyncIteration:
                return
    finally:
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
