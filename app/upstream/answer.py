"""The answer of an attempt: a reply that has begun, or the error that came instead."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from ..errors import UpstreamUnavailable
from .attempt import RETRYABLE, Attempt
from .backoff import retry_after
from .client import Reply

#: A reply of known length up to this many bytes is read whole before any of it is sent on.
WHOLE = 1024 * 1024


@dataclass(slots=True)
class Answer:
    """The result of an attempt: `reply`, which has begun, or `error`.

    `whole`: the body of a short reply; `began`: the beginning of any other, by the clock of the breakers.
    """

    attempt: Attempt
    reply: Reply | None = None
    whole: bytes | None = None
    error: UpstreamUnavailable | None = None
    began: float | None = None

    def close(self) -> None:
        """Give up the reply, if there is one."""
        if self.reply is not None:
            self.reply.close()

    def retry_delay(self, backoff: float) -> float | None:
        """Return the seconds to wait before a retry; None: a retry would fail too.

        They are the `Retry-After` of the reply, else `backoff`.
        """
        if self.reply is None:
            return None if self.error is not None and (self.error.timed_out or self.error.invalid) else backoff
        headers = dict(self.reply.headers)
        if self.reply.status not in RETRYABLE or headers.get(b"x-should-retry", b"").lower() == b"false":
            return None
        asked = retry_after(headers)
        return backoff if asked is None else asked


async def read_if_short(reply: Reply, deadline: float) -> bytes | None:
    """Return the body of a short reply; None: it is long, or its length is unknown.

    While nothing is sent on, another model can still serve if the body breaks off, or does not end before `deadline`
    (by `time.perf_counter`). Raises `UpstreamUnavailable` then.
    """
    if reply.whole is not None:
        return reply.whole
    length = reply.header(b"content-length")
    if length is None or not length.isdigit() or int(length) > WHOLE:
        return None
    try:
        if reply.arrived:
            return await reply.read()
        async with asyncio.timeout(max(0.001, deadline - time.perf_counter())):
            return await reply.read()
    except TimeoutError:
        reply.close()
        raise UpstreamUnavailable("The provider did not end its answer in time.", timed_out=True) from None
    except BaseException:
        reply.close()
        raise
