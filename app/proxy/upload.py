"""A request's body that is taken in while its answer is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.types import Message, Receive

#: Chunks that wait for the provider to take them.
WAITING = 4


class Upload:
    """A body on its way up: whoever watches for the client to leave takes it in, and the provider's pace is kept."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._waiting: asyncio.Queue[bytes | None] = asyncio.Queue(WAITING)

    async def receive(self) -> Message:
        """The next message, whose body is kept for `chunks`."""
        message = await self._receive()
        if message["type"] == "http.request":
            if message.get("body"):
                await self._waiting.put(message["body"])
            if not message.get("more_body", False):
                await self._waiting.put(None)
        return message

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body."""
        while (chunk := await self._waiting.get()) is not None:
            yield chunk
