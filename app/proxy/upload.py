"""A request body that is forwarded while it arrives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.types import Message, Receive

#: Chunks that are buffered for the provider.
BUFFERED = 4


class Upload:
    """A body that the watcher of client disconnects receives, at the pace at which the provider takes it."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._chunks: asyncio.Queue[bytes | None] = asyncio.Queue(BUFFERED)

    async def receive(self) -> Message:
        """Receive the next message; its body goes to `chunks`."""
        message = await self._receive()
        if message["type"] == "http.request":
            if message.get("body"):
                await self._chunks.put(message["body"])
            if not message.get("more_body", False):
                await self._chunks.put(None)
        return message

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body."""
        while (chunk := await self._chunks.get()) is not None:
            yield chunk
