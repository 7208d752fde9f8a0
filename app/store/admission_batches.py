"""Batches concurrent calls of `router.admit` for the same key into one statement, and runs one for each tenant."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from ..errors import Cause, DatabaseUnavailable
from .database import Database

#: Largest number of calls in one statement; a power of two, because a statement is prepared for each power.
BATCH_SIZE = 32
#: Calls of other keys that are looked at for one batch.
MOST_PASSED = 64
#: Shortest time for a statement that is sent, seconds: one that is given up may have been executed.
LEAST_TIMEOUT = 0.5

Arguments = tuple[Any, ...]


class _Call:
    """A call that waits for its row; `sent`: whether its statement has begun."""

    __slots__ = ("arguments", "ends", "outcome", "sent")

    def __init__(self, arguments: Arguments, ends: float) -> None:
        self.arguments = arguments
        self.ends = ends
        self.sent = False
        self.outcome: asyncio.Future[Any] = asyncio.get_running_loop().create_future()


class AdmissionBatcher:
    """Executes calls of `router.admit`: one statement at a time for each tenant, and `statements` in all.

    The meters' rows serialise a tenant's admissions anyway: more statements would only hold connections that wait for
    each other. Calls that come meanwhile are batched by key, because the keys of one statement lock one meter each.
    """

    def __init__(self, db: Database, statements: int = 4) -> None:
        self._db = db
        self._free = statements
        # The waiting calls of each tenant that has a statement running or waits for one.
        self._queues: dict[int, deque[_Call]] = {}
        # Tenants with calls, but no statement yet.
        self._next: deque[int] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    async def admit(self, arguments: Arguments, deadline: float) -> Any:
        """Return the row of `router.admit`. Raises as `Database.fetch` does, within about `deadline` seconds."""
        tenant = arguments[0]
        if self._free and tenant not in self._queues:
            self._queues[tenant] = deque()
            self._free -= 1
            try:
                return (await self._db.fetch(_statement(1), *arguments, timeout=deadline))[0]
            finally:
                self._end(tenant)
        call = _Call(arguments, time.monotonic() + deadline)
        queue = self._queues.get(tenant)
        if queue is None:
            queue = self._queues[tenant] = deque()
            self._next.append(tenant)
        queue.append(call)
        timer = asyncio.get_running_loop().call_at(
            asyncio.get_running_loop().time() + deadline + LEAST_TIMEOUT, _give_up, call
        )
        try:
            return await call.outcome
        finally:
            timer.cancel()

    def _end(self, tenant: int) -> None:
        """End a tenant's statement; the next one is that of the tenant that has waited longest."""
        self._free += 1
        if self._queues[tenant]:
            self._next.append(tenant)
        else:
            del self._queues[tenant]
        while self._free and self._next:
            self._free -= 1
            task = asyncio.get_running_loop().create_task(self._run(self._next.popleft()))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(self, tenant: int) -> None:
        try:
            batch = _batch(self._queues[tenant])
            if batch:
                await self._execute(batch)
        finally:
            self._end(tenant)

    async def _execute(self, batch: Sequence[_Call]) -> None:
        for call in batch:
            call.sent = True
        arguments = [argument for call in batch for argument in call.arguments]
        timeout = max(LEAST_TIMEOUT, batch[0].ends - time.monotonic())
        try:
            rows = await self._db.fetch(_statement(len(batch)), *arguments, timeout=timeout)
        except Exception as error:
            for call in batch:
                if not call.outcome.done():
                    call.outcome.set_exception(_copy(error))
        else:
            for call, row in zip(batch, rows, strict=True):
                if not call.outcome.done():
                    call.outcome.set_result(row)


def _batch(queue: deque[_Call]) -> list[_Call]:
    """Take the calls of one key from the front of a queue: a power of two, so that few statements are prepared."""
    batch: list[_Call] = []
    passed: list[_Call] = []
    now = time.monotonic()
    while queue and len(batch) < BATCH_SIZE and len(passed) < MOST_PASSED:
        call = queue.popleft()
        if call.outcome.done():
            continue
        if call.ends <= now:
            _give_up(call)
        elif batch and call.arguments[1] != batch[0].arguments[1]:
            passed.append(call)
        else:
            batch.append(call)
    kept = 1 << (len(batch).bit_length() - 1) if batch else 0
    queue.extendleft(reversed(passed))
    queue.extendleft(reversed(batch[kept:]))
    return batch[:kept]


def _give_up(call: _Call) -> None:
    if not call.outcome.done():
        cause: Cause = "timeout" if call.sent else "pool"
        call.outcome.set_exception(DatabaseUnavailable("Postgres was busy with other admissions.", cause=cause))


def _copy(error: Exception) -> Exception:
    """Return an error of its own for each call, because a traceback grows wherever the error is raised."""
    return DatabaseUnavailable(str(error), cause=error.cause) if isinstance(error, DatabaseUnavailable) else error


def _statement(calls: int) -> str:
    """Return the statement of so many calls, which are executed in order and see each other's changes."""
    if calls == 1:
        return "select * from router.admit($1, $2, $3, $4, $5)"
    numbers = [range(first, first + 5) for first in range(1, 5 * calls, 5)]
    return " union all ".join(
        "select * from router.admit({})".format(", ".join(f"${number}" for number in each)) for each in numbers
    )
