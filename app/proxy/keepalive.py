"""Keep-alive comments of event streams, for clients and load balancers that close silent connections."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator

#: A comment, which clients of server-sent events ignore, and an empty line, at which many of them read what came.
KEEP_ALIVE = b": keep-alive\n\n"
#: The same without the empty line.
_LINE = b": keep-alive\n"
_ID = re.compile(rb"[\r\n]id[:\r\n]")


class Comments:
    """The comments of one stream.

    Once an event had an `id:` line, clients such as openai-python take the empty line behind a comment for the end of
    another event, one without data, and fail to parse it: then the comment is a line alone.
    """

    def __init__(self) -> None:
        self._end = b"\n"
        self._named = False

    def feed(self, chunk: bytes) -> None:
        """Take note of what the stream has sent."""
        if not self._named:
            self._named = _ID.search(self._end + chunk) is not None
            self._end = (self._end + chunk)[-3:]

    @property
    def next(self) -> bytes:
        """The comment to send now, between two events."""
        return _LINE if self._named else KEEP_ALIVE


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
