"""Batches concurrent calls of `router.decide` for the same policy into one statement."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import suppress
from itertools import groupby
from typing import Any

from ..errors import DatabaseUnavailable
from .database import Database

#: Statements that run at once; further calls wait and are batched. A batch takes Postgres little more than half of the
#: processor time of separate statements, and this process a fraction.
STATEMENTS = 4
#: Maximum calls in one statement: with more, the first would wait too long for the last.
BATCH_SIZE = 8

#: Arguments of `router.decide` and `router.explain`.
ARGUMENTS = "($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
DECIDE = f"select * from router.decide{ARGUMENTS}"
DECIDE_MANY = "select * from router.decide_many($1)"

Rows = list[Any]


class _Call:
    """A call that waits. Its `outcome` is its rows, an error, or a batch that it must execute, itself first."""

    __slots__ = ("arguments", "ends", "outcome")

    def __init__(self, arguments: tuple[Any, ...], ends: float) -> None:
        self.arguments = arguments
        self.ends = ends
        self.outcome: asyncio.Future[Rows | BaseException | _Batch] = asyncio.get_running_loop().create_future()

    def resolve(self, outcome: Rows | BaseException | _Batch) -> None:
        """Set the outcome, unless the call was cancelled."""
        if not self.outcome.done():
            self.outcome.set_result(outcome)


class _Batch(deque[_Call]):
    """Calls of one statement, which the first of them executes."""


class DecisionBatcher:
    """Executes calls of `router.decide`, batched with those that come at the same moment or while statements run."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._busy = 0
        self._scheduled = False
        self._waiting: deque[_Call] = deque()

    async def decide(self, arguments: tuple[Any, ...], deadline: float) -> Rows:
        """Return the rows of `router.decide`. Raises as `Database.read` does, within `deadline` seconds."""
        mine = _Call(arguments, time.monotonic() + deadline)
        self._waiting.append(mine)
        self._schedule()
        try:
            async with asyncio.timeout(deadline):
                outcome = await mine.outcome
        except BaseException as error:
            self._withdraw(mine)
            if isinstance(error, TimeoutError):
                raise DatabaseUnavailable("Postgres was busy with other decisions.", cause="pool") from error
            raise
        if isinstance(outcome, _Batch):
            return await self._execute(outcome)
        if isinstance(outcome, DatabaseUnavailable):
            raise DatabaseUnavailable(str(outcome), cause=outcome.cause) from outcome
        if isinstance(outcome, BaseException):
            # One call of the batch caused the error. Executed alone, only that call fails.
            return await self._db.read(DECIDE, *arguments, timeout=_left(mine))
        return outcome

    async def _execute(self, batch: _Batch) -> Rows:
        first, *others = batch
        try:
            if not others:
                return await self._db.read(DECIDE, *first.arguments, timeout=_left(first))
            try:
                # The first has waited longest, so its deadline comes first.
                rows = await self._db.read(DECIDE_MANY, [each.arguments for each in batch], timeout=_left(first))
            except Exception as error:
                for each in others:
                    each.resolve(error)
                if isinstance(error, DatabaseUnavailable):
                    raise
                return await self._db.read(DECIDE, *first.arguments, timeout=_left(first))
            except BaseException:
                # Only the first call was cancelled.
                self._waiting.extendleft(reversed(others))
                raise
            answers = {number: list(of) for number, of in groupby(rows, key=lambda row: row["question"])}
            for number, each in enumerate(others, 2):
                each.resolve(answers.get(number, []))
            return answers.get(1, [])
        finally:
            self._next()

    def _schedule(self) -> None:
        """Start a statement, if fewer than `STATEMENTS` run, after the other tasks that are ready now have run."""
        if not self._scheduled and self._busy < STATEMENTS:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._start)

    def _start(self) -> None:
        self._scheduled = False
        self._busy += 1
        self._next()
        if self._waiting:
            self._schedule()

    def _next(self) -> None:
        """Let the call that has waited longest execute a batch of the calls that wait for the same policy.

        A batch has calls of one policy only, so that a slow decision of a large tenant does not delay other tenants'.
        """
        batch, passed = _Batch(), []
        while self._waiting and len(batch) < BATCH_SIZE:
            each = self._waiting.popleft()
            if each.outcome.done():
                continue
            if batch and each.arguments[:2] != batch[0].arguments[:2]:
                passed.append(each)
            else:
                batch.append(each)
        self._waiting.extendleft(reversed(passed))
        if batch:
            batch[0].resolve(batch)
        else:
            self._busy -= 1

    def _withdraw(self, mine: _Call) -> None:
        """Remove a call that was cancelled; if it had to execute a batch, another call does."""
        with suppress(ValueError):
            self._waiting.remove(mine)
        if mine.outcome.done() and not mine.outcome.cancelled():
            outcome = mine.outcome.result()
            if isinstance(outcome, _Batch):
                self._waiting.extendleft(reversed([each for each in outcome if each is not mine]))
                self._next()


def _left(call: _Call) -> float:
    return max(0.001, call.ends - time.monotonic())
