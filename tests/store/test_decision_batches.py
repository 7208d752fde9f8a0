"""Batched decisions: each question gets its own answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from pgvector import HalfVector

from app.errors import DatabaseUnavailable
from app.store import decision_batches, decisions
from app.store.database import Database
from app.store.decisions import Question
from tests.support.sql_world import Taught, World, direction

TOGETHER = 6


class Watched(Database):
    """A database that records the statements, and blocks them while `held`."""

    def __init__(self, dsn: str) -> None:
        super().__init__(dsn, size=4)
        self.statements: list[str] = []
        self.open_gate = asyncio.Event()
        self.open_gate.set()

    async def read(self, statement: str, *arguments: Any, timeout: float = 5.0) -> Any:
        self.statements.append(statement)
        async with asyncio.timeout(timeout):
            await self.open_gate.wait()
        return await super().read(statement, *arguments, timeout=timeout)


@pytest.fixture
async def db(world: World) -> AsyncIterator[Watched]:
    db = Watched(world.dsn)
    await db.open()
    yield db
    await db.close()


async def asked(world: World, count: int = TOGETHER, name: str = "acme") -> list[Question]:
    """Return so many questions of one policy, each with another answer."""
    tenant = await world.tenant(name)
    policy = await world.policy(tenant)
    await world.teach(tenant, Taught("a", {world.small: 0.25, world.large: 0.75}))
    return [
        Question(
            tenant_id=tenant, policy_id=policy, space_id=world.space, task=None, prompt_tokens=10 + number,
            default_model=world.large,
        )
        for number in range(count)
    ]  # fmt: skip


async def decide(
    db: Database, question: Question, deadline: float = 5.0, embedding: HalfVector | None = None
) -> list[dict[str, Any]]:
    rows = await decisions.decide(db, question, embedding or direction(0.1), deadline=deadline)
    return [{column: value for column, value in row.items() if column != "question"} for row in rows]


def ask(db: Database, several: list[Question], deadline: float = 5.0) -> list[asyncio.Task[list[dict[str, Any]]]]:
    return [asyncio.create_task(decide(db, question, deadline)) for question in several]


async def queued(db: Watched) -> None:
    """Let the tasks run until they wait."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_questions_asked_at_once_are_one_statement_and_answered_as_if_alone(world: World, db: Watched) -> None:
    several = await asked(world)
    alone = [await decide(db, question) for question in several]
    assert len({str(rows) for rows in alone}) == len(several)
    assert db.statements == [decision_batches.DECIDE] * len(several)
    db.statements.clear()
    assert await asyncio.gather(*ask(db, several)) == alone
    assert db.statements == [decision_batches.DECIDE_MANY]


async def test_no_statement_has_questions_of_two_tenants(world: World, db: Watched) -> None:
    ours, theirs = await asked(world, 3, "ours"), await asked(world, 3, "theirs")
    mixed = [question for pair in zip(ours, theirs, strict=True) for question in pair]
    alone = [await decide(db, question) for question in mixed]
    db.statements.clear()
    assert await asyncio.gather(*ask(db, mixed)) == alone
    assert db.statements == [decision_batches.DECIDE_MANY] * 2


async def test_what_is_asked_meanwhile_waits_for_a_statement_to_end(world: World, db: Watched) -> None:
    (question,) = await asked(world, 1)
    db.open_gate.clear()
    tasks = []
    for _ in range(decision_batches.STATEMENTS + 3):
        tasks += ask(db, [question])
        await queued(db)
    assert db.statements == [decision_batches.DECIDE] * decision_batches.STATEMENTS
    db.open_gate.set()
    assert len({str(rows) for rows in await asyncio.gather(*tasks)}) == 1
    assert db.statements == [decision_batches.DECIDE] * decision_batches.STATEMENTS + [decision_batches.DECIDE_MANY]


async def test_a_statement_has_so_many_questions_and_no_more(world: World, db: Watched) -> None:
    (question,) = await asked(world, 1)
    await asyncio.gather(*ask(db, [question] * (4 * decision_batches.BATCH_SIZE)))
    assert db.statements == [decision_batches.DECIDE_MANY] * 4


async def test_a_question_that_fails_fails_alone(world: World, db: Watched) -> None:
    several = await asked(world)
    alone = [await decide(db, question) for question in several]
    for where in (0, 3, len(several)):
        tasks = ask(db, several[:where])
        tasks.append(asyncio.create_task(decide(db, several[0], embedding=HalfVector([1, 2, 3]))))
        tasks += ask(db, several[where:])
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(answers.pop(where), DatabaseUnavailable)
        assert answers == alone


@pytest.mark.parametrize("steps", range(5))
async def test_a_cancelled_question_does_not_cancel_the_batch(world: World, db: Watched, steps: int) -> None:
    several = await asked(world)
    alone = [await decide(db, question) for question in several]
    db.open_gate.clear()
    tasks = ask(db, several)
    # The first question is sent for the others, too; it is cancelled before the call, or during it.
    for _ in range(steps):
        await asyncio.sleep(0)
    tasks[0].cancel()
    await queued(db)
    tasks[3].cancel()
    await queued(db)
    db.open_gate.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    for number, (answer, expected) in enumerate(zip(answers, alone, strict=True)):
        assert isinstance(answer, asyncio.CancelledError) if number in (0, 3) else answer == expected
    # Every lane is free again.
    db.statements.clear()
    db.open_gate.clear()
    tasks = []
    for _ in range(decision_batches.STATEMENTS):
        tasks += ask(db, several[:1])
        await queued(db)
    assert len(db.statements) == decision_batches.STATEMENTS
    db.open_gate.set()
    await asyncio.gather(*tasks)


async def test_waiting_ends_at_the_deadline(world: World, db: Watched) -> None:
    several = await asked(world)
    db.open_gate.clear()
    tasks = []
    for question in several:
        tasks += ask(db, [question], 0.05)
        await queued(db)
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(answer, DatabaseUnavailable | TimeoutError) for answer in answers)
    assert all(isinstance(answer, DatabaseUnavailable) for answer in answers[decision_batches.STATEMENTS :])
    db.open_gate.set()
    assert len(await decide(db, several[0])) == 2


async def test_questions_of_one_policy_keep_what_is_their_own(world: World, db: Watched) -> None:
    (question,) = await asked(world, 1)
    several = [
        question,
        replace(question, prompt_tokens=1000),
        replace(question, default_model=world.small),
        replace(question, models=[world.small]),
        replace(question, models=[world.large], alpha=1.0),
        replace(question, task="tag"),
        replace(question, conversation=b"c" * 16, continues=True),
        question,
    ]
    alone = [await decide(db, each) for each in several]
    assert len({str(rows) for rows in alone}) == 3
    rows = await db.read(decision_batches.DECIDE_MANY, [each.arguments(direction(0.1)) for each in several])
    together = [[row for row in rows if row["question"] == number] for number in range(1, len(several) + 1)]
    columns = tuple(alone[0][0])
    assert [[{name: row[name] for name in columns} for row in found] for found in together] == alone
