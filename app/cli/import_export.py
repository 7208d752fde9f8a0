"""`pgrouter import` and `export`: reads examples from files, and writes a tenant's memory to files."""

from __future__ import annotations

import asyncio
import gzip
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import aclosing, contextmanager, suppress
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, cast

import typer

from ..catalog import Catalog
from ..entities import Tenant
from ..errors import BadRequest, Conflict, DatabaseError, DatabaseUnavailable
from ..memory.embedders import setting_of
from ..operations.export_lines import line_of
from ..settings import Settings
from ..store import maintenance as stored_maintenance
from ..store import models as stored_models
from ..store import policies as stored_policies
from ..store import spaces as stored_spaces
from ..store.database import Database
from ..store.maintenance import Busy
from ..store.memory_files import FETCH_SIZE, export, staging
from .common import AsJson, embedder_of, note, progress, show_json, tenant_of, with_database
from .import_summary import dry_run_of, note_recognised, show_dry_run, show_taught

if TYPE_CHECKING:
    # Imported late, as it imports most of the proxy.
    from ..operations.import_examples import Contents


class FormatName(StrEnum):
    """The formats of files of examples."""

    JSONL = "jsonl"
    CSV = "csv"
    ARENA = "arena"
    ROUTERBENCH = "routerbench"
    ROUTELLM = "routellm"
    PROMPTFOO = "promptfoo"
    LANGFUSE = "langfuse"
    LANGSMITH = "langsmith"
    ANSWERS = "answers"
    OPENAI_EVALS = "openai-evals"


class Source(StrEnum):
    """The source of the scores."""

    HUMAN = "human"
    JUDGE = "judge"
    IMPORT = "import"
    FEEDBACK = "feedback"


def import_file(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="File; its format is recognised.")],
    tenant: Annotated[str, typer.Option(help="Tenant.")],
    source: Annotated[Source, typer.Option(help="Source of the scores, if a record has none.")] = Source.IMPORT,
    trim: Annotated[
        bool, typer.Option("--trim", help="Teach only the last examples, if the file has more than the tenant keeps.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be taught and all errors; write nothing.")
    ] = False,
    format_: Annotated[
        FormatName | None, typer.Option("--format", help="Format. Default: recognised by the content.")
    ] = None,
    scale: Annotated[
        str | None,
        typer.Option(help="Scale of the scores: 1..5, 0..10, percent, boolean or thumbs. Default: from 0 to 1."),
    ] = None,
    score: Annotated[
        str | None, typer.Option(help="Name of the scores to take, if the file has several (metrics, feedback keys).")
    ] = None,
    traces: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="File with the traces or runs that the scores belong to."),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", metavar="THEIRS=OURS", help="Name of a model in the file, and here; may be repeated."),
    ] = None,
    skip_unknown_models: Annotated[
        bool, typer.Option("--skip-unknown-models", help="Leave out the labels of models that are unknown here.")
    ] = False,
    encoding: Annotated[str | None, typer.Option(help="Encoding, such as cp1252. Default: UTF-8 or UTF-16.")] = None,
    as_json: AsJson = False,
) -> None:
    """Teach a tenant the examples of a file, all or none: after an error, Ctrl-C or a crash nothing is stored.

    A line of JSONL: {"prompt": …, "scores": {"gpt-4o": 1, "gpt-4o-mini": 0.5}, "task": …, "completion_tokens": {…}},
    `task` and `completion_tokens` if known. CSV: columns prompt, task and q:MODEL. Scores are from 0 to 1. Later lines
    are newer: they overwrite earlier ones with the same prompt, and are evicted later. Files of LMSYS's arena,
    RouterBench, RouteLLM, promptfoo, Langfuse, LangSmith and OpenAI's evals are read too, also compressed by gzip or
    zstd.
    """
    from ..dialects.markers import markers_of
    from ..memory.examples import TextRules
    from ..operations import import_examples
    from ..operations.example_file import ExampleFile
    from ..operations.example_formats.base import Options
    from ..operations.example_formats.scales import scale_of

    mapping = _mapping(model or [])
    options = Options(
        format=format_ and format_.value,
        encoding=encoding,
        scale=None if scale is None else scale_of(scale),
        score=score,
        skip_unknown=skip_unknown_models,
    )

    async def work(db: Database) -> dict[str, Any]:
        row = await tenant_of(db, tenant)
        catalog = Catalog(await stored_models.labelled_models(db))
        names = import_examples.ModelNames(catalog, mapping)
        examples = ExampleFile(file, source.value, replace(options, traces=_traces_of(traces), names=names))
        summary = import_examples.Summary() if dry_run else None
        policies = {each.name: each for each in await stored_policies.policies(db, row.tenant_id)}
        rules = TextRules(markers_of(Settings.from_environment().markers), policies)
        async with embedder_of(db, row.space) as (embedding, space_id):
            await _check_space(db, row, embedding.space)
            with _interruption(f"no example of {file} was stored"):
                with progress("Checking ", examples.size) as advance:
                    contents = await import_examples.check(examples, catalog, embedding, rules, advance, summary)
                if summary is not None:
                    return {"tenant": tenant, **dry_run_of(examples, contents, summary, row)}
                skip = _fitting(contents, row, file, trim=trim)
                note_recognised(examples)
                count = contents.examples - skip
                async with staging(db) as staged:
                    with progress("Embedding", count) as advance:
                        await import_examples.stage(examples, skip, catalog, embedding, rules, staged.add, advance)
                    with progress("Teaching ", count) as advance:
                        try:
                            taught = await staged.teach(row.tenant_id, space_id, advance)
                        except Conflict:
                            raise Conflict(
                                f"{tenant} was moved to another embedder in the meantime, and no example of {file} was "
                                "stored: run the import again."
                            ) from None
        # A proxy's maintenance would do this within a minute; a backtest of what was imported should not have to wait.
        with suppress(Busy, DatabaseError, DatabaseUnavailable):
            await stored_maintenance.fit(db, row.tenant_id)
        different = contents.memories_after(skip)
        return {
            "tenant": tenant,
            "format": examples.format and examples.format.name,
            "examples": taught.examples,
            "created": taught.created,
            "overwritten": max(0, different - taught.created),
            "copies": taught.examples - different,
            "evicted": taught.evicted,
            "trimmed": skip,
            "memories": (await tenant_of(db, tenant)).memories,
        }

    result = with_database(work)
    if as_json:
        show_json(result)
    elif dry_run:
        show_dry_run(result)
    else:
        show_taught(result)
    if result.get("failed"):
        raise typer.Exit(1)


def export_file(
    tenant: Annotated[str, typer.Option(help="Tenant.")],
    output: Annotated[Path, typer.Option(help="File, gzipped if its name ends in .gz; - is stdout.")] = Path("-"),
) -> None:
    """Write a tenant's memory as JSONL, which `import` reads."""

    async def work(db: Database) -> tuple[int, int]:
        row = await tenant_of(db, tenant)
        seen = written = 0
        with _writing(output) as file, progress("Exporting", row.memories) as advance:
            async with aclosing(export(db, row.tenant_id)) as memories:
                async for found in memories:
                    seen += 1
                    line = line_of(found)
                    if line is not None:
                        file.write(line)
                        written += 1
                    if seen % FETCH_SIZE == 0:
                        advance(FETCH_SIZE)
            advance(seen % FETCH_SIZE)
        return written, seen - written

    written, textless = with_database(work)
    if textless:
        note(f"{textless} memories were left out: their prompts are not stored, or they have no score.")
    note(f"Exported {written} memories of {tenant}.")


def add_to(main: typer.Typer) -> None:
    """Add these commands to `main`."""
    main.command("import")(import_file)
    main.command("export")(export_file)


def _mapping(pairs: list[str]) -> dict[str, str]:
    """Return our names of models by those in the file. Raises `typer.BadParameter`."""
    found = {}
    for pair in pairs:
        theirs, equals, ours = (part.strip() for part in pair.rpartition("="))
        if not (theirs and equals and ours):
            raise typer.BadParameter(f"{pair!r} is not THEIRS=OURS.", param_hint="--model")
        found[theirs] = ours
    return found


def _traces_of(path: Path | None) -> dict[str, dict[str, Any]]:
    """Return prompt and model by the ids of a file of traces; empty without one."""
    if path is None:
        return {}
    from ..operations.example_file import records_of
    from ..operations.example_formats.traces import traces_by_id

    return traces_by_id(records_of(path))


async def _check_space(db: Database, tenant: Tenant, space: str) -> None:
    """Raise `BadRequest` if the tenant has no space of its own and was taught in another space than `space`.

    Memories in the wrong space are never found, but count for the cap, so that found ones are evicted.
    """
    if tenant.space is not None:
        return
    serving = next(
        (row["space"] for row in await stored_spaces.spaces_of(db, tenant.tenant_id) if row["serves"]), space
    )
    if serving != space:
        raise BadRequest(
            f"{tenant.name} was taught with {serving}: set ROUTER_EMBEDDER to "
            f"{setting_of(serving) or 'minilm:/path/to/its/folder'}, or first move its memory with `pgrouter reembed "
            f"--tenant {shlex.quote(tenant.name)} --to {shlex.quote(Settings.from_environment().embedder)}`."
        )


def _fitting(contents: Contents, tenant: Tenant, file: Path, *, trim: bool) -> int:
    """The number of examples to skip. Raises `BadRequest` if there are more than the tenant keeps, without `trim`."""
    skip = contents.before(tenant.memory_cap)
    if skip and not trim:
        name, cap = shlex.quote(tenant.name), tenant.memories + contents.memories
        raise BadRequest(
            f"{file} makes {contents.memories} memories, but {tenant.name} keeps {tenant.memory_cap}. Raise the cap "
            f"with `pgrouter tenant set {name} --memory-cap {cap}`, which has room for its present memories too, or "
            f"teach only the last {tenant.memory_cap} with --trim."
        )
    if skip:
        note(f"{tenant.name} keeps {tenant.memory_cap} memories: the first {skip} examples are skipped.")
    return skip


@contextmanager
def _interruption(result: str) -> Iterator[None]:
    try:
        yield
    except (asyncio.CancelledError, KeyboardInterrupt):
        note(f"Interrupted: {result}.")
        raise


@contextmanager
def _writing(output: Path) -> Iterator[IO[bytes]]:
    """The file to write, renamed to its name when it is complete; stdout and special files are written directly."""
    if str(output) == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    zipped = output.suffix == ".gz"
    if output.exists() and not output.is_file():
        with _opened(output, zipped=zipped) as file:
            yield file
        return
    # If it is a link, its target is replaced, not the link.
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
