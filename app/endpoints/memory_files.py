"""POST /v1/router/memories/import and GET …/export: the memory as a file."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from ..catalog import Catalog
from ..entities import Caller
from ..errors import BadRequest, Conflict, DatabaseUnavailable, RouterError
from ..http.content_coding import unpack
from ..http.pieces import LINES, PiecesResponse
from ..http.requests import UNCOUNTED
from ..memory.embedders import EmbeddingFailed, Paid
from ..off_loop import LARGE, off_loop
from ..operations.example_file import BadLine, Content, ExampleFile
from ..operations.example_formats.base import Options
from ..operations.example_formats.scales import SCALES, scale_of
from ..operations.example_formats.sizes import check_sizes
from ..operations.example_formats.source import PACKED, text_encoding
from ..operations.export_lines import line_of
from ..operations.import_examples import ModelNames, Summary, check, stage
from ..services import Services
from ..store import memory_files as stored_files
from .calls import count, paying
from .openapi.operation import DocumentedRoute, Operation
from .requests import authenticate, parse_query, raw_body, text_rules

#: Seconds between two checks of the progress, and of silence after which an empty line is sent.
POLL_INTERVAL, KEEPALIVE = 0.2, 15.0
#: Bytes of an export that are sent at once.
PIECE = 64 * 1024

log = logging.getLogger("pgrouter")


class ImportQuery(BaseModel):
    """The query string of an import: what an operator says about the file."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=200)] = Field(
        "the file", description="The name of the file, for messages."
    )
    dry_run: bool = Field(False, description="Return what would be taught and all errors; write nothing.")
    source: Literal["human", "judge", "import", "feedback"] = Field(
        "import", description="The source of the scores, if a record has none."
    )
    format: (
        Literal[
            "jsonl", "csv", "arena", "routerbench", "routellm", "promptfoo", "langfuse", "langsmith", "answers",
            "openai-evals",
        ]
        | None
    ) = Field(None, description="The format; null: recognised by the content.")  # fmt: skip
    scale: str | None = Field(None, description=f"The scale of the scores: {SCALES}; null: from 0 to 1.")
    score: str | None = Field(None, description="The name of the scores to take, if the file has several.")
    encoding: str | None = Field(None, description="The encoding, such as cp1252; null: UTF-8 or UTF-16.")
    models: str | None = Field(
        None, description="Names of models in the file and here, as THEIRS=OURS, separated by commas."
    )
    skip_unknown_models: bool = Field(False, description="Leave out the labels of models that are unknown here.")
    trim: bool = Field(False, description="Teach only the last examples, if there are more than the tenant keeps.")


@dataclass(slots=True)
class _Progress:
    """How far an import is; `of` counts bytes while the file is checked, then examples."""

    phase: Literal["checking", "embedding", "teaching"] = "checking"
    done: int = 0
    of: int = 0

    def begin(self, phase: Literal["checking", "embedding", "teaching"], of: int) -> None:
        self.phase, self.done, self.of = phase, 0, of

    def advance(self, count: int) -> None:
        self.done += count


async def import_memories(request: Request) -> Response:
    """Teach the examples of a file, all or none, and return its progress and its result line by line."""
    services, caller = await authenticate(request)
    query = parse_query(request, ImportQuery)
    scale = None if query.scale is None else scale_of(query.scale)
    catalog = await services.directory.catalog()
    options = Options(
        format=query.format,
        encoding=None if query.encoding is None else text_encoding(query.encoding),
        scale=scale,
        score=query.score,
        names=ModelNames(catalog, _mapping(query.models)),
        skip_unknown=query.skip_unknown_models,
    )
    raw = await raw_body(request)
    if not raw:
        raise BadRequest("The request has no body: send the file as it is.")
    # In a thread if it is compressed: a few bytes may take as long to unpack as the largest file.
    size = LARGE if _packing(raw) else len(raw)
    content = await off_loop(size, partial(_plain, raw, options.encoding, services.settings.max_body))
    if content is not raw and len(content) > UNCOUNTED:
        services.bodies.hold(request.scope, len(content))
    examples = ExampleFile(Content(query.name, content), query.source, options)
    return PiecesResponse(_import_lines(services, caller, catalog, examples, query), LINES)


async def export_memories(request: Request) -> Response:
    """Return the memory as JSONL, oldest first, which an import reads."""
    services, caller = await authenticate(request)
    await count(services, caller)
    pieces = _export_pieces(services, caller)
    # An error before the first byte is an answer of its own.
    first = await anext(pieces, b"")
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", caller.tenant).strip("-.") or "memory"
    return PiecesResponse(_after(first, pieces), LINES, {"content-disposition": f'attachment; filename="{name}.jsonl"'})


def _packing(raw: bytes) -> str | None:
    """Return how a file is compressed, None: it is not."""
    return next((name for start, name in PACKED.items() if raw.startswith(start)), None)


def _plain(raw: bytes, encoding: str | None, limit: int) -> bytes:
    """Return a file unpacked once. Raises `TooLarge` over `limit` bytes, and for what takes too long to parse."""
    if (name := _packing(raw)) is not None:
        raw = unpack(raw, [name], limit)
        if _packing(raw) is not None:
            raise BadRequest("The file is compressed more than once: unpack it.")
    if len(raw) >= LARGE:
        check_sizes(raw, encoding, limit)
    return raw


async def _export_pieces(services: Services, caller: Caller) -> AsyncGenerator[bytes, None]:
    async with (
        services.transfers.transfer(caller.tenant_id),
        aclosing(stored_files.export(services.db, caller.tenant_id)) as rows,
    ):
        held: list[bytes] = []
        size = 0
        async for row in rows:
            line = line_of(row)
            if line is not None:
                held.append(line)
                size += len(line)
            if size >= PIECE:
                yield b"".join(held)
                held, size = [], 0
        if held:
            yield b"".join(held)


async def _after(first: bytes, pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(pieces):
        if first:
            yield first
        async for piece in pieces:
            yield piece


async def _import_lines(
    services: Services, caller: Caller, catalog: Catalog, examples: ExampleFile, query: ImportQuery
) -> AsyncGenerator[bytes, None]:
    """Yield lines of progress, then those of errors, then the result. Closing the generator ends the import."""
    progress = _Progress()
    task = asyncio.create_task(_imported(services, caller, catalog, examples, query, progress))
    shown, at = (0, ""), time.monotonic()
    try:
        while not (await asyncio.wait({task}, timeout=POLL_INTERVAL))[0]:
            if shown != (progress.done, progress.phase):
                shown, at = (progress.done, progress.phase), time.monotonic()
                yield _line({"phase": progress.phase, "done": progress.done, "of": progress.of})
            elif time.monotonic() - at > KEEPALIVE:
                at = time.monotonic()
                yield b"\n"
        for line in task.result():
            yield _line(line)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _imported(
    services: Services,
    caller: Caller,
    catalog: Catalog,
    examples: ExampleFile,
    query: ImportQuery,
    progress: _Progress,
) -> list[dict[str, Any]]:
    """Import a file; return the lines of its errors and of its result."""
    summary = Summary()
    result: dict[str, Any] = {"lines": 0, "taught": 0, "created": 0, "overwritten": 0}
    try:
        async with (
            services.transfers.transfer(caller.tenant_id),
            paying(services, caller, examples.size) as paid,
            services.turns.turn(caller.tenant_id),
        ):
            result |= await _taught(services, caller, catalog, examples, query, progress, summary, paid)
    except RouterError as error:
        summary.failed += 1
        return [*map(_error_line, summary.errors), _error_line(error), result | {"failed": summary.failed}]
    except Exception as error:
        log.error("an import failed: %s", type(error).__name__)
        return [_error_line(RouterError("Internal error.", code="internal_error")), result | {"failed": 1}]
    return [*map(_error_line, summary.errors), result | _about(examples, summary)]


async def _taught(
    services: Services,
    caller: Caller,
    catalog: Catalog,
    examples: ExampleFile,
    query: ImportQuery,
    progress: _Progress,
    summary: Summary,
    paid: Paid | None,
) -> dict[str, Any]:
    try:
        space = await services.spaces.of(caller, wait=True)
        rules = text_rules(services, caller)
        progress.begin("checking", examples.size)
        contents = await check(examples, catalog, space.embedder, rules, progress.advance, summary)
        _, cap = await stored_files.room(services.db.background, caller.tenant_id)
        skip = contents.before(cap)
        if skip and not query.trim:
            summary.add_error(_too_many(contents.memories, cap))
        different = contents.memories_after(skip)
        found = {"lines": contents.examples, "copies": contents.examples - contents.memories, "trimmed": skip}
        if query.dry_run or summary.failed:
            return found
        count = contents.examples - skip
        async with stored_files.staging(services.db) as staged:
            progress.begin("embedding", count)
            await stage(examples, skip, catalog, space.embedder, rules, staged.add, progress.advance, paid)
            progress.begin("teaching", count)
            taught = await staged.teach(caller.tenant_id, space.space_id, progress.advance, caller.key_id)
    except EmbeddingFailed as error:
        raise DatabaseUnavailable(f"Nothing was taught: the prompts could not be embedded: {error}.") from None
    except Conflict:
        services.directory.invalidate()
        raise Conflict("Another embedder serves this tenant since a moment; nothing was taught: try again.") from None
    overwritten = max(0, different - taught.created)
    return {
        **found,
        "taught": taught.examples,
        "created": taught.created,
        "overwritten": overwritten,
        "evicted": taught.evicted,
    }


def _about(examples: ExampleFile, summary: Summary) -> dict[str, Any]:
    """Return what was recognised in a file, and what it teaches."""
    return {
        "failed": summary.failed,
        "format": examples.format and examples.format.name,
        "labels_from": examples.format and examples.format.labels,
        "labels": {
            model: {"labels": count, "mean": round(total / count, 4)}
            for model, (count, total) in sorted(summary.scores.items())
        },
        "left_out": dict(examples.left_out.most_common()),
        "skipped_labels": dict(sorted(examples.skipped.items())),
        "ignored_columns": list(examples.unread),
    }


def _too_many(memories: int, cap: int) -> BadRequest:
    return BadRequest(
        f"The file makes {memories} memories, but this tenant keeps {cap}: raise its memory_cap, or teach only the "
        f"last {cap} with trim=true.",
        param="trim",
    )


def _error_line(error: RouterError) -> dict[str, Any]:
    line = error.line if isinstance(error, BadLine) else None
    return {"error": error.body()["error"], "line": line, "status": error.status}


def _line(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)


def _mapping(text: str | None) -> dict[str, str]:
    """Return our names of models by those in the file. Raises `BadRequest`."""
    found = {}
    for pair in (text or "").split(","):
        if not pair.strip():
            continue
        theirs, equals, ours = (part.strip() for part in pair.rpartition("="))
        if not (theirs and equals and ours):
            raise BadRequest(f"models: {pair.strip()!r} is not THEIRS=OURS.", param="models")
        found[theirs] = ours
    return found


routes = [
    DocumentedRoute(
        "POST",
        "/v1/router/memories/import",
        import_memories,
        Operation(
            summary="Teach the examples of a file, all or none; its progress, errors and result as lines of JSON.",
            tag="teaching",
            scope="teach",
            responses={200: {LINES: {"type": "string"}}},
            body={"application/octet-stream": {"type": "string", "format": "binary"}},
            query=ImportQuery,
        ),
    ),
    DocumentedRoute(
        "GET",
        "/v1/router/memories/export",
        export_memories,
        Operation(
            summary="The memory as JSONL, oldest first, which an import reads.",
            tag="teaching",
            scope="teach",
            responses={200: {LINES: {"type": "string"}}},
            errors=(429,),
        ),
    ),
]
