"""`pgrouter import`, `export` and `status`: a tenant's memory in and out of files, and how warm it is."""

from __future__ import annotations

import gzip
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, cast

import numpy as np
import orjson
import typer

from app import embedder
from app.catalogue import Catalogue
from app.cli.common import AsJson, note, show, show_json, tenant_of, with_database
from app.embedder import CachedEmbedder
from app.errors import BadRequest
from app.settings import Settings
from app.store import memory, tenancy
from app.store.database import Database

if TYPE_CHECKING:
    # The proxy's requests are checked by the same code, and most of the proxy comes with it.
    from app.lessons import LessonFile
    from app.teaching import Lesson

BATCH = 1000


class Source(StrEnum):
    """Who judged."""

    HUMAN = "human"
    JUDGE = "judge"
    IMPORT = "import"
    FEEDBACK = "feedback"


def import_file(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="*.jsonl or *.csv, or either with .gz")],
    tenant: Annotated[str, typer.Option(help="Whom to teach.")],
    source: Annotated[Source, typer.Option(help="Who judged, where a line does not say.")] = Source.IMPORT,
    as_json: AsJson = False,
) -> None:
    """Teach a tenant the examples of a file; nothing of a file with a mistake in it is stored.

    A line of JSONL: {"prompt": …, "scores": {"gpt-4o": 1, "gpt-4o-mini": 0.5}, "task": …, "completion_tokens": {…}},
    `task` and `completion_tokens` if known. CSV: columns prompt, task and q:MODEL. Scores go from 0 to 1.
    """
    from app.lessons import LessonFile
    from app.teaching import examples_of

    lessons = LessonFile(file, source.value)

    async def work(db: Database) -> dict[str, Any]:
        row = await tenant_of(db, tenant)
        catalogue = Catalogue(await tenancy.models(db))
        async with embedder_of(db, row.space) as (embedding, space_id):
            count = await _check(lessons, catalogue, embedding)
            if count > row.memory_cap:
                note(f"{tenant} keeps {row.memory_cap} memories: of these {count} examples the first ones will go.")
            created = 0
            done = 0
            with progress("Teaching", count) as advance:
                for batch in _batches(lessons):
                    try:
                        examples = await examples_of([lesson for _, lesson in batch], catalogue, embedding, batch=True)
                        recorded = await memory.record(db, row.tenant_id, space_id, None, examples)
                    except Exception:
                        note(
                            f"Stopped at lines {batch[0][0]} to {batch[-1][0]}: {done} of {count} examples are taught."
                        )
                        raise
                    created += sum(new for _, new in recorded)
                    done += len(recorded)
                    advance(len(recorded))
        kept = (await tenant_of(db, tenant)).memories
        return {"tenant": tenant, "examples": done, "created": created, "overwritten": done - created, "memories": kept}

    result = with_database(work)
    if as_json:
        show_json(result)
        return
    typer.echo(
        f"Taught {result['examples']} examples, {result['created']} of them new; "
        f"{tenant} has {result['memories']} memories."
    )


def export_file(
    tenant: Annotated[str, typer.Option(help="Whose memory.")],
    output: Annotated[Path, typer.Option(help="A file, gzipped if it ends in .gz; - for stdout.")] = Path("-"),
) -> None:
    """Write a tenant's memory as JSONL that `import` takes."""

    async def work(db: Database) -> tuple[int, int]:
        tenant_id = (await tenant_of(db, tenant)).tenant_id
        written = textless = after = 0
        with _writing(output) as file:
            while rows := await memory.recall(db, tenant_id, after=after, limit=1000):
                after = rows[-1]["memory_id"]
                told = [row for row in rows if row["prompt"] is not None and row["models"]]
                file.write(b"".join(orjson.dumps(_line(row)) + b"\n" for row in told))
                written += len(told)
                textless += len(rows) - len(told)
        return written, textless

    written, textless = with_database(work)
    if textless:
        note(f"{textless} memories are left out: their prompts are not stored.")
    note(f"Exported {written} memories of {tenant}.")


def status(
    tenant: Annotated[str | None, typer.Option(help="One tenant's; else everybody's.")] = None, as_json: AsJson = False
) -> None:
    """How warm each policy is, and what to do next."""

    async def work(db: Database) -> list[dict[str, Any]]:
        found = await tenancy.tenants(db) if tenant is None else [await tenant_of(db, tenant)]
        async with embedder_of(db) as (_, space_id):
            return [
                {"tenant": each.name, "embedder": policy.pop("space"), **policy}
                for each in found
                for policy in _by_policy(await memory.status(db, each.tenant_id, space_id))
            ]

    found = with_database(work)
    columns = ["tenant", "policy", "backend", "default_model", "embedder", "memories", "seed_count", "ready", "tasks"]
    columns += [*(["building", "built"] if any(row["building"] for row in found) else []), "next_step"]
    if not as_json:
        found = [{**row, "tasks": [f"{task}:{count}" for task, count in row["tasks"].items()] or None} for row in found]
    show(found, as_json=as_json, columns=columns, empty="There are no policies; `pgrouter tenant create NAME` begins.")


def add_to(main: typer.Typer) -> None:
    """Give `main` these commands."""
    main.command("import")(import_file)
    main.command("export")(export_file)
    main.command("status")(status)


@asynccontextmanager
async def embedder_of(db: Database, space: str | None = None) -> AsyncIterator[tuple[CachedEmbedder, int]]:
    """The embedder of a space, None: that of a proxy with this environment; and the space's number."""
    settings, width = Settings.from_environment(), await memory.width(db)
    embedding = embedder.create(settings, width) if space is None else embedder.create_for(space, settings, width)
    try:
        yield embedding, await memory.register_space(db, embedding.space, embedding.dimensions)
    finally:
        await embedding.close()


async def _check(file: LessonFile, catalogue: Catalogue, embedding: CachedEmbedder) -> int:
    """How many examples a file has. Raises `BadRequest` naming the line when one of them could not be taught."""
    count = 0
    with progress("Checking", file.size) as advance:
        position = 0
        for count, (line, lesson) in enumerate(file, 1):
            for field in ("scores", "completion_tokens"):
                for model in getattr(lesson, field):
                    if catalogue.find(model) is None:
                        message = f"{field}: there is no enabled model {model!r}; `pgrouter model list` shows them."
                        raise BadRequest(file.at(line, message))
            try:
                text = lesson.text()
            except BadRequest as error:
                raise BadRequest(file.at(line, error.message)) from None
            # Only a text without a letter or a digit may come out of an embedder empty; embedding all takes too long.
            if not any(map(str.isalnum, text)) and (await embedding.embed_many([text]))[0] is None:
                raise BadRequest(file.at(line, "the prompt has nothing to embed."))
            if count % BATCH == 0:
                advance(file.position - position)
                position = file.position
        advance(file.size - position)
    if not count:
        raise BadRequest(f"{file.path} holds no examples.")
    return count


def _batches(file: Iterable[tuple[int, Lesson]]) -> Iterator[list[tuple[int, Lesson]]]:
    batch = []
    for item in file:
        batch.append(item)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _line(row: Mapping[str, Any]) -> dict[str, Any]:
    tokens = {
        model: round(count)
        for model, count in zip(row["models"], row["completion_tokens"], strict=True)
        if count is not None
    }
    return {
        "prompt": row["prompt"],
        "scores": dict(zip(row["models"], map(_short, row["scores"]), strict=True)),
        **({"completion_tokens": tokens} if tokens else {}),
        **({"task": row["task"]} if row["task"] is not None else {}),
        "source": row["source"],
    }


def _short(score: float) -> float:
    # Stored in single precision: 0.1 is read as 0.10000000149011612, which nobody has taught.
    return float(str(np.float32(score)))


def _by_policy(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    policies: dict[str, dict[str, Any]] = {}
    for row in rows:
        policy = {key: value for key, value in row.items() if key not in ("task", "task_memories")}
        policies.setdefault(row["policy"], {**policy, "tasks": {}})
        if row["task"] is not None:
            policies[row["policy"]]["tasks"][row["task"]] = row["task_memories"]
    return list(policies.values())


@contextmanager
def progress(label: str, length: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr where somebody watches."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    with typer.progressbar(length=length, label=label, file=sys.stderr) as bar:
        yield bar.update


@contextmanager
def _writing(output: Path) -> Iterator[IO[bytes]]:
    """The file, there under its name only once it is complete; or stdout."""
    if str(output) == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    partial = output.with_name(f"{output.name}.partial")
    try:
        with _opened(partial, zipped=output.suffix == ".gz") as file:
            yield file
        os.replace(partial, output)
    finally:
        partial.unlink(missing_ok=True)


def _opened(path: Path, *, zipped: bool) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path, "wb")) if zipped else path.open("wb")
