"""Imports and exports of whole files: all or nothing, in the file's order, and equal to single examples."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import orjson
import pytest

from app.catalog import Catalog
from app.errors import BadRequest, InvalidValue, NotFound
from app.memory.embedders import EmbeddingFailed, create
from app.operations.example_file import Content, ExampleFile
from app.operations.import_examples import Contents, Summary, check, stage
from app.settings import Settings
from app.store import memories as memory
from app.store import models
from app.store.database import Database
from app.store.memories import Example
from app.store.memory_files import StagingResult, export, staging
from tests.support.hasty_embedder import hasty
from tests.support.random_examples import random_lessons
from tests.support.recount import assert_every_sum_is_a_recount
from tests.support.sql_world import WIDTH, Taught, World
from tests.support.text_rules import RULES

BATCH = 1000


@pytest.fixture
async def db(world: World) -> AsyncIterator[Database]:
    """A database with the connection of the command line."""
    database = Database(world.dsn, size=2, role=None)
    await database.open()
    yield database
    await database.close()


def example(lesson: Taught) -> Example:
    return Example(
        lesson.prompt, lesson.source, lesson.task, lesson.prompt_tokens, lesson.scores, lesson.tokens, lesson.embedding
    )


async def teach(db: Database, tenant: int, space: int, lessons: Sequence[Taught]) -> StagingResult:
    """Stage the lessons in two parts and teach them."""
    async with staging(db) as staged:
        for part in (lessons[: len(lessons) // 3], lessons[len(lessons) // 3 :]):
            await staged.add([example(lesson) for lesson in part])
        return await staged.teach(tenant, space, lambda _: None)


async def exported(db: Database, tenant: int) -> list[dict[str, Any]]:
    async with aclosing(export(db, tenant)) as rows:
        return [dict(row) async for row in rows]


async def memories(world: World, tenant: int) -> list[tuple[Any, ...]]:
    """Return everything in a tenant's memory, except numbers and times."""
    rows = await world.owner.fetch(
        "select x.prompt_hash, x.source, x.prompt, k.name, m.prompt_tokens, m.quality, m.completion_tokens,"
        " m.embedding::text from router.memories as m"
        " join router.memory_texts as x using (tenant_id, memory_id, space_id)"
        " left join router.tasks as k using (tenant_id, task_id) where tenant_id = $1 order by 1, 2",
        tenant,
    )
    return [tuple(row) for row in rows]


def known(world: World, dice: random.Random, count: int) -> list[Taught]:
    """Return examples of few prompts, each with a label."""
    found: list[Taught] = []
    while len(found) < count:
        some = random_lessons(dice, [world.small, world.large], 700)
        found += [lesson for lesson in some if lesson.scores or lesson.tokens]
    return found[:count]


# Teaching.


async def test_a_file_teaches_what_its_examples_in_small_parts_would(world: World, db: Database) -> None:
    lessons = known(world, random.Random(1), 2 * BATCH + 300)
    at_once, in_parts = await world.tenant("at once"), await world.tenant("in parts")
    for tenant in (at_once, in_parts):
        await world.teach(tenant, *(Taught(f"{i}", {world.small: 0.5}, task="old") for i in range(40)))
    taught = await teach(db, at_once, world.space, lessons)
    for start in range(0, len(lessons), 7):
        part = [example(lesson) for lesson in lessons[start : start + 7]]
        await memory.record(db, in_parts, world.space, None, part)
    kept = await memories(world, in_parts)
    assert await memories(world, at_once) == kept
    assert taught == StagingResult(examples=len(lessons), created=len(kept) - 40, evicted=0)
    await assert_every_sum_is_a_recount(world)


async def test_a_file_with_one_example_that_the_table_refuses_leaves_nothing(world: World, db: Database) -> None:
    tenant = await world.tenant()
    await world.teach(tenant, Taught("0", {world.small: 0.5}))
    before = await memories(world, tenant)
    lessons = [Taught(f"{i}", {world.small: 1.0}, task="t") for i in range(BATCH)]
    with pytest.raises(InvalidValue):
        await teach(db, tenant, world.space, [*lessons, Taught("bad", {world.small: 2.0})])
    assert await memories(world, tenant) == before
    assert await world.owner.fetchval("select count(*) from router.tasks") == 0
    await assert_every_sum_is_a_recount(world)


async def test_a_file_for_a_tenant_that_is_gone_is_refused(world: World, db: Database) -> None:
    with pytest.raises(NotFound):
        await teach(db, 10**6, world.space, [Taught("p", {world.small: 1.0})])


async def test_staged_examples_are_invisible_and_block_no_one(world: World, db: Database) -> None:
    tenant = await world.tenant()
    async with staging(db) as staged:
        await staged.add([example(Taught("staged", {world.small: 1.0}))])
        async with asyncio.timeout(5):
            await world.teach(tenant, Taught("meanwhile", {world.small: 1.0}))
        assert [row["prompt"] for row in await exported(db, tenant)] == ["meanwhile"]


async def test_what_was_staged_and_not_taught_is_gone(world: World, db: Database) -> None:
    tenant = await world.tenant()
    async with staging(db) as staged:
        await staged.add([example(Taught("first", {world.small: 1.0}))])
    await teach(db, tenant, world.space, [Taught("second", {world.small: 1.0})])
    assert [row["prompt"] for row in await exported(db, tenant)] == ["second"]


async def test_cancelled_teaching_leaves_nothing_and_blocks_no_one_else(world: World, db: Database) -> None:
    tenant = await world.tenant()
    async with staging(db) as staged:
        await staged.add([example(Taught(f"{i}", {world.small: 1.0})) for i in range(3 * BATCH)])
        heard = asyncio.Event()
        teaching = asyncio.create_task(staged.teach(tenant, world.space, lambda _: heard.set()))
        await heard.wait()
        teaching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await teaching
    async with asyncio.timeout(5):
        await world.teach(tenant, Taught("after", {world.small: 1.0}))
    assert [row["prompt"] for row in await exported(db, tenant)] == ["after"]
    await assert_every_sum_is_a_recount(world)


async def test_progress_is_reported_batch_by_batch(world: World, db: Database) -> None:
    heard: list[int] = []
    async with staging(db) as staged:
        await staged.add([example(Taught(f"{i}", {world.small: 1.0})) for i in range(2 * BATCH + 1)])
        await staged.teach(await world.tenant(), world.space, heard.append)
    assert heard == [BATCH, BATCH, 1]


async def test_past_the_cap_the_last_of_a_file_are_kept_and_the_others_counted(world: World, db: Database) -> None:
    tenant = await world.tenant(memory_cap=100)
    await world.teach(tenant, Taught("old", {world.small: 1.0}))
    lessons = [Taught(f"{i}", {world.small: 1.0}) for i in range(BATCH + 500)]
    taught = await teach(db, tenant, world.space, lessons)
    kept = [row["prompt"] for row in await exported(db, tenant)]
    assert kept == [lesson.prompt for lesson in lessons[-len(kept) :]]
    assert 100 <= len(kept) <= 102
    assert taught == StagingResult(len(lessons), len(lessons), len(lessons) + 1 - len(kept))
    await assert_every_sum_is_a_recount(world)


# Exporting.


async def test_an_export_has_the_oldest_first_and_teaching_it_keeps_their_ages(world: World, db: Database) -> None:
    tenant, other = await world.tenant(), await world.tenant("other")
    prompts = [f"{i}" for i in range(BATCH + 100)]
    await teach(db, tenant, world.space, [Taught(prompt, {world.small: 1.0}) for prompt in prompts])
    await world.teach(tenant, Taught("0", {world.small: 0.5}))
    aged = [*prompts[1:], "0"]
    rows = await exported(db, tenant)
    assert [row["prompt"] for row in rows] == aged
    await teach(db, other, world.space, [Taught(row["prompt"], {world.small: row["scores"][0]}) for row in rows])
    assert [row["prompt"] for row in await exported(db, other)] == aged


async def test_a_file_taught_again_in_another_order_of_batches_has_the_ages_of_that_order(
    world: World, db: Database
) -> None:
    tenant = await world.tenant()
    early = [Taught(f"early {i}", {world.small: 1.0}) for i in range(BATCH)]
    late = [Taught(f"late {i}", {world.small: 1.0}) for i in range(BATCH)]
    await teach(db, tenant, world.space, [*early, *late])
    await teach(db, tenant, world.space, [*late, *early])
    assert [row["prompt"] for row in await exported(db, tenant)] == [lesson.prompt for lesson in [*late, *early]]


async def test_an_export_has_the_length_of_an_answer_without_a_score(world: World, db: Database) -> None:
    tenant = await world.tenant()
    await world.teach(tenant, Taught("p", {world.small: 0.5}, tokens={world.large: 7.0}))
    (row,) = await exported(db, tenant)
    assert (row["models"], row["scores"], row["completion_tokens"]) == (["large", "small"], [None, 0.5], [7.0, None])


async def test_an_export_is_of_one_tenant_and_of_one_moment(world: World, db: Database) -> None:
    tenant, other = await world.tenant(), await world.tenant("other")
    await teach(db, tenant, world.space, [Taught(f"{i}", {world.small: 1.0}) for i in range(2 * BATCH)])
    await world.teach(other, Taught("theirs", {world.small: 1.0}))
    async with aclosing(export(db, tenant)) as rows:
        first = await anext(rows)
        await world.app.fetch("select router.forget($1, null, true)", tenant)
        prompts = [first["prompt"], *[row["prompt"] async for row in rows]]
    assert prompts == [f"{i}" for i in range(2 * BATCH)]


# Files.


@pytest.fixture
async def catalog(world: World, db: Database) -> Catalog:
    return Catalog(await models.models(db))


def file_of(path: Path, prompts: Sequence[str], **more: Any) -> ExampleFile:
    rows = (orjson.dumps({"prompt": prompt, "scores": {"small": 1}, **more}) + b"\n" for prompt in prompts)
    path.write_bytes(b"".join(rows))
    return ExampleFile(path, "import")


async def test_a_checked_file_is_staged_in_its_order(tmp_path: Path, catalog: Catalog) -> None:
    prompts = [f"prompt {i}" for i in range(2 * BATCH + 5)]
    file = file_of(tmp_path / "a.jsonl", prompts)
    added: list[str] = []
    advanced: list[int] = []

    async def add(examples: list[Example]) -> None:
        await asyncio.sleep(random.random() / 100)
        added.extend(example.prompt for example in examples)

    contents = await check(file, catalog, hasty(), RULES, advanced.append)
    assert (contents.examples, contents.memories, sum(advanced)) == (len(prompts), len(prompts), file.size)
    await stage(file, 3, catalog, hasty(), RULES, add, lambda _: None)
    assert added == prompts[3:]


@pytest.mark.parametrize(
    "content",
    [b"\n" * 40_000_000, b'prompt,q:small\n"' + b"\n" * 40_000_000, b"[" + b"5," * 10_000_000],
    ids=["lines", "quote", "elements"],
)
async def test_reading_ends_soon_after_its_task_is_cancelled(catalog: Catalog, content: bytes) -> None:
    record = b'{"prompt": "p", "scores": {"small": 1}}'
    content = record + content if content.startswith(b"\n") else content.replace(b"[", b"[" + record + b",", 1)
    file = ExampleFile(Content("a", content), "import")
    task = asyncio.create_task(check(file, catalog, hasty(), RULES, lambda _: None, Summary()))
    await asyncio.sleep(0.2)
    start = time.monotonic()
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert time.monotonic() - start < 0.5


async def test_a_prompt_that_cannot_be_embedded_is_named_by_its_lines(tmp_path: Path, catalog: Catalog) -> None:
    prompts = [f"prompt {i}" for i in range(BATCH + 5)]
    added: list[Example] = []

    async def add(examples: list[Example]) -> None:
        added.extend(examples)

    file = file_of(tmp_path / "a.jsonl", [*prompts, "fail"])
    with pytest.raises(EmbeddingFailed, match="lines 1001 to 1006: "):
        await stage(file, 0, catalog, hasty(), RULES, add, lambda _: None)
    with pytest.raises(BadRequest, match="line 2: the prompt contains nothing to embed"):
        await check(file_of(tmp_path / "b.jsonl", ["a", "!"]), catalog, hasty(), RULES, lambda _: None)


@pytest.mark.parametrize("labels", [{"scores": {"small": 1, "fake/small": 0}}, {"completion_tokens": {"tiny": 1}}])
async def test_a_model_named_twice_or_unknown_is_refused_before_anything_is_embedded(
    tmp_path: Path, catalog: Catalog, labels: dict[str, Any]
) -> None:
    file = file_of(tmp_path / "a.jsonl", ["p"], **labels)
    with pytest.raises(BadRequest, match=r"a.jsonl line 1: "):
        await check(file, catalog, hasty(), RULES, lambda _: None)


def test_what_fits_is_counted_in_memories_and_not_in_lines() -> None:
    contents = Contents()
    contents.keys.extend([1, 2, 3, 3, 2, 4, 4, -5])
    assert (contents.examples, contents.memories) == (8, 5)
    # From the end: -5, 4, 2, 3, 1.
    assert [contents.before(kept) for kept in (1, 2, 3, 4, 5, 100)] == [7, 6, 4, 3, 0, 0]


async def test_what_the_real_embedder_makes_arrives_unchanged(
    world: World, db: Database, catalog: Catalog, tmp_path: Path
) -> None:
    embedding = create(Settings(), WIDTH)
    space = await world.owner.fetchval("select router.register_space($1, $2)", embedding.space, embedding.dimensions)
    tenant = await world.tenant()
    async with staging(db) as staged:
        file = file_of(tmp_path / "a.jsonl", ["Prove it.", "Bake it."])
        await stage(file, 0, catalog, embedding, RULES, staged.add, lambda _: None)
        await staged.teach(tenant, space, lambda _: None)
    for prompt in ("Prove it.", "Bake it."):
        nearest = await world.owner.fetchval(
            "select x.prompt from router.memories as m join router.memory_texts as x using (tenant_id, memory_id)"
            " where m.embedding = $1",
            await embedding.embed_one(prompt),
        )
        assert nearest == prompt
    await embedding.close()
