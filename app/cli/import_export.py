"""`pgrouter import` and `export`: a tenant's memory in and out of files."""

from __future__ import annotations

import asyncio
import gzip
import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import aclosing, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, cast

import orjson
import typer

from app.catalog import Catalog
from app.cli.common import AsJson, embedder_of, note, progress, show_json, tenant_of, with_database
from app.entities import Tenant
from app.errors import BadRequest, Conflict
from app.memory.embedders import setting_of
from app.settings import Settings
from app.store import models as registry
from app.store import spaces
from app.store.database import Database
from app.store.memory_files import FETCH_SIZE, export, staging
from app.store.reals import short

if TYPE_CHECKING:
    # The proxy's requests are checked by the same code, and most of the proxy comes with it.
    from app.operations.import_examples import Contents


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
    trim: Annotated[bool, typer.Option("--trim", help="Of more than the tenant keeps, teach only the last.")] = False,
    as_json: AsJson = False,
) -> None:
    """Teach a tenant the examples of a file, all of them or none: a mistake, Ctrl-C or a crash leaves nothing behind.

    A line of JSONL: {"prompt": …, "scores": {"gpt-4o": 1, "gpt-4o-mini": 0.5}, "task": …, "completion_tokens": {…}},
    `task` and `completion_tokens` if known. CSV: columns prompt, task and q:MODEL. Scores go from 0 to 1. Later lines
    count as younger: they overwrite earlier ones of the same prompt, and are kept longer.
    """
    from app.operations import import_examples
    from app.operations.example_file import ExampleFile

    lessons = ExampleFile(file, source.value)

    async def work(db: Database) -> dict[str, Any]:
        row = await tenant_of(db, tenant)
        catalog = Catalog(await registry.models(db))
        async with embedder_of(db, row.space) as (embedding, space_id):
            await _check_space(db, row, embedding.space)
            with _interruption(f"nothing of {file} is taught"):
                with progress("Checking ", lessons.size) as advance:
                    contents = await import_examples.check(lessons, catalog, embedding, advance)
                if lessons.unread:
                    note(f"Columns that teach nothing are passed over: {', '.join(lessons.unread)}.")
                skip = _fitting(contents, row, file, trim=trim)
                count = contents.examples - skip
                async with staging(db) as staged:
                    with progress("Embedding", count) as advance:
                        await import_examples.stage(lessons, skip, catalog, embedding, staged.add, advance)
                    with progress("Teaching ", count) as advance:
                        try:
                            taught = await staged.teach(row.tenant_id, space_id, advance)
                        except Conflict:
                            raise Conflict(
                                f"{tenant} was moved to another embedder meanwhile, and nothing of {file} is taught: "
                                "run the import again."
                            ) from None
        return {
            "tenant": tenant,
            "examples": taught.examples,
            "created": taught.created,
            "overwritten": taught.examples - taught.created,
            "evicted": taught.evicted,
            "trimmed": skip,
            "memories": (await tenant_of(db, tenant)).memories,
        }

    result = with_database(work)
    if as_json:
        show_json(result)
        return
    evicted = f" {result['evicted']} older ones made room." if result["evicted"] else ""
    typer.echo(
        f"Taught {result['examples']} examples, {result['created']} of them new; "
        f"{tenant} has {result['memories']} memories.{evicted}"
    )


def export_file(
    tenant: Annotated[str, typer.Option(help="Whose memory.")],
    output: Annotated[Path, typer.Option(help="A file, gzipped if it ends in .gz; - for stdout.")] = Path("-"),
) -> None:
    """Write a tenant's memory as JSONL that `import` takes."""

    async def work(db: Database) -> tuple[int, int]:
        row = await tenant_of(db, tenant)
        seen = written = 0
        with _writing(output) as file, progress("Exporting", row.memories) as advance:
            async with aclosing(export(db, row.tenant_id)) as memories:
                async for found in memories:
                    seen += 1
                    line = _line(found)
                    if line["prompt"] is not None and line["scores"]:
                        file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
                        written += 1
                    if seen % FETCH_SIZE == 0:
                        advance(FETCH_SIZE)
            advance(seen % FETCH_SIZE)
        return written, seen - written

    written, textless = with_database(work)
    if textless:
        note(f"{textless} memories are left out: their prompts are not stored, or they have no score.")
    note(f"Exported {written} memories of {tenant}.")


def add_to(main: typer.Typer) -> None:
    """Give `main` these commands."""
    main.command("import")(import_file)
    main.command("export")(export_file)


async def _check_space(db: Database, tenant: Tenant, space: str) -> None:
    """Raise `BadRequest` when a tenant that is in no space of its own was taught in another one than `space`.

    What is taught in the wrong one is not found, and the cap makes room for it among what is.
    """
    if tenant.space is not None:
        return
    serving = next((row["space"] for row in await spaces.spaces_of(db, tenant.tenant_id) if row["serves"]), space)
    if serving != space:
        raise BadRequest(
            f"{tenant.name} is taught with {serving}: set ROUTER_EMBEDDER to that "
            f"({setting_of(serving) or 'minilm:/path/to/its/folder'}), or move it first with `pgrouter reembed "
            f"--tenant {shlex.quote(tenant.name)} --to {shlex.quote(Settings.from_environment().embedder)}`."
        )


def _fitting(contents: Contents, tenant: Tenant, file: Path, *, trim: bool) -> int:
    """How many examples to leave out at the beginning. Raises `BadRequest` when there are more than may be kept."""
    skip = contents.before(tenant.memory_cap)
    if skip and not trim:
        name, cap = shlex.quote(tenant.name), tenant.memories + contents.memories
        raise BadRequest(
            f"{file} makes {contents.memories} memories, and {tenant.name} keeps {tenant.memory_cap}. Raise that with "
            f"`pgrouter tenant set {name} --memory-cap {cap}`, which leaves room for those it has, or teach only "
            f"the last {tenant.memory_cap} with --trim."
        )
    if skip:
        note(f"{tenant.name} keeps {tenant.memory_cap} memories: the first {skip} examples are left out.")
    return skip


@contextmanager
def _interruption(said: str) -> Iterator[None]:
    try:
        yield
    except (asyncio.CancelledError, KeyboardInterrupt):
        note(f"Interrupted: {said}.")
        raise


def _line(row: Mapping[str, Any]) -> dict[str, Any]:
    models = row["models"] or ()
    tokens = {
        model: round(count)
        for model, count in zip(models, row["completion_tokens"] or (), strict=True)
        if count is not None
    }
    return {
        "prompt": row["prompt"],
        "scores": {
            model: short(score) for model, score in zip(models, row["scores"] or (), strict=True) if score is not None
        },
        **({"completion_tokens": tokens} if tokens else {}),
        **({"task": row["task"]} if row["task"] is not None else {}),
        "source": row["source"],
    }


@contextmanager
def _writing(output: Path) -> Iterator[IO[bytes]]:
    """The file, there under its name only once it is complete; or stdout, or what else is no plain file, as it is."""
    if str(output) == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    zipped = output.suffix == ".gz"
    if output.exists() and not output.is_file():
        with _opened(output, zipped=zipped) as file:
            yield file
        return
    # A link stays one.
    target = Path(os.path.realpath(output))
    partial = target.with_name(f"{target.name}.partial")
    try:
        with _opened(partial, zipped=zipped) as file:
            yield file
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def _opened(path: Path, *, zipped: bool) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path, "wb", compresslevel=6)) if zipped else path.open("wb")
