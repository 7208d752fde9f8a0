"""Questions to `router.decide` that go to Postgres together when they come together for the same policy."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import suppress
from itertools import groupby
from typing import Any

from app.errors import DatabaseUnavailable
from app.store.database import Database

#: Statements under way before questions wait. Postgres answers several in one for little more than half
#: the processor time that each by itself takes it, and for a fraction of what that takes this process.
LANES = 4
#: Questions of one statement: more would keep the first of them waiting for the last.
MOST = 8

#: Of `router.decide` and `router.explain`.
ARGUMENTS = "($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
DECIDE = f"select * from router.decide{ARGUMENTS}"
DECIDE_MANY = "select * from router.decide_many($1)"

Rows = list[Any]


class _Waiting:
    """A question that waits: `told` is its rows, what went wrong, or the questions it is to ask for, itself first."""

    __slots__ = ("arguments", "ends", "told")

    def __init__(self, arguments: tuple[Any, ...], ends: float) -> None:
        self.arguments = arguments
        self.ends = ends
        self.told: asyncio.Future[Rows | BaseException | _Batch] = asyncio.get_running_loop().create_future()

    def tell(self, outcome: Rows | BaseException | _Batch) -> None:
        """To whoever still waits for it."""
        if not self.told.done():
            self.told.set_result(outcome)


class _Batch(deque[_Waiting]):
    """Questions that are asked at once by the first of them."""


class Questions:
    """Asks a database, each question with whoever asks at the same moment, or waits while others are being answered."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._busy = 0
        self._called = False
        self._waiting: deque[_Waiting] = deque()

    async def decide(self, arguments: tuple[Any, ...], deadline: float) -> Rows:
        """The rows of `router.decide`; raises what `Database.read` does, at the latest after `deadline` seconds."""
        mine = _Waiting(arguments, time.monotonic() + deadline)
        self._waiting.append(mine)
        self._call()
        try:
            async with asyncio.timeout(deadline):
                told = await mine.told
        except BaseException as error:
            self._leave(mine)
            if isinstance(error, TimeoutError):
                raise DatabaseUnavailable("Postgres was busy with other questions.") from error
            raise
        if isinstance(told, _Batch):
            return await self._lead(told)
        if isinstance(told, DatabaseUnavailable):
            raise DatabaseUnavailable(str(told)) from told
        if isinstance(told, BaseException):
            # It was one of the others' fault, or this one's: that shows when it is asked by itself.
            return await self._db.read(DECIDE, *arguments, timeout=_left(mine))
        return told

    async def _lead(self, batch: _Batch) -> Rows:
        first, *others = batch
        try:
            if not others:
                return await self._db.read(DECIDE, *first.arguments, timeout=_left(first))
            try:
                # The first has waited longest, so nobody's deadline comes before its own.
                rows = await self._db.read(DECIDE_MANY, [each.arguments for each in batch], timeout=_left(first))
            except Exception as error:
                for each in others:
                    each.tell(error)
                if isinstance(error, DatabaseUnavailable):
                    raise
                return await self._db.read(DECIDE, *first.arguments, timeout=_left(first))
            except BaseException:
                # Only who leads went away.
                self._waiting.extendleft(reversed(others))
                raise
            answers = {number: list(of) for number, of in groupby(rows, key=lambda row: row["question"])}
            for number, each in enumerate(others, 2):
                each.tell(answers.get(number, []))
            return answers.get(1, [])
        finally:
            self._next()

    def _call(self) -> None:
        """Have a lane opened, if one is free, once those who are about to ask have done so."""
        if not self._called and self._busy < LANES:
            self._called = True
            asyncio.get_running_loop().call_soon(self._begin)

    def _begin(self) -> None:
        self._called = False
        self._busy += 1
        self._next()
        if self._waiting:
            self._call()

    def _next(self) -> None:
        """Hand the lane over to whoever waits, and to what waits for the same policy.

        What a large tenant asks then takes a lane's time, and never that of another tenant's question beside it.
        """
        batch, passed = _Batch(), []
        while self._waiting and len(batch) < MOST:
            each = self._waiting.popleft()
            if each.told.done():
                continue
            if batch and each.arguments[:2] != batch[0].arguments[:2]:
                passed.append(each)
            else:
                batch.append(each)
        self._waiting.extendleft(reversed(passed))
        if batch:
            batch[0].tell(batch)
        else:
            self._busy -= 1

    def _leave(self, mine: _Waiting) -> None:
        """Give up waiting; whom it was to ask for, another asks for."""
        with suppress(ValueError):
            self._waiting.remove(mine)
        if mine.told.done() and not mine.told.cancelled():
            told = mine.told.result()
            if isinstance(told, _Batch):
                self._waiting.extendleft(reversed([each for each in told if each is not mine]))
                self._next()


def _left(asked: _Waiting) -> float:
    return max(0.001, asked.ends - time.monotonic())
